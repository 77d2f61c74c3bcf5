"""Splits: dividing one file into train, val and test, and checking that given ones are disjoint."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from flowbot.fields import UserError, canonical_json, stable_hash
from flowbot.fields.numbers import is_number, shown
from flowbot.fields.words import cut

from .example import Example
from .faults import RAISED, Faults

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")
_CALLED: Mapping[Split, tuple[str, ...]] = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "dev", "devel", "development"),
    "test": ("test", "testing", "heldout"),
}


def split_called(word: object) -> Split | None:
    """The split that files, cells and data sets call so, in small letters or large ones."""
    told = str(word).strip().casefold()
    return next((split for split in SPLITS if told in _CALLED[split]), None)


def divide(rows: Sequence[Example], fractions: Sequence[float], where: str) -> dict[Split, list[Example]]:
    """Rows by split, in about these fractions. The same rows give the same splits, in whatever order they stand.

    Rows of one group, and rows with equal inputs, stay together. What stays together is taken label by label, in the
    order of its hash, and goes to the split that is then least full: so every split has its share of each label. A split
    that wants any row gets at least one.

    Args:
        rows: examples of one file.
        fractions: for train, val and test; they sum to 1.
        where: how errors name the request.

    Raises:
        UserError: if the fractions are none, or there is too little to give every split its part.
    """
    shares = len(fractions) == 3 and all(is_number(part) and 0 <= part <= 1 for part in fractions)
    if not shares or abs(sum(fractions) - 1) > 1e-6:
        found = f"[{', '.join(map(shown, fractions[:10]))}]"
        raise UserError(where, found, "three fractions for train, val and test that sum to 1")
    blocks = _together(rows)
    wanted: dict[Split, float] = {split: part for split, part in zip(SPLITS, fractions, strict=True) if part > 0}
    if len(blocks) < len(wanted):
        s = "s" * (len(blocks) != 1)
        raise UserError(
            where,
            f"only {len(blocks)} row{s} or group{s} that may be parted (equal inputs count as one)",
            f"at least {len(wanted)}, one for each split: more rows, or 0 as the part of a split that is not wanted",
        )
    made: dict[Split, list[Example]] = {split: [] for split in SPLITS}
    for index, block in enumerate(blocks):
        empty: list[Split] = [split for split in wanted if not made[split]]
        choice = empty if len(blocks) - index <= len(empty) else list(wanted)
        # D'Hondt's rule: whole shares come out exactly, and what follows one another is spread over the splits.
        target = min(choice, key=lambda split: (len(made[split]) + len(block)) / wanted[split])
        made[target].extend(block)
    return made


def check_disjoint(rows: Mapping[Split, Sequence[Example]], faults: Faults = RAISED) -> None:
    """Refuse rows with equal inputs, or of one group, in two splits.

    Args:
        rows: examples by split.
        faults: where the faults of single rows go.

    Raises:
        UserError: naming both places.
    """
    inputs: dict[str, tuple[Split, str]] = {}
    groups: dict[str, tuple[Split, str]] = {}
    for split in SPLITS:
        for row in rows.get(split, ()):
            key = stable_hash(row.inputs)
            other, place = inputs.setdefault(key, (split, row.place))
            with faults:
                if other != split:
                    found = f"the same inputs as {place} ({other})"
                    raise UserError(row.place, found, "splits that share no example")
            group = row.group
            other, place = groups.setdefault(group, (split, row.place)) if group else (split, "")
            with faults:
                if other != split:
                    found = f"the group {cut(group, 60)!r} of {place} ({other})"
                    raise UserError(row.place, found, "splits that share no group")


def _together(rows: Sequence[Example]) -> list[list[Example]]:
    """Blocks of rows that may not be parted, and the rows in them, in an order that only their content decides."""
    parent = list(range(len(rows)))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    first: dict[tuple[str, str], int] = {}
    hashes = [stable_hash(row.inputs) for row in rows]
    for index, row in enumerate(rows):
        keys = [("inputs", hashes[index])]
        if row.group:
            keys.append(("group", row.group))
        for key in keys:
            parent[root(index)] = root(first.setdefault(key, index))
    blocks: dict[int, list[int]] = {}
    for index in range(len(rows)):
        blocks.setdefault(root(index), []).append(index)
    labels = _labels(rows)
    ordered = [sorted(block, key=lambda index: (hashes[index], rows[index].id)) for block in blocks.values()]
    ordered.sort(key=lambda block: (_commonest(labels[index] for index in block), hashes[block[0]]))
    return [[rows[index] for index in block] for block in ordered]


def _labels(rows: Sequence[Example]) -> list[str]:
    """What each row expects, as far as there are enough that expect it to give each split one; else ""."""
    expected = [canonical_json(row.expected) for row in rows]
    times = Counter(expected)
    return [each if times[each] >= len(SPLITS) else "" for each in expected]


def _commonest(labels: Iterable[str]) -> str:
    times = Counter(labels)
    return min(times, key=lambda label: (-times[label], label))
