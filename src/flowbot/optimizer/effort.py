"""How much a run tries: a planned number of search calls, never a ceiling."""

from __future__ import annotations

from typing import Literal, TypeAlias, cast

from flowbot.fields import UserError
from flowbot.fields.near import one_of
from flowbot.fields.numbers import shown

EffortName = Literal["low", "medium", "high"]
Effort: TypeAlias = EffortName | int
"""A name, or a whole number of planned search calls."""
EFFORTS: dict[EffortName, int] = {"low": 200, "medium": 500, "high": 2000}
MOST = 1_000_000


def planned_calls(effort: object, where: str = "effort") -> int:
    """The planned search calls of an effort.

    Raises:
        UserError: if it is neither a name nor a whole number from 1 on.
    """
    if isinstance(effort, str) and effort in EFFORTS:
        return EFFORTS[effort]
    if isinstance(effort, int) and not isinstance(effort, bool) and 1 <= effort <= MOST:
        return effort
    found = shown(effort)
    names = one_of(found.strip("'"), EFFORTS)
    raise UserError(where, found, f"{names}, or a whole number of search calls from 1 to {MOST:,}")


def parse_effort(text: str, where: str) -> Effort:
    """An effort as it is typed.

    Raises:
        UserError: as of `planned_calls`.
    """
    effort = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else text
    planned_calls(effort, where)
    return cast("Effort", effort)
