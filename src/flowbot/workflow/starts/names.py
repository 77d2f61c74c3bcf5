"""Names that nothing else has."""

from __future__ import annotations

from collections.abc import Iterable

_LONGEST = 48
"""Characters that are kept of a name; a field's name has at most 64."""


def free(wish: str, taken: Iterable[str]) -> str:
    """The wished name, cut if it is very long, with underscores after it until nothing else has it."""
    names = set(taken)
    name = wish[:_LONGEST]
    while name in names:
        name += "_"
    return name
