"""Calls that wait for a batch: they are parked until every example waits, then go as one batch a model."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from flowbot.fields import InfrastructureError, Paused

from .batch_desk import BatchBill, Desk, Parked
from .client import Reply, Request, altered
from .tiers import BATCH

if TYPE_CHECKING:
    from .flight import Flight
    from .openai import OpenAIClient

PURPOSES = ("train", "val", "test", "judge")
"""What goes as a batch: running and scoring examples. Questions of a search itself are answered at once."""
WIDTH = 10_000
"""Examples at once."""
POLL = 15.0
"""Seconds between two looks at a batch."""
LOOKS = 20
"""Looks at batches that fail one after the other before who waits for them gives up."""
_SETTLED = 0.2
"""Seconds for which nothing moves before a batch is made up."""
_EXAMPLE: ContextVar[list[int] | None] = ContextVar("flowbot_example", default=None)


class Parking:
    """Where the calls of one workbench wait.

    Failure policy: what the endpoint fails at is everybody's error who waits, with `wait` once it failed `LOOKS` times. Entries that
    failed or expired are made as ordinary calls, and so are those of a batch that the endpoint has no longer; both are told in a line.

    Args:
        wait: True: look again until a batch is done; otherwise the runs pause as soon as it is submitted.
    """

    def __init__(self, *, wait: bool) -> None:
        self._wait = wait
        self._desks: dict[str, Desk] = {}
        self._busy = self._blocked = self._moving = 0
        self._timer: asyncio.TimerHandle | None = None
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
        """A call is made at once."""
        self._moving += 1
        try:
            yield
        finally:
            self._moving -= 1
            self._changed()

    async def reply(
        self, client: OpenAIClient, name: str, request: Request, bill: BatchBill, flight: Flight
    ) -> Reply | None:
        """The reply that a batch brings; None where the call is to be made at once.

        Raises:
            Paused: if a batch is at work.
            InfrastructureError: if the endpoint fails.
            RefusedError: if it refuses the request on policy grounds.
        """
        batches = client.batches
        if batches is None or bill.purpose not in PURPOSES or not bill.session.lasting:
            return None
        asked, body = await client.asked(request)
        desk = self._desks.get(who := f"{bill.account.who} {client.account}")
        if desk is None or not desk.parked:  # the client of an earlier run may be closed
            desk = self._desks[who] = Desk(client, batches, name, bill)
        parked = desk.parked[bill.key] = Parked(body, flight, asyncio.get_running_loop().create_future())
        bill.session.cut.arm()
        self._changed()
        try:
            answer = await parked.answer
        finally:
            if desk.parked.get(bill.key) is parked:
                del desk.parked[bill.key]
        if answer is None:
            bill.at_once()
            return None
        flight.sent = True
        try:
            reply = bill.account.paid(altered(client.read(answer, asked, request), tier=BATCH), bill.purpose)
            took = reply.usage
        except InfrastructureError as error:
            if error.took is None:
                raise
            reply, took = None, bill.account.pay(error.took, bill.purpose, tier=BATCH)
        bill.settle(took)
        if reply is None or not (reply.text.strip() or reply.calls or reply.ready or reply.finish != "stop"):
            await bill.wasted(took)
            flight.sent, reply = False, None
            bill.at_once()
        return reply

    async def close(self) -> None:
        """Look no more at batches; they are found again. What is being handed out is recorded first."""
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            if not any(each.delivering for each in self._desks.values()):
                self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    @property
    def _ready(self) -> bool:
        waiting = any(each.parked for each in self._desks.values())
        return waiting and self._blocked >= self._busy and not self._moving and self._task is None

    def _changed(self) -> None:
        if self._ready and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_SETTLED, self._begin)

    def _begin(self) -> None:
        self._timer = None
        if self._ready:
            self._task = asyncio.get_running_loop().create_task(self._work())

    async def _work(self) -> None:
        faults = 0
        try:
            while True:
                try:
                    rounds = [await each.look() for each in list(self._desks.values()) if each.parked]
                except InfrastructureError as error:
                    faults += 1
                    if not self._wait or error.fatal or error.kind == "disk" or faults == LOOKS:
                        raise
                    await asyncio.sleep(POLL)
                    continue
                faults = 0
                if any(delivered for delivered, _ in rounds) or not any(said for _, said in rounds):
                    return
                if not self._wait:
                    raise Paused("; ".join(said for _, said in rounds if said), stopped_by="batch")
                await asyncio.sleep(POLL)
        except Exception as error:
            for parked in [one for each in self._desks.values() for one in each.parked.values()]:
                if not parked.answer.done():
                    parked.answer.set_exception(_again(error))
        finally:
            self._task = None
            self._changed()


def _again(error: Exception) -> Exception:
    """The error once more: one that several raise collects all their tracebacks."""
    if isinstance(error, Paused):
        return Paused(str(error), stopped_by=error.stopped_by)
    if isinstance(error, InfrastructureError):
        return InfrastructureError(str(error), kind=error.kind, fatal=error.fatal)
    return error
