"""What a user gives to `init`: files or a folder, read into one table of rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from flowbot.fields import UserError
from flowbot.fields.words import count
from flowbot.task.delimited import is_spreadsheet_error
from flowbot.task.hub import is_of_hub, known_splits
from flowbot.task.row import Row
from flowbot.task.splits import split_called

from .files import files_of, name_of, splits_of
from .forms import form_of
from .guess import Guess
from .kinds import parsed_cells, without_gaps
from .names import words
from .reading import read_file, read_hub

MOST_COLUMNS = 1_000
"""Columns that all the files have at most."""
MOST_CELLS = 20_000_000
"""Rows times columns that they have at most."""
_SPLIT_COLUMNS = ("split", "partition", "subset")


@dataclass(frozen=True, slots=True)
class Form:
    """What is known of the columns because a tool's export is known.

    Args:
        name: of the form, with its article, as in "as in {name}".
        inputs: columns that are given.
        outputs: columns that are wanted.
        metric: how texts are to be compared, where all rows say the same; else "".
    """

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    metric: str = ""


@dataclass(slots=True)
class Table:
    """All rows that were given.

    Args:
        name: of the task that they may become.
        files: that they come from, in order.
        columns: in order of their first appearance.
        cells: columns whose values are texts because their file can hold nothing else.
        rows: in the order of the files; none is empty. None stands for an empty cell; what a row lacks has no key.
        notes: what had to be done to read them.
        unused: files of the folder, or splits of a data set, that are no data of the task.
        split_column: the column that names the splits, "" for none.
        form: what is known of the columns because the form of the rows is known.
        prompt: a prompt that stands in every row, "" for none.
        source: what was read of the hub, with its revision, "" for nothing.
    """

    name: str = ""
    files: Sequence[Path] = ()
    columns: list[str] = field(default_factory=list[str])
    cells: set[str] = field(default_factory=set[str])
    rows: list[Row] = field(default_factory=list[Row])
    notes: list[Guess] = field(default_factory=list[Guess])
    unused: list[str] = field(default_factory=list[str])
    split_column: str = ""
    form: Form | None = None
    prompt: str = ""
    source: str = ""

    def values(self, column: str) -> list[Any]:
        """A column's values, None where a row has none."""
        return [row.values.get(column) for row in self.rows]

    def without_splits(self) -> Table:
        """The same rows, in no splits."""
        return replace(self, rows=[replace(row, split=None) for row in self.rows], split_column="")


def read_table(paths: Sequence[Path], *, as_is: bool = False) -> Table:
    """The table of the files, or of the data files in the folder, that are given.

    Files that are named for splits (`train`, `dev`, `test`…) are these splits; so are the values of a column `split`.

    Args:
        paths: files, or a folder.
        as_is: True: rows stay as they are, whatever tool's form they have.

    Raises:
        UserError: naming file and line, if one cannot be read, there are no rows or no data files, or it is too much.
    """
    files, unused = files_of(paths)
    splits = splits_of(files)
    table = Table(name_of(paths, files, splits), files, unused=unused)
    empty = errors = 0
    for path in files:
        if is_of_hub(path):
            read = _hub_rows(path, table)
        else:
            read = [replace(row, split=splits.get(path)) for row in read_file(path, table.notes)]
        columns = list(dict.fromkeys(name for row in read for name in row.values))
        table.columns = list(dict.fromkeys([*table.columns, *columns]))
        if read and read[0].texts:
            table.cells.update(columns)
            read = _without_gaps(read, columns)
        for row in read:
            values = _without_errors(row.values)
            errors += _errors(row.values)
            if all(value is None or value == "" for value in values.values()):
                empty += 1
            else:
                table.rows.append(replace(row, values=values))
        _bounded(path, table)
    errors += 0 if as_is else _read_form(table)
    if not table.rows:
        raise UserError(str(files[0]), "only empty rows", "rows of data")
    if empty:
        table.notes.append(Guess("left out", count(empty, "empty row"), "they hold nothing", "fill them"))
    if errors:
        cells = f"{count(errors, 'cell')} such as #N/A"
        table.notes.append(Guess("no value", cells, "a spreadsheet's errors", "mend the cells"))
    if not any(row.split for row in table.rows) and (column := _split_column(table)):
        table.split_column = column
        table.rows = [replace(row, split=split_called(row.values[column])) for row in table.rows]
    return table


