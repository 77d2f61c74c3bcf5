"""Numbers that a user gives: kinds and ranges that make sense."""

from __future__ import annotations

from typing import TypeGuard

from .errors import UserError
from .words import kind_of
from .yaml_core import MOST_BITS, TOO_LONG

LEAST, MOST = 1e-12, 10**15
"""Less, and more, than any run calls, reads, writes, costs or waits."""


def require_above_0(value: object, where: str, *, whole: bool = False) -> None:
    """Refuse a limit that is none; None stands for no limit.

    Raises:
        UserError: naming `where`, unless it is a number above 0, at most `MOST`, and whole where that is wanted.
    """
    if value is None or (is_number(value) and LEAST <= value <= MOST and not (whole and value != int(value))):
        return
    expected = f"a {'whole ' if whole else ''}number above 0"
    raise UserError(
        where, shown(value), f"{expected}, at most 10^15" if is_number(value) and value > MOST else expected
    )


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether it is a number that is no truth value."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def shown(value: object) -> str:
    """A value in an error, short whatever it is."""
    if isinstance(value, int) and value.bit_length() > MOST_BITS:
        return TOO_LONG
    if value is None or isinstance(value, int | float | str):
        text = repr(value[:80] if isinstance(value, str) else value)
        return text if len(text) <= 60 else text[:57] + "…"
    return kind_of(value)
