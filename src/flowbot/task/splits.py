"""Splits: dividing one file into train, val and test, and checking that given ones are disjoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from flowbot.fields import UserError, stable_hash
from flowbot.fields.numbers import is_number, shown

from .examples import Placed
from .faults import RAISED, Faults

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")


def divide(rows: Sequence[Placed], fractions: Sequence[float], where: str) -> dict[Split, list[Placed]]:
    """Rows by split, in about these fractions. The same rows give the same splits, in whatever order they stand.

    Rows of one group, and rows with equal inputs, stay together. What stays together is taken in the order of its hash
    and goes where most rows are still wanted; a split that wants any gets at least one.

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
    wanted: dict[Split, float] = {
        split: part * len(rows) for split, part in zip(SPLITS, fractions, strict=True) if part > 0
    }
    if len(blocks) < len(wanted):
        s = "s" * (len(blocks) != 1)
        raise UserError(
            where,
            f"only {len(blocks)} row{s} or group{s} that may be parted (equal inputs count as one)",
            f"at least {len(wanted)}, one for each split: more rows, or 0 as the part of a split that is not wanted",
        )
    made: dict[Split, list[Placed]] = {split: [] for split in SPLITS}
    for index, block in enumerate(blocks):
        empty: list[Split] = [split for split in wanted if not made[split]]
        choice = empty if len(blocks) - index <= len(empty) else list(wanted)
        target = _neediest(choice, wanted, made)
        made[target].extend(block)
    return made


def _neediest(choice: Sequence[Split], wanted: Mapping[Split, float], made: Mapping[Split, Sequence[Placed]]) -> Split:
    """The split that lacks most rows; the first of equals."""
    return max(choice, key=lambda split: wanted[split] - len(made[split]))


def check_disjoint(rows: Mapping[Split, Sequence[Placed]], faults: Faults = RAISED) -> None:
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
        for placed in rows.get(split, ()):
            key = stable_hash(placed.example.inputs)
            other, place = inputs.setdefault(key, (split, placed.place))
            with faults:
                if other != split:
                    found = f"the same inputs as {place} ({other})"
                    raise UserError(placed.place, found, "splits that share no example")
            group = placed.example.group
            other, place = groups.setdefault(group, (split, placed.place)) if group else (split, "")
            with faults:
                if other != split:
                    found = f"the group {_short(group)} of {place} ({other})"
                    raise UserError(placed.place, found, "splits that share no group")


def _short(group: str) -> str:
    return repr(group if len(group) <= 60 else group[:57] + "…")


def _together(rows: Sequence[Placed]) -> list[list[Placed]]:
    """Blocks of rows that may not be parted, and the rows in them, in an order that only their content decides."""
    parent = list(range(len(rows)))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    first: dict[tuple[str, str], int] = {}
    hashes = [stable_hash(placed.example.inputs) for placed in rows]
    for index, placed in enumerate(rows):
        keys = [("inputs", hashes[index])]
        if placed.example.group:
            keys.append(("group", placed.example.group))
        for key in keys:
            parent[root(index)] = root(first.setdefault(key, index))
    blocks: dict[int, list[int]] = {}
    for index in range(len(rows)):
        blocks.setdefault(root(index), []).append(index)
    ordered = [sorted(block, key=lambda index: (hashes[index], rows[index].example.id)) for block in blocks.values()]
    return [[rows[index] for index in block] for block in sorted(ordered, key=lambda block: hashes[block[0]])]
