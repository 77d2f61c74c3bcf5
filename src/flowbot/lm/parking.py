"""Calls that wait for a batch: they are parked until every example waits, then go as one batch a model."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from flowbot.fields import DeniedError, InfrastructureError, Paused

from .batch_desk import Desk, Parked
from .batch_forms import Body
from .client import Request

if TYPE_CHECKING:
    from .flight import Flight

PURPOSES = ("train", "val", "test", "judge")
"""What goes as a batch: running and scoring examples. Questions of a search itself are answered at once."""
WIDTH = 10_000
"""Examples at once."""
POLL = 15.0
"""Seconds between two looks at a batch."""
LOOKS, TRIES = 20, 4
"""Looks at batches that fail one after the other before who waits for them gives up; and who only leaves or fetches one."""
_SETTLED = 0.2
"""Seconds for which nothing moves before a batch is made up."""
_STUCK = 60.0
"""Seconds after which one is made up although some examples wait for no model: they may wait for what others hold, as a thread."""
AT_ONCE = 1_000
"""Programs, and threads of programs, at the same time where calls wait for batches: a waiting one does nothing."""
_EXAMPLE: ContextVar[list[int] | None] = ContextVar("flowbot_example", default=None)


class Parking:
    """Where the calls of one workbench wait.

    Failure policy: what the endpoint fails at is everybody's error who waits, once it failed `LOOKS` or `TRIES` times. Entries that
    failed or expired are made as ordinary calls; that is told in a line.

    Args:
        wait: True: look again until a batch is done; otherwise the runs pause as soon as it is submitted.
        fewest: calls of a batch at least; fewer are made at once.
    """

    def __init__(self, *, wait: bool, fewest: int) -> None:
        self._wait, self._fewest = wait, fewest
        self._desks: dict[object, Desk] = {}
        self._busy = self._blocked = self._moving = self._faults = 0
        self._timer: asyncio.TimerHandle | None = None
        self._last: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    @contextmanager
    def example(self) -> Generator[None]:
        """An example is worked on."""
        reset = _EXAMPLE.set([0])
        self._busy += 1
        try:
            yield
        finally:
            _EXAMPLE.reset(reset)
            self._busy -= 1
            self._changed()

    @contextmanager
    def asking(self) -> Generator[None]:
        """An example waits for a call."""
        asks = _EXAMPLE.get()
        if asks is None:
            yield
            return
        asks[0] += 1
        self._blocked += asks[0] == 1
        self._changed()
        try:
            yield
        finally:
            asks[0] -= 1
            self._blocked -= asks[0] == 0

    @contextmanager
    def moving(self) -> Generator[None]:
        """A call is under way that is made at once. One that waits for room in a budget is not: parked calls may keep that room."""
        self._moving += 1
        try:
            yield
        finally:
            self._moving -= 1
            self._changed()

    async def answer(self, key: str, request: Request, flight: Flight, to: Desk) -> Body | None:
        """The answer that a batch brings; None where the call is to be made at once.

        Args:
            key: of the call.
            request: what is asked.
            flight: of the call.
            to: who is asked; of equal ones that which has calls already is taken.

        Raises:
            Paused: if a batch is at work, or failed.
            InfrastructureError: if the endpoint fails.
        """
        desk = self._desks.get(to.account)
        if desk is None or not desk.parked:  # the client of an earlier run may be closed
            desk = self._desks[to.account] = to
        parked = desk.parked[key] = Parked(request, flight, asyncio.get_running_loop().create_future())
        self._changed()
        try:
            return await parked.answer
        finally:
            if desk.parked.get(key) is parked:
                del desk.parked[key]

    async def close(self) -> None:
        """Look no more at batches; they are found again. What is being handed out is recorded first."""
        for timer in (self._timer, self._last):
            if timer is not None:
                timer.cancel()
        if self._task is not None:
            if not any(each.delivering for each in self._desks.values()):
                self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    @property
    def _may(self) -> bool:
        return self._task is None and not self._moving and any(each.parked for each in self._desks.values())

    @property
    def _ready(self) -> bool:
        return self._may and self._blocked >= self._busy

    def _changed(self, seconds: float = 0.0) -> None:
        loop = asyncio.get_running_loop()
        if self._ready and self._timer is None:
            self._timer = loop.call_later(max(seconds, _SETTLED), self._begin)
        if self._last is not None:
            self._last.cancel()
        self._last = loop.call_later(max(seconds, _STUCK), self._begin_anyway) if self._may else None

    def _begin(self) -> None:
        self._timer = None
        if self._ready:
            self._task = asyncio.get_running_loop().create_task(self._work())
        else:
            self._changed()

    def _begin_anyway(self) -> None:
        self._last = None
        if self._may and self._timer is None:  # which is no sooner than the endpoint asked for
            self._task = asyncio.get_running_loop().create_task(self._work())

    async def _work(self) -> None:
        """One look. While a batch is at work the next comes in a while, also where other calls are made meanwhile."""
        rest = 0.0
        try:
            rest = await self._look()
            self._faults = 0
        except InfrastructureError as error:
            self._faults += 1
            if error.fatal or error.kind == "disk" or self._faults >= (LOOKS if self._wait else TRIES):
                self._give_up(error)
            rest = error.retry_after or (POLL if self._wait else 2.0**self._faults)
        except Exception as error:
            self._give_up(error)
        finally:
            self._task = None
            self._changed(rest)

    async def _look(self) -> float:
        """Seconds until the next one."""
        found = [await each.look(self._fewest) for each in list(self._desks.values()) if each.parked]
        left = "; ".join(said for _, said in found if said)
        if any(delivered for delivered, _ in found) or not left:
            return 0.0
        if not self._wait:
            raise Paused(left, stopped_by="batch")
        return POLL

    def _give_up(self, error: Exception) -> None:
        self._faults = 0
        for parked in [one for each in self._desks.values() for one in each.parked.values()]:
            if not parked.answer.done():
                parked.answer.set_exception(_again(error))


def _again(error: Exception) -> Exception:
    """The error once more: one that several raise collects all their tracebacks."""
    if isinstance(error, Paused):
        return Paused(str(error), stopped_by=error.stopped_by)
    if isinstance(error, InfrastructureError):
        if error.kind == "not_found":
            return DeniedError(str(error), "this endpoint has no batches: go without --batch", kind=error.kind)
        return InfrastructureError(str(error), kind=error.kind, fatal=error.fatal)
    return error