def _read_form(table: Table) -> int:
    """Make rows in the form of a tool's export, if they have one, rows of a task; how many cells of theirs are errors."""
    whole = _unpacked(table)
    known = form_of(table.columns, whole) if whole else None
    if known is None:
        return 0
    made = known.read(whole)
    texts = {name for name in table.cells if all(isinstance(row.get(name), str | None) for row in whole)}
    rows: list[Row] = []
    errors = 0
    given: dict[str, None] = {}
    wanted: dict[str, None] = {}
    for row, several in zip(table.rows, made, strict=True):
        for number, each in enumerate(several):
            place = row.place if len(several) == 1 else f"{row.place}#{number}"
            values = {**each.extra, **each.inputs, **each.expected}
            errors += _errors(values)
            rows.append(Row(place, _without_errors(values), split=row.split))
            given |= dict.fromkeys(each.inputs)
            wanted |= dict.fromkeys(each.expected)
    inputs = tuple(name for name in given if name not in wanted)
    if given or wanted:
        said = {each.metric for several in made for each in several}
        table.form = Form(known.name, inputs, tuple(wanted), next(iter(said)) if len(said) == 1 else "")
    table.columns = list(dict.fromkeys([*inputs, *wanted, *(name for row in rows for name in row.values)]))
    table.cells = texts.intersection(table.columns)
    table.rows = rows
    table.prompt = next((each.prompt for several in made for each in several), "")
    why = known.remark or "by its columns"
    table.notes.append(Guess("form", known.name, why, "--as-is, for the rows as they stand"))
    return errors


def _unpacked(table: Table) -> list[Mapping[str, Any]]:
    """The rows' values, lists and objects that stand as text in a table's cells as what they are."""
    found: dict[str, Iterator[Any]] = {}
    for name in table.cells:
        told = [str(value) for value in table.values(name) if value is not None]
        if told and (cells := parsed_cells(told)) is not None:
            found[name] = iter(cells)
    return [
        {**row.values, **{name: next(cells) for name, cells in found.items() if row.values.get(name) is not None}}
        for row in table.rows
    ]


def _hub_rows(path: Path, into: Table) -> list[Row]:
    tables, source = read_hub(str(path), into.notes)
    into.source = ", ".join(filter(None, (into.source, source)))
    known = known_splits(list(tables))
    used = known or dict.fromkeys(tables)
    into.unused += [name for name in tables if name not in used]
    return [replace(row, split=split) for name, split in used.items() for row in tables.get(name, ())]


def _errors(values: Mapping[str, Any]) -> int:
    return sum(map(is_spreadsheet_error, values.values()))


def _without_errors(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values, None for what a spreadsheet writes where it has none."""
    return {name: None if is_spreadsheet_error(value) else value for name, value in values.items()}


def _bounded(path: Path, table: Table) -> None:
    """Refuse what would take hours: each column is looked at in every row, and beside every other."""
    columns, cells = len(table.columns), len(table.columns) * len(table.rows)
    if columns > MOST_COLUMNS:
        raise UserError(str(path), f"{columns:,} columns", f"at most {MOST_COLUMNS:,}: leave out those of no use")
    if cells > MOST_CELLS:
        found = f"{len(table.rows):,} rows of {columns:,} columns"
        raise UserError(str(path), found, f"at most {MOST_CELLS:,} cells: take a part of the rows")


def _without_gaps(rows: Sequence[Row], columns: Sequence[str]) -> list[Row]:
    by_column = [without_gaps([row.values[name] for row in rows]) for name in columns]
    return [
        replace(row, values=dict(zip(columns, values, strict=True)))
        for row, values in zip(rows, zip(*by_column, strict=True), strict=True)
    ]


def _split_column(table: Table) -> str:
    """The column whose every value is a split's name, at least two of them."""
    for column in table.columns:
        if "_".join(words(column)) in _SPLIT_COLUMNS:
            told = {split_called(row.values.get(column)) for row in table.rows}
            if None not in told and len(told) > 1:
                return column
    return ""
