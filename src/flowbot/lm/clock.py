"""Time as clients feel it: the real clock, and a virtual one on which nothing really waits.

Everything in `lm` that waits (a fake model's latency, back-off between tries) waits on a `Clock`, so that a test of
an hour of rate limits takes milliseconds. Time never decides what is found; it only decides when a caller is woken.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Protocol

_QUIET_PASSES = 60
"""Passes of the event loop without a new sleeper after which everybody is taken to be waiting."""


class Clock(Protocol):
    """What can be waited on."""

    def now(self) -> float:
        """Seconds since some fixed moment; never goes back."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return when `seconds` have passed on this clock."""
        ...


class RealClock:
    """The machine's clock."""

    def now(self) -> float:
        """Seconds of the monotonic clock."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Really wait."""
        await asyncio.sleep(max(0.0, seconds))


class VirtualClock:
    """A clock that jumps to the next sleeper's time as soon as the event loop has nothing else to do.

    Sleepers wake in the order of their times; those of one time in the order in which they went to sleep, together.
    Work in other threads does not keep the time from moving; wrap the wait for it in `hold()` where that matters.
    One event loop at a time: sleepers of a loop that has ended are forgotten, the time stays.
    """

    def __init__(self) -> None:
        self._now = 0.0
        self._order = 0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._driving = False
        self._quiet = 0
        self._holds = 0

    def now(self) -> float:
        """Virtual seconds since the clock was made."""
        return self._now

    async def sleep(self, seconds: float) -> None:
        """Wait on this clock only: returns after a few passes of the event loop."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._loop, self._driving = loop, False
            self._sleepers.clear()
        woken = loop.create_future()
        self._order += 1
        self._quiet = 0
        heapq.heappush(self._sleepers, (self._now + seconds, self._order, woken))
        if not self._driving:
            self._driving = True
            loop.call_soon(self._drive, loop)
        await woken

    @contextmanager
    def hold(self) -> Generator[None]:
        """Keep the time still inside the block, for one while another thread works."""
        self._holds += 1
        try:
            yield
        finally:
            self._holds -= 1

    def _drive(self, loop: asyncio.AbstractEventLoop) -> None:
        if loop is not self._loop:
            return
        while self._sleepers and self._sleepers[0][2].done():  # cancelled while asleep
            heapq.heappop(self._sleepers)
        if not self._sleepers:
            self._driving = False
            return
        if self._holds:
            self._quiet = 0
            loop.call_later(0.001, self._drive, loop)
            return
        self._quiet += 1
        if self._quiet >= _QUIET_PASSES:
            self._advance()
        loop.call_soon(self._drive, loop)

    def _advance(self) -> None:
        self._quiet = 0
        self._now = self._sleepers[0][0]
        while self._sleepers and self._sleepers[0][0] <= self._now:
            _, _, woken = heapq.heappop(self._sleepers)
            if not woken.done():
                woken.set_result(None)
