"""Rows of a table as rows of a task: values of the fields' types, what is of no use left out, splits made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flowbot.fields import UserError, canonical_json, stable_hash
from flowbot.task.example import Example
from flowbot.task.examples import Placed
from flowbot.task.splits import SPLITS, Split, divide

from .guess import Guess, counted, some
from .kinds import Kind
from .table import Table, TableRow


@dataclass(frozen=True, slots=True)
class Made:
    """A row of the task to be.

    Args:
        place: where it stood.
        record: what is written: id, fields, group and other columns by their names.
        inputs: its inputs by field.
        outputs: its outputs by field.
        group: what it belongs to, "" for nothing.
        split: the split that the user's files put it in, if they do.
    """

    place: str
    record: Mapping[str, Any]
    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any]
    group: str
    split: Split | None


@dataclass(frozen=True, slots=True)
class Layout:
    """Which column becomes what.

    Args:
        id: the column of the rows' ids, "" for none.
        inputs: the field and the kind of each input column.
        outputs: the same of each output column; empty where there are no labels.
        group: the column of groups, "" for none.
        extras: the name under which each other column is kept.
    """

    id: str
    inputs: Mapping[str, tuple[str, Kind]]
    outputs: Mapping[str, tuple[str, Kind]]
    group: str
    extras: Mapping[str, str]


def made_rows(table: Table, layout: Layout, notes: list[Guess]) -> list[Made]:
    """The rows that a task can use; what is left out, and what contradicts, is noted in words.

    Rows without any input, rows without an answer, and rows that say the same again are left out.
    """
    left: dict[str, list[str]] = {"without an input": [], "without an answer": [], "that stand twice": []}
    seen: set[str] = set()
    answers: dict[str, tuple[str, str]] = {}
    conflicts: list[str] = []
    found: list[Made] = []
    for row in table.rows:
        if not _any(row, layout.inputs, empty=("",)):
            left["without an input"].append(row.place)
            continue
        if layout.outputs and not _any(row, layout.outputs):
            left["without an answer"].append(row.place)
            continue
        made = _made(row, layout)
        inputs, outputs = stable_hash(made.inputs), canonical_json(made.outputs)
        whole = canonical_json([inputs, outputs, row.split, {**made.record, "id": ""}])
        if whole in seen:
            left["that stand twice"].append(row.place)
            continue
        seen.add(whole)
        place, answer = answers.setdefault(inputs, (row.place, outputs))
        if answer != outputs:
            conflicts.append(f"{row.place} against {place}")
        found.append(made)
    for what, places in left.items():
        if places:
            mend = "nothing to do" if what == "that stand twice" else "fill them"
            notes.append(Guess("left out", f"{counted(places, 'row')} {what}", some(places), mend))
    if conflicts:
        told = f"{counted(conflicts, 'row')} with the inputs of another row and another answer"
        notes.append(
            Guess("contradictions", told, f"{some(conflicts)}; kept, in one split", "mend or remove one of each")
        )
    return found


def split_rows(
    rows: Sequence[Made], fractions: Sequence[float], most: int, where: str, notes: list[Guess]
) -> dict[Split, list[Made]]:
    """Rows by split: as the files have them, a split that they lack taken from the largest; else in these fractions.

    Rows of a split that stand, by their inputs, in a later one (test before val before train) are left out, and so is
    what a split has above `most`. The same rows give the same splits.

    Args:
        rows: of the task.
        fractions: for train, val and test; they sum to 1.
        most: rows of a split.
        where: how errors name the rows.
        notes: what is to be said is added.

    Raises:
        UserError: if there are too few rows to give each split its part.
    """
    if not rows:
        raise UserError(where, "no row with an input and an answer", "rows with both")
    given: dict[Split, list[Made]] = {split: [row for row in rows if row.split == split] for split in SPLITS}
    if all(row.split is None for row in rows):
        made = _divided(rows, fractions, where)
    else:
        made = _without_leaks(given, notes)
        made = _completed(made, fractions, where, notes)
    large = [f"{len(made[split]):,} {split}" for split in SPLITS if len(made[split]) > most]
    if large:
        told = f"{most:,} of {' and of '.join(large)}"
        notes.append(Guess("rows taken", told, "drawn by a fixed rule; the rest stays in your file", "--most N"))
    return {split: _at_most(made[split], most, rows) for split in SPLITS}


def crossing(rows: Sequence[Made]) -> bool:
    """Whether the user's own files have rows of one group in two splits."""
    homes: dict[str, Split | None] = {}
    return any(row.group and homes.setdefault(row.group, row.split) != row.split for row in rows)


