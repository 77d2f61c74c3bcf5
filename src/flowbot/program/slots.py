"""`await fb.slot(...)`: a place in a program that a sub-workflow may fill."""

from __future__ import annotations

from typing import Any

from .applied import applied
from .watching import watcher


async def slot(name: str, /, **values: object) -> Any:
    """A place that may be filled: it gives back the first value, or what fills the place makes of it.

        docs = await fb.slot("after_search", docs=found, question=question)

    Args:
        name: the place's name.
        values: what the place may change (the first), and what may be read there.

    Raises:
        TypeError: if there is no value.
    """
    if not values:
        raise TypeError(f"fb.slot({name!r}): no value; expected what it gives back, as docs=found")
    watching = watcher.get()
    if watching is not None:
        return await watching.slot(name, values)
    filling = applied().slots.get(name)
    return next(iter(values.values())) if filling is None else await filling(values)
