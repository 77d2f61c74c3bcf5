"""Rows that say more of an earlier one, as a record of what was served gets feedback later."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from .row import Row

AMENDS = "amends"
"""The column of a row without an id of its own that names the row it amends."""


def amended(rows: Sequence[Row]) -> list[Row]:
    """The rows, each with what later rows of the same file say of it: their columns stand, and null takes one away.

    A row amends only the id of an earlier one: what looks otherwise is a row as any.
    """
    found: list[Row] = []
    by_id: dict[str, int] = {}
    for row in rows:
        values = row.values
        at = by_id.get(str(values[AMENDS])) if AMENDS in values and "id" not in values else None
        if at is None:
            if "id" in values:
                by_id.setdefault(str(values["id"]), len(found))
            found.append(row)
            continue
        gone = {name for name, value in values.items() if value is None}
        merged = {**found[at].values, **{name: value for name, value in values.items() if name != AMENDS}}
        found[at] = replace(found[at], values={name: value for name, value in merged.items() if name not in gone})
    return found
