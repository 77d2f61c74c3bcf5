"""`await fb.slot(...)`, and `fb.slot_sync(...)` in plain code: a place in a program that a sub-workflow may fill."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
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
    first, watching = _first(name, values), watcher.get()
    if watching is not None:
        return await watching.slot(name, values)
    filling = applied().slots.get(name)
    return first if filling is None else await filling(values)


def slot_sync(name: str, /, **values: object) -> Any:
    """As `slot`, in code that is not async; it waits for what fills the place.

        docs = fb.slot_sync("after_search", docs=found, question=question)

    Raises:
        TypeError: if there is no value.
    """
    first, watching = _first(name, values), watcher.get()
    if watching is not None:
        return watching.slot_sync(name, values)
    if (filling := applied().slots.get(name)) is None:
        return first

    async def filled() -> Any:
        return await filling(values)

    with ThreadPoolExecutor(1) as apart:  # a loop may run here, as in a notebook
        return apart.submit(lambda: asyncio.run(filled())).result()


def _first(name: str, values: Mapping[str, object]) -> object:
    if not values:
        raise TypeError(f"fb.slot({name!r}): no value; expected what it gives back, as docs=found")
    return next(iter(values.values()))
