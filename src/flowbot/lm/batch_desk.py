"""The calls of one model that wait for a batch: what is under way of them is looked at, what is not is submitted.

A batch is recorded in the store before it is submitted, under a token that the provider keeps with it. So wherever the process ends,
the next one finds out what became of it: nothing is submitted twice, and its results are found by the calls' keys, in any order.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol

from flowbot.fields import InfrastructureError, Usage, stable_hash
from flowbot.fields.words import count

from .batch_forms import Batches, Body
from .rows import read_batch

if TYPE_CHECKING:
    from .flight import Flight
    from .openai import OpenAIClient

FEWEST = 10
"""Calls of a batch; fewer are made at once."""
SUBMITS = 4
_log = logging.getLogger(__name__)


class BatchBill(Protocol):
    """What is used of a `Bill`, which knows of connections, as they know of this."""

    key: str
    purpose: str
    account: Any
    session: Any

    def settle(self, took: Usage) -> None:
        """As of `Bill`."""

    async def wasted(self, took: Usage) -> None:
        """The same."""

    def at_once(self) -> None:
        """The same."""


@dataclass(slots=True)
class Parked:
    """A call that waits; its answer is None where it is to be made at once."""

    body: dict[str, Any]
    flight: Flight
    answer: asyncio.Future[dict[str, Any] | None]


@dataclass(slots=True)
class Desk:
    """The calls of one model."""

    client: OpenAIClient
    batches: Batches
    name: str
    bill: BatchBill
    parked: dict[str, Parked] = field(default_factory=dict[str, Parked])
    delivering: bool = False
    """Whether answers were handed out of which the record does not know yet."""

    def tell(self, text: str) -> None:
        """Say something of the model in a line."""
        _log.info("%s: %s", self.name, text)
        if self.bill.session.on_retry is not None:
            self.bill.session.on_retry(f"{self.name}: {text}")

    async def look(self) -> tuple[bool, str]:
        """Look at what is under way, submit what is not; whether somebody got an answer, and what is left under way."""
        store, waiting, under_way, delivered = self.bill.session.store, dict(self.parked), [0, 0], False
        records = {key: read_batch(row) for key, row in (await store.items("batch")).items()}
        of_model = {key: row for key, row in records.items() if row["model"] == self.bill.account.who and row["left"]}
        for key, record in of_model.items():
            wanted = [each for each in record["left"] if waiting.pop(each, None) is not None]
            if not wanted:
                continue
            if not record["id"]:
                known = {each["id"] for each in records.values()}
                found = await self.batches.find(record["token"], record["at"], record["size"], known)
                record |= {"id": found or "", "left": record["left"] if found else []}
                await store.put(key, record, kind="batch", replace=True)
                if not found:  # it was recorded and never submitted
                    waiting |= {each: self.parked[each] for each in wanted if each in self.parked}
                    continue
            try:
                results = await self.batches.results(record["id"])
            except InfrastructureError as error:
                if error.kind != "not_found":
                    raise
                results = dict[str, Body | None]()
            if results is None:
                under_way = [under_way[0] + 1, under_way[1] + len(wanted)]
                continue
            if missing := sum(results.get(each) is None for each in wanted):
                why = "failed or expired in a batch" if results else "are in a batch that failed or is gone"
                self.tell(f"{count(missing, 'call')} {why}: made at once, at the usual price")
            tasks: list[asyncio.Task[None]] = []
            self.delivering = True
            try:
                for each in wanted:
                    parked = self.parked.get(each)
                    if parked is not None and not parked.answer.done():
                        parked.answer.set_result(results.get(each))
                        if results.get(each) is not None and parked.flight.task is not None:
                            tasks.append(parked.flight.task)
                delivered = True
                if tasks:
                    await asyncio.wait(tasks)  # the record stands until all of them are stored
                record["left"] = sorted(set(record["left"]) - set(wanted))
                await store.put(key, record, kind="batch", replace=True)
            finally:
                self.delivering = False
        if 0 < len(waiting) < FEWEST:
            for parked in waiting.values():
                if not parked.answer.done():
                    parked.answer.set_result(None)
            return True, ""
        entries = iter(sorted(waiting.items()))
        while chunk := dict(islice(entries, self.batches.most)):
            await self._submit({key: parked.body for key, parked in chunk.items()})
            under_way = [under_way[0] + 1, under_way[1] + len(chunk)]
        said = f"{self.name}: {count(under_way[0], 'batch', 'batches')} of {count(under_way[1], 'call')} under way"
        return delivered, said if under_way[0] else ""

    async def _submit(self, bodies: dict[str, dict[str, Any]]) -> None:
        store, token = self.bill.session.store, secrets.token_hex(16)
        key, at = stable_hash(["batch", token]), time.time()
        record: dict[str, Any] = {
            "model": self.bill.account.who,
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
                record["id"] = await self.batches.submit(token, bodies)
                break
            except InfrastructureError as error:
                if error.fatal or tries == SUBMITS:
                    raise
                await asyncio.sleep(2.0**tries)
            if found := await self.batches.find(token, at, len(bodies), known):
                record["id"] = found
                break
        await store.put(key, record, kind="batch", replace=True)
