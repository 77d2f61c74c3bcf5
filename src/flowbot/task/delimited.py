"""Tables as text: cells between commas, semicolons, tabs or bars, in quotes where they hold such a mark."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from threading import Lock

from flowbot.fields import UserError
from flowbot.fields.near import listed

from .faults import RAISED, Faults

_MARKS = (",", ";", "\t", "|")
_SAMPLE = 64_000
_LIMIT = Lock()


@dataclass(frozen=True, slots=True)
class Delimited:
    """A table.

    Args:
        header: the names of the columns.
        rows: the place and the cells by column of each row that is not empty.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[str, dict[str, str]], ...]

    @staticmethod
    def read(text: str, where: str, mark: str = "", faults: Faults = RAISED) -> Delimited:
        """The table of a text.

        A column without a name is called `column_N`, and left out if all its cells are empty, as are empty rows. Cells
        may be of any length.

        Args:
            text: the table; its first line has the columns' names.
            where: how errors name it; the line is added.
            mark: what stands between cells; "": found out.
            faults: where rows of another length go; they are left out.

        Raises:
            UserError: for broken quotes, a row of another length than the header, or a name that stands twice.
        """
        header: list[str] = []
        rows: list[tuple[str, list[str]]] = []
        line = 1
        with _long_cells(len(text)):
            reader = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=mark or _mark(text))
            try:
                for cells in reader:
                    place, line = f"{where}:{line}", reader.line_num + 1
                    if not any(map(str.strip, cells)) or (not header and _is_note(cells)):
                        continue
                    if header:
                        with faults:
                            rows.append((place, _fitting(cells, len(header), place)))
                    else:
                        header = _names(cells, place)
            except csv.Error as error:
                raise UserError(
                    f"{where}:{line}", f"broken CSV ({error})", "every quoted cell closed, and quotes in it doubled"
                ) from None
        kept = [n for n, name in enumerate(header) if name or any(cells[n].strip() for _, cells in rows)]
        names = [header[n] or f"column_{n + 1}" for n in kept]
        return Delimited(
            tuple(names),
            tuple((place, {name: cells[n] for name, n in zip(names, kept, strict=True)}) for place, cells in rows),
        )


def _names(cells: list[str], place: str) -> list[str]:
    names = [cell.strip() for cell in cells]
    told = [name or f"column_{n}" for n, name in enumerate(names, 1)]
    twice = sorted(name for name, times in Counter(told).items() if times > 1)
    if twice:
        raise UserError(place, f"the column names {listed(twice)} twice", "each name once")
    return names


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
    """What stands between cells: the mark that gives most of the first rows as many cells as the header."""
    if text[:4].casefold() == "sep=" and text[4:5] in _MARKS:
        return text[4]
    sample = io.StringIO(text[:_SAMPLE], newline="")
    best, found = (0.0, 0), ","
    for mark in _MARKS:
        _ = sample.seek(0)
        widths = [len(cells) for cells in islice(csv.reader(sample, delimiter=mark), 50) if cells]
        if len(widths) > 2 and len(text) > _SAMPLE:
            _ = widths.pop()  # the sample's end may cut a row
        if widths and widths[0] > 1:
            fit = (widths.count(widths[0]) / len(widths), widths[0])
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
