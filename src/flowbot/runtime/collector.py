"""Python's cycle collector looks less often while many examples are worked on.

With thousands of calls under way every look goes through hundreds of thousands of living objects and finds nothing: measured, a third of
all the processor time at 500 calls in flight.
"""

from __future__ import annotations

import gc
from collections.abc import Generator
from contextlib import contextmanager

OBJECTS = 50_000
"""New objects between two looks."""

_before: list[tuple[int, int, int]] = []


@contextmanager
def fewer_collections() -> Generator[None]:
    """Inside, the collector looks after `OBJECTS` new objects at the earliest; what was set before is set again after.

    Blocks may nest and overlap, on one thread. A collector that looks as seldom already is left alone.
    """
    threshold = gc.get_threshold()
    _before.append(threshold)
    if 0 < threshold[0] < OBJECTS:
        gc.set_threshold(OBJECTS, *threshold[1:])
    try:
        yield
    finally:
        first = _before[0]
        _before.pop()
        if not _before:
            gc.set_threshold(*first)