def _made(row: TableRow, layout: Layout) -> Made:
    inputs = {field: kind.fit(row.values.get(column)) for column, (field, kind) in layout.inputs.items()}
    outputs = {field: kind.fit(row.values.get(column)) for column, (field, kind) in layout.outputs.items()}
    record: dict[str, Any] = {"id": row.values[layout.id]} if layout.id else {}
    record |= inputs | outputs
    record |= {name: row.values.get(column) for column, name in layout.extras.items()}
    group = row.values.get(layout.group) if layout.group else None
    key = "" if group is None else group.strip() if isinstance(group, str) else canonical_json(group)
    return Made(row.place, record, inputs, outputs, key, row.split)


def _any(row: TableRow, columns: Mapping[str, Any], *, empty: tuple[str, ...] = ()) -> bool:
    values = [row.values.get(column) for column in columns]
    return any(value is not None and not (isinstance(value, str) and value.strip() in empty) for value in values)


def _divided(rows: Sequence[Made], fractions: Sequence[float], where: str) -> dict[Split, list[Made]]:
    placed = [
        Placed(row.place, Example(str(index), row.inputs, row.outputs, row.group)) for index, row in enumerate(rows)
    ]
    return {
        split: [rows[int(each.example.id)] for each in found]
        for split, found in divide(placed, fractions, where).items()
    }


def _without_leaks(given: Mapping[Split, Sequence[Made]], notes: list[Guess]) -> dict[Split, list[Made]]:
    kept: dict[Split, list[Made]] = {}
    later: dict[str, Split] = {}
    for split in reversed(SPLITS):
        keys = [stable_hash(row.inputs) for row in given[split]]
        leaks = [row.place for row, key in zip(given[split], keys, strict=True) if key in later]
        kept[split] = [row for row, key in zip(given[split], keys, strict=True) if key not in later]
        later |= dict.fromkeys(keys, split)
        if leaks:
            told = f"{counted(leaks, 'row')} of {split} with the inputs of a row of another split"
            notes.append(Guess("left out", told, f"{some(leaks)}: splits share no example", "nothing to do"))
    return kept


def _completed(
    made: dict[Split, list[Made]], fractions: Sequence[float], where: str, notes: list[Guess]
) -> dict[Split, list[Made]]:
    """A split that no file gives is taken from the largest that is given."""
    shares: dict[Split, float] = dict(zip(SPLITS, fractions, strict=True))
    lacking: list[Split] = [split for split in SPLITS if not made[split] and shares[split] > 0]
    if not lacking:
        return made
    largest: Split = max(SPLITS, key=lambda split: len(made[split]))
    parts: dict[Split, float] = {split: shares[split] if split in lacking else 0.0 for split in SPLITS}
    parts[largest] = shares[largest] or 1 / 3
    total = sum(parts.values())
    taken = _divided(made[largest], [parts[split] / total for split in SPLITS], where)
    told = f"{' and '.join(lacking)} taken from the rows of {largest}"
    notes.append(Guess("missing splits", told, "no rows are named for it", "give a file for each, or --split"))
    return {split: taken[split] if split in (largest, *lacking) else made[split] for split in SPLITS}


def _at_most(rows: list[Made], most: int, order: Sequence[Made]) -> list[Made]:
    """The rows in the order of the file; where there are more than `most`, a part with its share of each label."""
    taken = rows
    if len(rows) > most:
        share = most / len(rows)
        taken = _divided(rows, [share, 1 - share, 0.0], "")["train"][:most]
    wanted = {id(row) for row in taken}
    return [row for row in order if id(row) in wanted]
