"""The calls of one model that wait for a batch: what is under way of them is looked at, what is not is submitted.

A batch is recorded in the store before it is submitted, under a token that the provider keeps with it. So wherever the process ends,
the next one finds out what became of it: nothing is submitted twice, and its results are found by the calls' keys, in any order.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from flowbot.fields import InfrastructureError, Paused, stable_hash
from flowbot.fields.words import count
from flowbot.store import Store

from .batch_forms import REFUSED, Batches, Body, Results
from .client import Request
from .rows import read_batch

if TYPE_CHECKING:
    from .flight import Flight
    from .openai import OpenAIClient

MOST, MOST_BYTES = 10_000, 100_000_000
"""Calls of a batch, and bytes of their bodies; more make several."""
_GLANCE = 0.1
"""Seconds between two glances at calls whose answers were handed out."""
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Parked:
    """A call that waits; its answer is None where it is to be made at once. `again`: it was in a batch in vain."""

    request: Request
    flight: Flight
    answer: asyncio.Future[Body | None]
    again: bool = False

    def give(self, answer: Body | None) -> None:
        """Hand it out."""
        if not self.answer.done():
            self.flight.sent = answer is not None  # paid for: it is stored, whoever waits for it
            self.answer.set_result(answer)


@dataclass(slots=True)
class Desk:
    """The calls of one model.

    Args:
        client: what puts requests as the model takes them.
        batches: its batch endpoint.
        name: the model string.
        who: its identity, as text.
        store: where responses and records are.
        say: told news in a line.
    """

    client: OpenAIClient
    batches: Batches
    name: str
    who: str
    store: Store
    say: Callable[[str], None] | None
    parked: dict[str, Parked] = field(default_factory=dict[str, Parked])
    delivering: bool = False
    """Whether answers were handed out of which the record does not know yet."""

    @property
    def account(self) -> object:
        """Who pays for what: equal desks are one."""
        return self.who, self.client.account

    def tell(self, text: str) -> None:
        """Say something of the model in a line."""
        _log.info("%s: %s", self.name, text)
        if self.say is not None:
            self.say(f"{self.name}: {text}")

    async def look(self, fewest: int) -> tuple[bool, str]:
        """Look at what is under way, submit what is not; whether somebody got an answer, and what is left under way.

        Args:
            fewest: calls of a batch at least; fewer are made at once.

        Raises:
            InfrastructureError, Paused: as `Batches`.
        """
        waiting, under_way, delivered = dict(self.parked), list[int](), False
        records = {key: self._read(key, row) for key, row in (await self.store.items("batch")).items()}
        for key, record in records.items():
            wanted = [each for each in record["left"] if each in waiting] if record["model"] == self.who else []
            if not wanted or not await self._is_there(key, record, records):
                continue
            waiting = {each: parked for each, parked in waiting.items() if each not in wanted}
            try:
                results = await self.batches.results(record["id"])
            except InfrastructureError as error:
                if error.kind != "not_found":
                    raise
                if record["again"]:
                    results = dict[str, Body | None]()
                else:
                    self.tell(
                        f"a batch of {count(record['size'], 'call')} is there no more: what is left goes by another"
                    )
                    for each in {*wanted} & {*self.parked}:
                        waiting[each], self.parked[each].again = self.parked[each], True
                    await self._keep(key, record | {"left": []})
                    continue
            except Paused:
                await self._keep(key, record | {"left": []})
                raise
            if results is None:
                under_way.append(len(wanted))
                continue
            await self._hand_out(key, record, wanted, results, fewest)
            delivered = True
        if delivered:
            return True, ""  # what waits besides goes with what they ask next
        if 0 < len(waiting) < fewest:
            for parked in waiting.values():
                parked.give(None)
            return True, ""
        bodies = {key: (await self.client.asked(parked.request))[1] for key, parked in sorted(waiting.items())}
        for chunk in _chunks(bodies):
            await self._submit(chunk, again=any(waiting[key].again for key in chunk))
            under_way.append(len(chunk))
        said = f"{self.name}: {count(len(under_way), 'batch', 'batches')} of {count(sum(under_way), 'call')} under way"
        return False, said if under_way else ""

    async def _is_there(self, key: str, record: dict[str, Any], records: Mapping[str, dict[str, Any]]) -> bool:
        """Whether a batch was submitted; where the process ended before it knew, the provider does."""
        if record["id"]:
            return True
        known = {each["id"] for each in records.values()}
        found = await self.batches.find(record["token"], record["after"], record["size"], known)
        record |= {"id": found or "", "left": record["left"] if found else []}
        await self._keep(key, record)
        return found is not None

    async def _hand_out(
        self, key: str, record: dict[str, Any], wanted: list[str], results: Results, fewest: int
    ) -> None:
        """Hand out what came; the record stands until it is stored."""
        refused = [] if record["again"] else [each for each in wanted if results.get(each) == REFUSED]
        later = set(refused[1:]) if len(refused) >= fewest else set[str]()
        if later:
            self.tell(
                f"{count(len(refused), 'call')} of a batch were refused: one is made at once, the others go by another"
            )
        if missing := sum(not results.get(each) for each in wanted) - len(later):
            self.tell(f"{count(missing, 'call')} failed or expired in a batch: made at once, at the usual price")
        self.delivering = True
        try:
            given: dict[str, Parked] = {}
            taken = set[str]()
            for each in wanted:
                if (parked := self.parked.get(each)) is None or parked.answer.done():
                    continue  # given up meanwhile: it is still to be fetched
                taken.add(each)
                if each in later:
                    parked.again = True
                    continue
                if results.get(each):
                    given[each] = parked
                parked.give(results.get(each) or None)
            await _stored(given.values())
            lost = [each for each in given if await self.store.get(each) is None]  # cut off, or the disk failed
            left = set(record["left"]) - taken | set(lost)
            await self._keep(key, record | {"left": sorted(left)})
        finally:
            self.delivering = False

    async def _submit(self, bodies: dict[str, Body], *, again: bool) -> None:
        token = secrets.token_hex(16)
        key, after = stable_hash(["batch", token]), await self.batches.newest()
        size, left = len(bodies), sorted(bodies)
        record = {
            "model": self.who,
            "token": token,
            "id": "",
            "after": after,
            "size": size,
            "left": left,
            "again": again,
        }
        await self._keep(key, record)
        await self._keep(key, record | {"id": await self.batches.submit(token, bodies)})
        self.tell(f"a batch of {count(size, 'call')} is submitted")

    def _read(self, key: str, row: dict[str, Any]) -> dict[str, Any]:
        try:
            return read_batch(row)
        except ValueError:
            raise self.store.damaged(key) from None

    async def _keep(self, key: str, record: dict[str, Any]) -> None:
        await self.store.put(key, record, kind="batch", replace=True)


async def _stored(given: Iterable[Parked]) -> None:
    """Wait until calls are stored, or are to be sent by themselves since their answer was of no use: for that they may need room in a
    budget that other parked calls keep."""
    while tasks := [each.flight.task for each in given if each.flight.sent and not each.flight.over]:
        await asyncio.wait([task for task in tasks if task is not None], timeout=_GLANCE)


def _chunks(bodies: Mapping[str, Body]) -> Iterator[dict[str, Body]]:
    """As many at a time as a batch may have."""
    chunk, room = dict[str, Body](), MOST_BYTES
    for key, body in bodies.items():
        size = len(json.dumps(body))
        if chunk and (len(chunk) == MOST or size > room):
            yield chunk
            chunk, room = {}, MOST_BYTES
        chunk[key] = body
        room -= size
    if chunk:
        yield chunk
