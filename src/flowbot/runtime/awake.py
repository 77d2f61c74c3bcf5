"""Whether this process ran all the while: one that was stopped (Ctrl-Z) or frozen sees time-outs that are nobody's fault."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager, suppress
from typing import TypeVar

T = TypeVar("T")

TRIES = 3
_TICK = 0.25
_GAP = 1.0
"""Seconds that a thread is late by, from which on the machine was not merely busy."""


class Watch:
    """A thread that looks at the clocks four times a second while somebody asks for it: time that passed and that no thread of
    this process had any of is time in which the process stood still. (A machine that sleeps is no such case: the clock of
    all time limits sleeps with it. Not the event loop's: an async tool may block that.)

    Args:
        now: seconds that passed.
        worked: seconds of processor time of this process.

    Attributes:
        stops: how often it has stood still.
    """

    def __init__(
        self, now: Callable[[], float] = time.monotonic, worked: Callable[[], float] = time.process_time
    ) -> None:
        self.stops = 0
        self._now, self._worked = now, worked
        self._last = (0.0, 0.0)
        self._asking = 0
        self._thread: threading.Thread | None = None
        self._turn = threading.Lock()

    @contextmanager
    def watching(self) -> Generator[None]:
        """`stops` counts while inside."""
        with self._turn:
            if not self._asking:
                self._last = (self._now(), self._worked())
            self._asking += 1
            if self._thread is None:
                with suppress(RuntimeError):  # no thread can be had: the stops go unseen
                    thread = threading.Thread(target=self._run, daemon=True, name="flowbot-watch")
                    thread.start()
                    self._thread = thread
        try:
            yield
        finally:
            with self._turn:
                if self._thread is not None:
                    self.look()  # whoever ends at a time-out may be here before the thread is
                self._asking -= 1

    def look(self) -> None:
        """Compare the clocks with the last time."""
        before, self._last = self._last, (self._now(), self._worked())
        late = self._last[0] - before[0] - _TICK
        self.stops += late > _GAP and self._last[1] - before[1] < late / 4

    def _run(self) -> None:
        while True:
            time.sleep(_TICK)
            with self._turn:
                if not self._asking:
                    self._thread = None
                    return
                self.look()


_WATCH = Watch()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_WATCH.__init__)  # the thread is not there, and another may have had the turn


async def undisturbed(make: Callable[[], Awaitable[T]], watch: Watch = _WATCH) -> T:
    """What `make()` gives, made again (`TRIES` times at most) where this process stood still meanwhile.

    A stored result stands for ever, and the limits of code and tools are seconds: without this, whoever stops the
    process in the midst of a call would find a time-out among the results. Not for what must not be done twice.
    """
    for _ in range(TRIES - 1):
        before = watch.stops
        with watch.watching():
            made = await make()
        if watch.stops == before:
            return made
    return await make()
