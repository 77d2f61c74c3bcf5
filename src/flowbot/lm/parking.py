"""Calls that wait for a batch: they are parked until every example waits, then go as one batch a model.

A batch is recorded in the store before it is submitted, under a token that the provider keeps with it. So wherever the process ends,
the next one finds out what became of it: nothing is submitted twice, and its results are found by the calls' keys, in any order.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol

from flowbot.fields import InfrastructureError, Paused, Usage, stable_hash
from flowbot.fields.words import count

from .batch_forms import Batches
from .client import Reply, Request, altered
from .rows import read_batch
from .tiers import BATCH

if TYPE_CHECKING:
    from .flight import Flight
    from .openai import OpenAIClient

PURPOSES = ("train", "val", "test", "judge")
"""What goes as a batch: running and scoring examples. Questions of a search itself are answered at once."""
FEWEST = 10
"""Calls of a batch; fewer are made at once."""
WIDTH = 10_000
"""Examples at once."""
POLL = 15.0
"""Seconds between two looks at a batch."""
SUBMITS = 4
_SETTLED = 0.2
"""Seconds for which nothing moves before a batch is made up."""
_EXAMPLE: ContextVar[list[int] | None] = ContextVar("flowbot_example", default=None)


class _Bill(Protocol):
    """What is used of a `Bill`, which knows of connections, as they know of this."""

    key: str
    purpose: str
    account: Any
    session: Any

    def settle(self, took: Usage) -> None: ...
    async def wasted(self, took: Usage) -> None: ...
    def at_once(self) -> None: ...


@dataclass(slots=True)
class _Parked:
    body: dict[str, Any]
    flight: Flight
    answer: asyncio.Future[dict[str, Any] | None]


@dataclass(slots=True)
class _Desk:
    """The calls of one model."""

    client: OpenAIClient
    batches: Batches
    name: str
    bill: _Bill
    parked: dict[str, _Parked] = field(default_factory=dict[str, _Parked])


class Parking:
    """Where the calls of one workbench wait.

    Failure policy: what the endpoint fails at is everybody's error who waits. Entries that failed or expired are made as ordinary calls.

    Args:
        wait: True: look again until a batch is done; otherwise the runs pause as soon as it is submitted.
    """

    def __init__(self, *, wait: bool) -> None:
        self._wait = wait
        self._desks: dict[str, _Desk] = {}
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
        self, client: OpenAIClient, name: str, request: Request, bill: _Bill, flight: Flight
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
        desk = self._desks.setdefault(f"{bill.account.who} {client.account}", _Desk(client, batches, name, bill))
        parked = desk.parked[bill.key] = _Parked(body, flight, asyncio.get_running_loop().create_future())
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
        """Look no more at batches; they are found again."""
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
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
        try:
            while True:
                rounds = [await self._round(each) for each in list(self._desks.values()) if each.parked]
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

    async def _round(self, desk: _Desk) -> tuple[bool, str]:
        """Look at what is under way of a model, submit what is not; whether somebody got an answer, and what is left under way."""
        store, waiting, under_way, delivered = desk.bill.session.store, dict(desk.parked), [0, 0], False
        records = {key: read_batch(row) for key, row in (await store.items("batch")).items()}
        of_model = {key: row for key, row in records.items() if row["model"] == desk.bill.account.who and row["left"]}
        for key, record in of_model.items():
            wanted = [each for each in record["left"] if waiting.pop(each, None) is not None]
            if not wanted:
                continue
            if not record["id"]:
                known = {each["id"] for each in records.values()}
                found = await desk.batches.find(record["token"], record["at"], record["size"], known)
                record |= {"id": found or "", "left": record["left"] if found else []}
                await store.put(key, record, kind="batch", replace=True)
                if not found:  # it was recorded and never submitted
                    waiting |= {each: desk.parked[each] for each in wanted if each in desk.parked}
                    continue
            results = await desk.batches.results(record["id"])
            if results is None:
                under_way = [under_way[0] + 1, under_way[1] + len(wanted)]
                continue
            tasks: list[asyncio.Task[None]] = []
            for each in wanted:
                parked = desk.parked.get(each)
                if parked is not None and not parked.answer.done():
                    parked.answer.set_result(results.get(each))
                    if results.get(each) is not None and parked.flight.task is not None:
                        tasks.append(parked.flight.task)
            delivered = True
            if tasks:
                await asyncio.wait(tasks)  # the record stands until all of them are stored
            record["left"] = sorted(set(record["left"]) - set(wanted))
            await store.put(key, record, kind="batch", replace=True)
        if 0 < len(waiting) < FEWEST:
            for parked in waiting.values():
                if not parked.answer.done():
                    parked.answer.set_result(None)
            return True, ""
        entries = iter(sorted(waiting.items()))
        while chunk := dict(islice(entries, desk.batches.most)):
            await self._submit(desk, {key: parked.body for key, parked in chunk.items()})
            under_way = [under_way[0] + 1, under_way[1] + len(chunk)]
        said = f"{desk.name}: {count(under_way[0], 'batch', 'batches')} of {count(under_way[1], 'call')} under way"
        return delivered, said if under_way[0] else ""

    async def _submit(self, desk: _Desk, bodies: dict[str, dict[str, Any]]) -> None:
        store, token = desk.bill.session.store, secrets.token_hex(16)
        key, at = stable_hash(["batch", token]), time.time()
        record: dict[str, Any] = {
            "model": desk.bill.account.who,
            "token": token,
            "id": "",
            "at": at,
            "size": len(bodies),
            "left": sorted(bodies),
        }
        await store.put(key, record, kind="batch", replace=True)
        known = {str(each.get("id")) for each in (await store.items("batch")).values()}
        for tries in range(1, SUBMITS + 1):
            try:
                record["id"] = await desk.batches.submit(token, bodies)
                break
            except InfrastructureError as error:
                if error.fatal or tries == SUBMITS:
                    raise
                await asyncio.sleep(2.0**tries)
            if found := await desk.batches.find(token, at, len(bodies), known):
                record["id"] = found
                break
        await store.put(key, record, kind="batch", replace=True)


def _again(error: Exception) -> Exception:
    """The error once more: one that several raise collects all their tracebacks."""
    if isinstance(error, Paused):
        return Paused(str(error), stopped_by=error.stopped_by)
    if isinstance(error, InfrastructureError):
        return InfrastructureError(str(error), kind=error.kind, fatal=error.fatal)
    return error
