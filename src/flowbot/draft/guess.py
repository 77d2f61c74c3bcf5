"""What a draft says of itself: a guess, its reason, and how to change it."""

from __future__ import annotations

from dataclasses import dataclass


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
