"""Amounts of what ceilings limit, and how much of what is left may be set aside for the closing test."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from flowbot.fields import Usage
from flowbot.lm.budget import Budget, Ceiling, Hold

FEWEST = 10
"""Test examples that room is kept for whatever the ceiling; a smaller test is run whole."""
MOST_FOR_TEST = 1 / 2
"""Share of what a ceiling leaves that the closing test may set aside, beyond `FEWEST` examples; it also leaves what validating
one finalist takes, and as much again to find it."""
BLOCK = 8
"""Test examples that are run at a time where it is not certain that all of them fit."""
MOST_STEPS = 2
"""Calls an example of the workflow that the closing test has room for before one is found."""
NAMES: tuple[Ceiling, ...] = ("calls", "tokens", "usd")
Left: TypeAlias = Mapping[Ceiling, float]
"""What is left of each ceiling that there is."""
_DUST = 1e-9
"""Less than this share is lost where amounts are divided and rounded."""


@dataclass(frozen=True, slots=True)
class Room:
    """An amount of each thing that a ceiling may limit."""

    calls: float = 0.0
    tokens: float = 0.0
    usd: float = 0.0

    @staticmethod
    def of(usage: Usage) -> Room:
        """What calls took; an unknown price counts as nothing, since no ceiling in USD is accepted with it."""
        return Room(usage.calls, usage.tokens, usage.usd or 0.0)

    def __add__(self, other: Room) -> Room:
        return Room(self.calls + other.calls, self.tokens + other.tokens, self.usd + other.usd)

    def __mul__(self, number: float) -> Room:
        return Room(self.calls * number, self.tokens * number, self.usd * number)

    def beyond(self, other: Room) -> Room:
        """What it is more than `other`, of each."""
        return Room(*(max(0.0, mine - its) for mine, its in zip(self.amounts, other.amounts, strict=True)))

    @property
    def amounts(self) -> tuple[float, float, float]:
        """In the order of `Ceiling`."""
        return self.calls, self.tokens, self.usd

    def times_in(self, left: Left, most: int) -> int:
        """How often it fits into what is left of each ceiling that there is; `most` where it always does."""
        for name, amount in zip(NAMES, self.amounts, strict=True):
            if name in left and amount > 0:
                most = min(most, math.floor(max(0.0, left[name]) / amount + _DUST))
        return most

    def hold(self, budget: Budget) -> Hold:
        """Set it aside, or as much of it as there is."""
        left = budget.left
        calls, tokens, usd = (
            max(0.0, min(each, left.get(name, each))) for name, each in zip(NAMES, self.amounts, strict=True)
        )
        return budget.hold(calls=int(calls), tokens=int(tokens), usd=usd * (1 - _DUST))


def rows_set_aside(row: Room, validation: Room, spare: Room, left: Left, test: int) -> int:
    """How many test examples to set room aside for: all, or as many as a fair share of what is left allows."""
    kept = dict(zip(NAMES, (validation * 2).amounts, strict=True))
    share: Left = {name: min(MOST_FOR_TEST * value, value - kept[name]) for name, value in left.items()}
    fewest = min(FEWEST, test)
    return max(rows_in(row, spare, share, test), rows_in(row, spare, left, fewest))


def rows_in(row: Room, spare: Room, left: Left, most: int) -> int:
    """How many rows fit, a last call's worst case included."""
    free: Left = {name: left[name] - extra for name, extra in zip(NAMES, spare.amounts, strict=True) if name in left}
    return row.times_in(free, most)


def shared(left: Left, share: float) -> Left:
    """A share of each of what is left."""
    return {name: share * value for name, value in left.items()}


def largest(rooms: Iterable[Room]) -> Room:
    """The largest of each amount."""
    columns = zip(*(each.amounts for each in [Room(), *rooms]), strict=True)
    return Room(*(max(values) for values in columns))
