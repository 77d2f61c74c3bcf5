"""Tables as text: cells between commas, semicolons, tabs or bars, in quotes where they hold such a mark.

A cell may hold a list or an object, as JSON or as Python writes them (`['red', 'blue']`), which is read and never run.
"""

from __future__ import annotations

import ast
import csv
import io
import json
import tokenize
import warnings
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from threading import Lock
from typing import Any

from flowbot.fields import UserError
from flowbot.fields.words import listed
from flowbot.fields.yaml import parse_json

from .faults import RAISED, Faults
from .row import Row

_MARKS = (",", ";", "\t", "|")
_SAMPLE = 64_000
_LIMIT = Lock()
_ERRORS = frozenset(
    [
        "#N/A",
        "#REF!",
        "#VALUE!",
        "#DIV/0!",
        "#NAME?",
        "#NULL!",
        "#NUM!",
        "#SPILL!",
        "#CALC!",
        "#ERROR!",
        "#GETTING_DATA",
    ]
)
"""What spreadsheets write into a cell that they could not compute."""
_LOOKED_AT = 200
"""Lines by which it is told whether there are titles above a table."""
_MOSTLY = 0.9
"""Share of the lines below a title that have several cells."""
_LONGEST_LITERAL = 1_000_000
"""Characters of a cell that is read as Python writes it."""
_LONGEST_NAME = 60
"""Characters of a column's name, where there is a title above it."""


def table_rows(
    text: str, where: str, mark: str = "", faults: Faults = RAISED, *, mended: list[str] | None = None
) -> list[Row]:
    """The rows of a table's text that are not empty, each at its line.

    A column without a name is called `column_N`, and left out if all its cells are empty. Cells may be of any length.

    Args:
        text: the table; its first line has the columns' names.
        where: how errors name it; the line is added.
        mark: what stands between cells; "": found out.
        faults: where rows of another length go; they are left out.
        mended: a list: titles above the header are skipped, and columns of one name become one whose cells are lists,
            as JSON; what was done is added to it, in words.

    Raises:
        UserError: for broken quotes, a row of another length than the header, a name that stands twice, or a header and
            nothing below it.
    """
    lines = list(_lines(text, where, mark or _mark(text)))
    titles = 0 if mended is None else _titles([cells for _, cells in lines])
    if mended is not None and titles:
        said = "; ".join(next(filter(str.strip, cells)).strip() for _, cells in lines[:titles])
        mended.append(f"above the column names is left out: {said}")
    if not lines:
        return []
    place, header = lines[titles]
    header = [cell.strip() for cell in header]
    rows: list[tuple[str, list[str]]] = []
    for at, cells in lines[titles + 1 :]:
        with faults:
            rows.append((at, _fitting(cells, len(header), at)))
    columns: dict[str, list[int]] = {}
    for n, name in enumerate(header):
        if name or any(cells[n].strip() for _, cells in rows):
            columns.setdefault(name or f"column_{n + 1}", []).append(n)
    twice = sorted(name for name, each in columns.items() if len(each) > 1)
    if twice and mended is None:
        raise UserError(place, f"the column names {listed(twice)} twice", "each name once")
    if mended is not None:
        mended += [f"the {len(columns[name])} columns {name} are one, of lists" for name in twice]
    if not rows and not faults.met:
        raise UserError(where, "no rows below the line of column names", "at least one row of data")
    return [Row(at, {name: _cell(cells, each) for name, each in columns.items()}, texts=True) for at, cells in rows]


def _lines(text: str, where: str, mark: str) -> Iterator[tuple[str, list[str]]]:
    """The cells of each line that has any, with its place."""
    line, begun = 1, False
    with _long_cells(len(text)):
        reader = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=mark)
        try:
            for cells in reader:
                place, line = f"{where}:{line}", reader.line_num + 1
                if any(map(str.strip, cells)) and (begun or not _is_note(cells)):
                    begun = True
                    yield place, cells
        except csv.Error as error:
            expected = "every quoted cell closed, and quotes in it doubled"
            raise UserError(f"{where}:{line}", f"broken CSV ({error})", expected) from None


def is_spreadsheet_error(value: object) -> bool:
    """Whether a cell only says that a spreadsheet could not compute it."""
    return isinstance(value, str) and value.strip() in _ERRORS


