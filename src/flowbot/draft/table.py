"""What a user gives to `init`: files or a folder, read into one table of rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from flowbot.fields import UserError
from flowbot.fields.words import count
from flowbot.task.delimited import is_spreadsheet_error
from flowbot.task.hub import is_of_hub, known_splits
from flowbot.task.row import Row
from flowbot.task.splits import Split, split_called

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


@dataclass(frozen=True, slots=True)
class Table:
    """All rows that were given.

    Args:
        name: of the task that they may become.
        files: that they come from, in order.
        columns: in order of their first appearance.
        cells: columns whose values are texts because their file can hold nothing else.
        rows: in the order of the files; none is empty. None stands for an empty cell; what a row lacks has no key.
        notes: what had to be done to read them.
        unused: files of the folder that are no data of the task.
        split_column: the column that names the splits, "" for none.
        form: what is known of the columns because the form of the rows is known.
        prompt: a prompt that stands in every row, "" for none.
        source: what was read of the hub, with its revision, "" for nothing.
    """

    name: str
    files: tuple[Path, ...]
    columns: tuple[str, ...]
    cells: frozenset[str]
    rows: tuple[Row, ...]
    notes: tuple[Guess, ...] = ()
    unused: tuple[str, ...] = ()
    split_column: str = ""
    form: Form | None = None
    prompt: str = ""
    source: str = ""

    def values(self, column: str) -> list[Any]:
        """A column's values, None where a row has none."""
        return [row.values.get(column) for row in self.rows]

    def without_splits(self) -> Table:
        """The same rows, in no splits."""
        return replace(self, rows=tuple(replace(row, split=None) for row in self.rows), split_column="")


@dataclass(slots=True)
class _Reading:
    """Rows as they come in, and what is to be said of them."""

    columns: dict[str, None] = field(default_factory=dict[str, None])
    cells: set[str] = field(default_factory=set[str])
    rows: list[Row] = field(default_factory=list[Row])
    notes: list[Guess] = field(default_factory=list[Guess])
    empty: int = 0
    errors: int = 0
    sources: list[str] = field(default_factory=list[str])
    unused: list[str] = field(default_factory=list[str])
    form: Form | None = None
    prompt: str = ""


def read_table(given: Sequence[Path], *, as_is: bool = False) -> Table:
    """The table of the files, or of the data files in the folder, that are given.

    Files that are named for splits (`train`, `dev`, `test`…) are these splits; so are the values of a column `split`.

    Args:
        given: files, or a folder.
        as_is: True: rows stay as they are, whatever tool's form they have.

    Raises:
        UserError: naming file and line, if one cannot be read, there are no rows or no data files, or it is too much.
    """
    files, unused = files_of(given)
    splits = splits_of(files)
    reading = _Reading()
    for path in files:
        if is_of_hub(path):
            _read_hub(path, reading)
        else:
            _add(read_file(path, reading.notes), splits.get(path), reading)
        _bounded(path, reading)
    if not as_is:
        _take(reading)
    if not reading.rows:
        raise UserError(str(files[0]), "only empty rows", "rows of data")
    if reading.empty:
        rows = count(reading.empty, "empty row")
        reading.notes.append(Guess("left out", rows, "they hold nothing", "fill them"))
    if reading.errors:
        cells = count(reading.errors, "cell")
        reading.notes.append(Guess("no value", f"{cells} such as #N/A", "a spreadsheet's errors", "mend the cells"))
    told = any(row.split for row in reading.rows)
    column = "" if told else _split_column(reading)
    rows = reading.rows
    if column:
        rows = [replace(row, split=split_called(row.values[column])) for row in rows]
    return Table(
        name=name_of(given, files, splits),
        files=tuple(files),
        columns=tuple(reading.columns),
        cells=frozenset(reading.cells),
        rows=tuple(rows),
        notes=tuple(reading.notes),
        unused=(*unused, *reading.unused),
        source=", ".join(reading.sources),
        split_column=column,
        form=reading.form,
        prompt=reading.prompt,
    )


