"""Rows of a table as rows of a task: values of the fields' types, what is of no use left out, splits made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flowbot.fields import UserError, canonical_json, stable_hash
from flowbot.fields.words import count, some
from flowbot.task.example import Example
from flowbot.task.examples import group_of
from flowbot.task.row import Row
from flowbot.task.splits import SPLITS, Split, divide

from .guess import Guess
from .kinds import Kind
from .table import Table


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


Rows = Mapping[Split | None, Sequence[Example]]
"""Rows by the split that the user's files put them in, None for those of none; no entry is empty."""


def task_rows(table: Table, layout: Layout, notes: list[Guess]) -> Rows:
    """The rows that a task can use; what is left out, and what contradicts, is noted in words.

    Rows without any input, rows without an answer, and rows that say the same again are left out. What is neither input
    nor output, the column of ids too, is in `extra`.
    """
    left: dict[str, list[str]] = {"without an input": [], "without an answer": [], "that stand twice": []}
    seen: set[str] = set()
    answers: dict[str, tuple[str, str]] = {}
    conflicts: list[str] = []
    found: dict[Split | None, list[Example]] = {}
    for row in table.rows:
        if not _any(row, layout.inputs, empty=("",)):
            left["without an input"].append(row.place)
            continue
        if layout.outputs and not _any(row, layout.outputs):
            left["without an answer"].append(row.place)
            continue
        example = _example(row, layout)
        inputs, outputs = stable_hash(example.inputs), canonical_json(example.expected)
        whole = canonical_json([row.split, {**record(example), "id": ""}])
        if whole in seen:
            left["that stand twice"].append(row.place)
            continue
        seen.add(whole)
        place, answer = answers.setdefault(inputs, (row.place, outputs))
        if answer != outputs:
            conflicts.append(f"{row.place} against {place}")
        found.setdefault(row.split, []).append(example)
    for what, places in left.items():
        if places:
            mend = "nothing to do" if what == "that stand twice" else "fill them"
            notes.append(Guess("left out", f"{count(len(places), 'row')} {what}", some(places), mend))
    if conflicts:
        told = f"{count(len(conflicts), 'row')} with the inputs of another row and another answer"
        notes.append(
            Guess("contradictions", told, f"{some(conflicts)}; kept, in one split", "mend or remove one of each")
        )
    return found


def record(row: Example) -> dict[str, Any]:
    """A row as it is written: its id, fields and other columns by their names."""
    head = {"id": row.extra["id"]} if "id" in row.extra else {}
    return {**head, **row.inputs, **row.expected, **row.extra}


def split_rows(
    rows: Rows, fractions: Sequence[float], most: int, where: str, notes: list[Guess]
) -> dict[Split, list[Example]]:
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
    made = (
        _completed(_without_leaks(rows, notes), fractions, where, notes)
        if any(split for split in rows)
        else divide(rows[None], fractions, where)
    )
    large = [f"{len(made[split]):,} {split}" for split in SPLITS if len(made[split]) > most]
    if large:
        told = f"{most:,} of {' and of '.join(large)}"
        notes.append(Guess("rows taken", told, "drawn by a fixed rule; the rest stays in your file", "--most N"))
    order = {row.place: number for number, row in enumerate(row for each in rows.values() for row in each)}
    return {split: sorted(_at_most(made[split], most), key=lambda row: order[row.place]) for split in SPLITS}


def crossing(rows: Rows) -> bool:
    """Whether the user's own files have rows of one group in two splits."""
    groups = Counter(group for each in rows.values() for group in {row.group for row in each if row.group})
    return any(splits > 1 for splits in groups.values())


def _example(row: Row, layout: Layout) -> Example:
    inputs = {field: kind.fit(row.values.get(column)) for column, (field, kind) in layout.inputs.items()}
    outputs = {field: kind.fit(row.values.get(column)) for column, (field, kind) in layout.outputs.items()}
    extra: dict[str, Any] = {"id": row.values[layout.id]} if layout.id else {}
    extra |= {name: row.values.get(column) for column, name in layout.extras.items()}
    group = group_of(row.values.get(layout.group)) if layout.group else ""
    return Example("", inputs, outputs, group, extra, place=row.place)


def _any(row: Row, columns: Mapping[str, Any], *, empty: tuple[str, ...] = ()) -> bool:
    values = [row.values.get(column) for column in columns]
    return any(value is not None and not (isinstance(value, str) and value.strip() in empty) for value in values)


def _without_leaks(by_split: Rows, notes: list[Guess]) -> dict[Split, list[Example]]:
    kept: dict[Split, list[Example]] = {}
    later: dict[str, Split] = {}
    for split in reversed(SPLITS):
        rows = [(stable_hash(row.inputs), row) for row in by_split.get(split, ())]
        leaks = [row.place for key, row in rows if key in later]
        kept[split] = [row for key, row in rows if key not in later]
        later |= {key: split for key, _ in rows}
        if leaks:
            told = f"{count(len(leaks), 'row')} of {split} with the inputs of a row of another split"
            notes.append(Guess("left out", told, f"{some(leaks)}: splits share no example", "nothing to do"))
    return kept


def _completed(
    made: dict[Split, list[Example]], fractions: Sequence[float], where: str, notes: list[Guess]
) -> dict[Split, list[Example]]:
    """A split that no file gives is taken from the largest that is given."""
    shares: dict[Split, float] = dict(zip(SPLITS, fractions, strict=True))
    lacking: list[Split] = [split for split in SPLITS if not made[split] and shares[split] > 0]
    if not lacking:
        return made
    largest: Split = max(SPLITS, key=lambda split: len(made[split]))
    parts: dict[Split, float] = {split: shares[split] if split in lacking else 0.0 for split in SPLITS}
    parts[largest] = shares[largest] or 1 / 3
    total = sum(parts.values())
    taken = divide(made[largest], [parts[split] / total for split in SPLITS], where)
    told = f"{' and '.join(lacking)} taken from the rows of {largest}"
    notes.append(Guess("missing splits", told, "no rows are named for it", "give a file for each, or --split"))
    return {split: taken[split] if split in (largest, *lacking) else made[split] for split in SPLITS}


def _at_most(rows: list[Example], most: int) -> list[Example]:
    """The rows; where there are more than `most`, a part with its share of each label."""
    if len(rows) <= most:
        return rows
    share = most / len(rows)
    return divide(rows, [share, 1 - share, 0.0], "")["train"][:most]
