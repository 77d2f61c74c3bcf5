"""How much a run tries: a planned number of search calls, never a ceiling."""

from __future__ import annotations

from typing import Literal, TypeAlias

from flowbot.fields import UserError
from flowbot.fields.numbers import shown

EffortName = Literal["low", "medium", "high"]
Effort: TypeAlias = EffortName | int
"""A name, or a whole number of planned search calls."""
EFFORTS: dict[EffortName, int] = {"low": 200, "medium": 500, "high": 2000}
MOST = 1_000_000


def planned_calls(effort: object, where: str = "effort") -> int:
    """The planned search calls of an effort; a text of digits counts as the number.

    Raises:
        UserError: if it is neither a name nor a whole number from 1 on.
    """
    if isinstance(effort, str) and effort in EFFORTS:
        return EFFORTS[effort]
    number = (
        int(effort)
        if isinstance(effort, str) and effort.isascii() and effort.isdigit() and len(effort) < 10
        else effort
    )
    if isinstance(number, int) and not isinstance(number, bool) and 1 <= number <= MOST:
        return number
    expected = f"low, medium, high, or a whole number of search calls from 1 to {MOST:,}"
    raise UserError(where, shown(effort), expected)
