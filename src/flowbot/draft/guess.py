"""What a draft says of itself: a guess, its reason, and how to change it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Guess:
    """Something that was not said and had to be found out, or was done to the data.

    Args:
        what: the matter, in a word or two.
        guess: what it was taken to be, or what was done.
        why: the reason.
        change: how the user changes it.
    """

    what: str
    guess: str
    why: str
    change: str


def counted(items: Sequence[Any] | int, what: str) -> str:
    """`1 row`, `2,000 rows`."""
    number = items if isinstance(items, int) else len(items)
    return f"{number:,} {what}{'s' * (number != 1)}"


def some(items: Sequence[str], most: int = 3) -> str:
    """The first of them, and how many more there are."""
    return ", ".join(items[:most]) + (f" and {len(items) - most:,} more" if len(items) > most else "")