def _take(reading: _Reading) -> None:
    """Rows in the form of a tool's export, if they have one, as rows of a task."""
    whole = _unpacked(reading)
    known = form_of(list(reading.columns), whole) if whole else None
    if known is None:
        return
    taken = known.take(whole)
    reading.cells = {
        name for name in reading.cells if all(row.get(name) is None or isinstance(row[name], str) for row in whole)
    }
    rows: list[Row] = []
    given: dict[str, None] = {}
    wanted: dict[str, None] = {}
    for row, several in zip(reading.rows, taken, strict=True):
        for number, each in enumerate(several):
            place = row.place if len(several) == 1 else f"{row.place}#{number}"
            values = {**each.beside, **each.given, **each.wanted}
            values = {name: _value(value, reading) for name, value in values.items()}
            rows.append(Row(place, values, split=row.split))
            given |= dict.fromkeys(each.given)
            wanted |= dict.fromkeys(each.wanted)
    others = dict.fromkeys(name for row in rows for name in row.values)
    if given or wanted:
        said = {each.metric for several in taken for each in several}
        inputs = tuple(name for name in given if name not in wanted)
        reading.form = Form(known.name, inputs, tuple(wanted), next(iter(said)) if len(said) == 1 else "")
    reading.columns = {**dict.fromkeys(reading.form.inputs if reading.form else ()), **wanted, **others}
    reading.cells &= reading.columns.keys()
    reading.rows = rows
    reading.prompt = next((each.prompt for several in taken for each in several), "")
    reading.notes.append(
        Guess("form", known.name, known.told or "by its columns", "--as-is, for the rows as they stand")
    )


def _unpacked(reading: _Reading) -> list[Mapping[str, Any]]:
    """The rows' values, lists and objects that stand as text in a table's cells as what they are."""
    found: dict[str, list[Any]] = {}
    for name in reading.cells:
        told = [str(row.values[name]) for row in reading.rows if row.values.get(name) is not None]
        if told and (cells := parsed_cells(told)) is not None:
            found[name] = cells
    if not found:
        return [row.values for row in reading.rows]
    rest = {name: iter(cells) for name, cells in found.items()}
    return [
        {**row.values, **{name: next(cells) for name, cells in rest.items() if row.values.get(name) is not None}}
        for row in reading.rows
    ]


def _read_hub(path: Path, into: _Reading) -> None:
    found, source = read_hub(str(path), into.notes)
    into.sources.append(source)
    own = known_splits(list(found))
    for name, rows in found.items():
        if own and name not in own:
            into.unused.append(name)
        else:
            _add(rows, own.get(name), into)


def _add(rows: Sequence[Row], split: Split | None, into: _Reading) -> None:
    columns = dict.fromkeys(name for row in rows for name in row.values)
    into.columns.update(columns)
    held = _without_gaps(rows, list(columns)) if rows[0].texts else [row.values for row in rows]
    if rows[0].texts:
        into.cells.update(columns)
    for row, values in zip(rows, held, strict=True):
        whole = {name: _value(value, into) for name, value in values.items()}
        if all(value is None or value == "" for value in whole.values()):
            into.empty += 1
        else:
            into.rows.append(Row(row.place, whole, split=split))


def _value(value: Any, into: _Reading) -> Any:
    """The value, None for what a spreadsheet writes where it has none."""
    if not is_spreadsheet_error(value):
        return value
    into.errors += 1
    return None


def _bounded(path: Path, reading: _Reading) -> None:
    """Refuse what would take hours: each column is looked at in every row, and beside every other."""
    columns, cells = len(reading.columns), len(reading.columns) * len(reading.rows)
    if columns > MOST_COLUMNS:
        raise UserError(str(path), f"{columns:,} columns", f"at most {MOST_COLUMNS:,}: leave out those of no use")
    if cells > MOST_CELLS:
        found = f"{len(reading.rows):,} rows of {columns:,} columns"
        raise UserError(str(path), found, f"at most {MOST_CELLS:,} cells: take a part of the rows")


def _without_gaps(rows: Sequence[Row], columns: Sequence[str]) -> list[dict[str, Any]]:
    by_column = [without_gaps([row.values[name] for row in rows]) for name in columns]
    return [dict(zip(columns, values, strict=True)) for values in zip(*by_column, strict=True)]


def _split_column(reading: _Reading) -> str:
    """The column whose every value is a split's name, at least two of them."""
    for column in reading.columns:
        if "_".join(words(column)) in _SPLIT_COLUMNS:
            told = {split_called(row.values.get(column)) for row in reading.rows}
            if None not in told and len(told) > 1:
                return column
    return ""
