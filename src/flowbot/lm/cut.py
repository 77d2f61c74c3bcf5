"""The end of calls under way when a run must end: they get a short grace, then they are cut off."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from weakref import ref

from flowbot.fields import Paused

from .budget import Budget
from .flight import Flights, Strays
from .stop import StopSignal

GRACE = 10.0
"""Seconds that calls under way have when somebody asked to stop or the seconds are over: what ends by then is stored."""

_AFTER = 0.01
"""Seconds: an event loop's clock may be a little ahead of the budget's."""


class Cut:
    """Cuts off the calls of one run. What was not sent is given up at once.

    Args:
        flights: the calls under way.
        strays: second sendings under way.
        budget: for its seconds.
        stop: the wish to stop.
    """

    def __init__(self, flights: Flights, strays: Strays, budget: Budget, stop: StopSignal) -> None:
        self._flights = flights
        self._strays = strays
        self._budget = budget
        self._stop = stop
        self._loop: asyncio.AbstractEventLoop | None = None

    def arm(self) -> None:
        """From now on the calls on this event loop end in time. Costs nothing when it is so already."""
        loop = asyncio.get_running_loop()
        if self._loop is loop:
            return
        self._loop = loop
        if (left := self._budget.seconds_left) is not None:
            # Held weakly: a loop that goes on for longer than the run must not keep it.
            loop.call_later(left + _AFTER, _over, ref(self))
        self._stop.listen(self)

    def time_is_over(self) -> None:
        """The seconds are over."""
        self._begin(self._budget.check_time)

    def asked(self, reason: str) -> None:
        """Somebody asked to stop. From any thread."""
        # A loop that has ended meanwhile has no calls.
        with suppress(RuntimeError):
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._begin, self._stop.check)

    def _begin(self, check: Callable[[], None]) -> None:
        try:
            check()
        except Paused as pause:
            self._flights.cut(pause, sent=False)
            asyncio.get_running_loop().call_later(GRACE, self._end, pause)

    def _end(self, pause: Paused) -> None:
        self._flights.cut(pause, sent=True)
        self._strays.cut()


def _over(cut: Callable[[], Cut | None]) -> None:
    if (found := cut()) is not None:
        found.time_is_over()
