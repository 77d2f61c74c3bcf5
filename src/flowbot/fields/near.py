"""What somebody may have meant who wrote a name that there is none of."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from .words import listed


def nearest(found: object, known: Iterable[str]) -> str:
    """The known name that looks most like `found`, whatever the case; "" if none does."""
    folded = {name.casefold(): name for name in known}
    near = get_close_matches(str(found)[:80].casefold(), folded, n=1)
    return folded[near[0]] if near else ""


def one_of(found: object, known: Iterable[str]) -> str:
    """What is expected in place of `found`, for an error: the names that there are, and the nearest of them.

    >>> one_of("mediun", ["low", "medium", "high"])
    "one of low, medium, high (did you mean 'medium'?)"
    """
    names = list(known)
    told = f"one of {listed(names)}" if len(names) != 1 else names[0]
    near = nearest(found, names)
    return f"{told} (did you mean {near!r}?)" if near and len(names) > 1 else told