def _cell(cells: list[str], columns: Sequence[int]) -> str:
    """A row's cell in a column, or in all columns of one name: the list of those that are not empty, as JSON."""
    if len(columns) == 1:
        return cells[columns[0]]
    return json.dumps([cells[n].strip() for n in columns if cells[n].strip()], ensure_ascii=False)


def _titles(lines: Sequence[list[str]]) -> int:
    """How many lines stand above the header: of one cell each, above a table of which nearly all lines have several.

    None where the header would be prose: then commas part sentences, and the first line names the only column.
    """
    widths = [len([cell for cell in cells if cell.strip()]) for cells in lines[:_LOOKED_AT]]
    first = next((number for number, width in enumerate(widths) if width > 1), 0)
    below = widths[first + 1 :]
    few = not below or sum(width > 1 for width in below) < _MOSTLY * len(below)
    few = few or max(map(len, lines[first])) > _LONGEST_NAME
    return 0 if few or len(lines[first]) < len(max(lines[first:], key=len)) else first


def _fitting(cells: list[str], width: int, place: str) -> list[str]:
    """The cells of a row; empty ones too many, as a spreadsheet leaves them, do not count."""
    if len(cells) != width and (len(cells) < width or any(map(str.strip, cells[width:]))):
        raise UserError(
            place, f"{len(cells)} cells", f"{width}, one for each column of the first line (quotes forgotten?)"
        )
    return cells[:width]


def _is_note(cells: list[str]) -> bool:
    """Whether the line tells a spreadsheet the mark: `sep=;`."""
    return cells[0].casefold().startswith("sep=") and len("".join(cells)) <= len("sep=;")


def _mark(text: str) -> str:
    """What stands between cells: the mark that gives most of the first rows as many cells as the header.

    One by which fewer lines are titles above the header goes first: texts between semicolons may have commas, too.
    """
    if text[:4].casefold() == "sep=" and text[4:5] in _MARKS:
        return text[4]
    sample = io.StringIO(text[:_SAMPLE], newline="")
    best, found = (False, 0, 0.0, 0), ","
    for mark in _MARKS:
        _ = sample.seek(0)
        widths = [len(cells) for cells in islice(csv.reader(sample, delimiter=mark), 50) if cells]
        if len(widths) > 2 and len(text) > _SAMPLE:
            _ = widths.pop()  # the sample's end may cut a row
        first = next((number for number, width in enumerate(widths) if width > 1), 0)
        is_table = sum(width > 1 for width in widths[first:]) >= _MOSTLY * len(widths[first:])
        if is_table:
            widths = widths[first:]  # titles above the header
        if widths and widths[0] > 1:
            fit = (is_table, -first, widths.count(widths[0]) / len(widths), widths[0])
            if fit > best:
                best, found = fit, mark
    return found


@contextmanager
def _long_cells(longest: int) -> Generator[None, None, None]:
    """The csv module refuses cells above a limit of the whole process: it is raised while a long text is read."""
    with _LIMIT:
        before = csv.field_size_limit()
        if longest > before:
            _ = csv.field_size_limit(longest)
        try:
            yield
        finally:
            _ = csv.field_size_limit(before)


def cell_value(text: str, where: str) -> Any:
    """The value that a cell holds.

    Raises:
        UserError: if it is neither JSON nor a Python list or dict of texts, numbers, true, false and None.
    """
    try:
        return parse_json(text, where)
    except UserError:
        value = _literal(text.strip())
        if value is None:
            raise
        return value


def _literal(text: str) -> Any:
    """The list or dict of a Python literal; None for anything else."""
    if (
        text[:1] not in ("[", "{")
        or len(text) > _LONGEST_LITERAL
        or max(text.count("["), text.count("{")) > _LONGEST_LITERAL // 10
    ):
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a path with backslashes, as its writer left it
            tree = ast.parse(text, mode="eval")
        value: object = ast.literal_eval(tree)
        is_json = parse_json(json.dumps(value), "") == value  # no tuples, and no keys but texts
    except (UserError, TypeError, ValueError, SyntaxError, RecursionError, MemoryError):
        return None
    # `['a' 'b']`, as numpy prints an array, would be one text in Python.
    texts = sum(isinstance(each, ast.Constant) and isinstance(each.value, str) for each in ast.walk(tree))
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return value if is_json and sum(each.type == tokenize.STRING for each in tokens) == texts else None
