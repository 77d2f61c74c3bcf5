"""A model that can be asked: every call goes past the store, the budget and the ledger of a run to its endpoint."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from contextlib import nullcontext
from copy import copy
from dataclasses import replace
from functools import partial
from typing import Any

from flowbot.fields import BudgetExceeded, Field, ModelError, RefusedError, Usage, stable_hash

from .answers import Answer, Reader, ask_fields
from .bill import ONE_CALL, Account, Bill
from .budget import Budget
from .client import Client, Draw, Message, Reply, Request, altered, request_bytes
from .endpoint import Endpoint
from .flight import Flight
from .json_tools import as_json
from .native_tools import PREAMBLE, functions
from .prices import PriceOf, listed
from .retry import RetryPolicy
from .rows import StoredRow
from .session import Session
from .thinking import PURPOSE, QUESTION, seen_thinking_budget
from .tiers import BATCH, Tier


class LM:
    """A model, as one run asks it.

    Failure policy: an `InfrastructureError` that persists after the tries is raised and stores no response; what was served
    all the same is counted and kept. A refusal that repeats, or a context overflow, is stored and raised again on replay.
    Whoever is cancelled while a sent call is in flight leaves it to finish and be stored.

    Args:
        client: the endpoint.
        session: the run.
        name: the model string the user gave; the client's name when None.
        price: USD of a usage; by the client's price reference when None.
        retry: when a call is sent again; as the client has it when None.
        tier: the service tier that it asks in, where that changes the price.
        close: releases the client; its own `close` when None.
    """

    def __init__(
        self,
        client: Client,
        session: Session,
        *,
        name: str | None = None,
        price: PriceOf | None = None,
        retry: RetryPolicy | None = None,
        tier: Tier | None = None,
        close: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self.session = session
        self.name = name or f"{client.identity.provider}/{client.identity.name}"
        self.endpoint = Endpoint(client, session.connections, name=self.name, retry=retry)
        self._close = close or client.close
        self._closed = False
        self.identity = client.identity
        """Who answers; part of every key."""
        self._who = json.dumps(self.identity.dump(), sort_keys=True)
        self._account = Account(session, self.name, self._who, price or listed(client.price_ref), tier)
        self._room: int | None = getattr(client, "thinking", 0)
        self._learnt = 0

    @property
    def client(self) -> Client:
        """What sends."""
        return self.endpoint.client

    def cost(self, usage: Usage) -> float | None:
        """USD of a usage in the tier that the model is asked in; None where the price is unknown."""
        tier = self._account.tier
        return self._account.cost(usage, "" if tier is None else tier.asked)

    def share(self, purpose: str) -> float:
        """What a call of a purpose costs beside the usual price: less where it goes by a batch."""
        tier = self._account.tier
        return (
            1.0 if tier is None or self.endpoint.batches(self.session, purpose) is None else tier.factor(BATCH) or 1.0
        )

    def within(self, budget: Budget) -> LM:
        """The same model for the same run, its calls counted in `budget`, which is within the run's.

        >>> reply = await meta.within(run.child(calls=20)).ask(request, purpose="proposals")
        """
        return self.of(self.session.within(budget))

    def of(self, session: Session) -> LM:
        """The same model, asked by another session on the same connections."""
        part = copy(self)
        part.session = session
        part._account = replace(self._account, session=part.session)
        return part

    def key(self, request: Request, draw: Draw = ()) -> str:
        """The key under which the reply is stored."""
        data = request.dump()
        if request.schema is not None:
            # As text: the order of a schema's properties changes what a model writes, and canonical JSON forgets it.
            data["schema"] = json.dumps(request.schema)
        return stable_hash({"request": data, "model": self._who, "draw": list(draw)})

    async def limit(self, answer: int) -> int:
        """The reply limit to send for an answer of so many tokens: with room for thoughts, if the model thinks.

        Where neither the user nor the model's name tells whether it does, its reply to one small question decides. Where replies
        are not kept, those that came so far do.

        Raises:
            BudgetExceeded, InfrastructureError, Paused: as `ask`.
        """
        if self._room is None and not self.session.lasting:
            return answer + self._learnt
        if self._room is None:
            try:
                room = seen_thinking_budget(await self.ask(QUESTION, purpose=PURPOSE))
            except (ModelError, RefusedError):
                room = 0  # that tells nothing of thoughts
            self._room = room
        return answer + self._room

    async def ask(self, request: Request, *, purpose: str, draw: Draw = ()) -> Reply:
        """The reply to one request, from the store or the endpoint.

        Args:
            request: what to ask.
            purpose: what the ledger charges it to.
            draw: which sample; () at temperature 0.

        Raises:
            BudgetExceeded: before sending, if a ceiling might be passed.
            InfrastructureError: if the endpoint fails on every try, or at once when trying again cannot help.
            RefusedError: if the endpoint refuses this request on policy grounds.
            ModelError: if the request is longer than the model's context.
            Paused: if somebody asked to stop, or the seconds are over, and the reply is not stored.
        """
        session = self.session
        key = self.key(request, draw) if session.lasting else session.next_key()
        if (refused := session.admit(key)) is not None:
            await refused
        if session.lasting and key not in session.flights:
            row = self._at_hand(key, request, purpose)
            if row is not None:
                # Everybody has a turn, so that hits come in the order in which the calls were first made.
                await asyncio.sleep(0)
                return self._told(row, request, draw)
        parking = self.endpoint.parking
        while True:
            try:
                with nullcontext() if parking is None else parking.asking():
                    row = await session.flights.join(
                        key, self.endpoint, lambda flight: self._fly(key, request, purpose, draw, flight)
                    )
                break
            except BudgetExceeded as error:
                if error.budget in session.budget.path:
                    raise
                # The ceiling of another part of the run, for which the call was under way: here there may be room.
        if self._room is None and isinstance(row.reply, Reply):
            self._learnt = max(self._learnt, seen_thinking_budget(row.reply))
        return self._told(row, request, draw)

    async def again(self, key: str, *, purpose: str) -> None:
        """Count a call as if it were made again; nothing where no response to it is stored.

        Raises:
            BudgetExceeded, InfrastructureError: as `ask`.
        """
        if (refused := self.session.admit(key)) is not None:
            await refused
        value = await self.session.store.get(key)
        row = None if value is None else self._account.read(key, value)
        if row is not None and row.reply is not None:
            counted = key in self.session.charged
            await Bill(self._account, key, purpose, Usage(calls=1), counted=counted).replayed(row)

    async def ask_fields(
        self,
        messages: Sequence[Message],
        fields: Sequence[Field],
        *,
        purpose: str,
        draw: Draw = (),
        max_tokens: int = 512,
        temperature: float = 0.0,
        retries: int = 1,
        reader: Reader | None = None,
        own_words: bool = False,
    ) -> Answer:
        """Values for `fields`: plain text for a single text, JSON by schema otherwise.

        Args:
            messages: the chat so far.
            fields: what is wanted, in the order in which it is to be written.
            purpose: what the ledger charges it to.
            draw: which sample; () at temperature 0.
            max_tokens: ceiling of the answer; thoughts have room besides, see `limit`.
            temperature: 0 asks for the most likely reply.
            retries: how often an unusable reply is asked for again, with the error.
            reader: reads a reply's text, by `answers.read_values` when None.
            own_words: the messages are a prompt of the user's own. A single value of any type is then read from plain text,
                and an unusable reply is not asked for again: that would be words of ours.

        Raises:
            AnswerError: a `ModelError` that holds the replies, if none was of use.
            BudgetExceeded, InfrastructureError, RefusedError, Paused: as `ask`.
        """
        request = Request(tuple(messages), await self.limit(max_tokens), temperature, own_words=own_words)
        ask = partial(self.ask, purpose=purpose, draw=draw)
        return await ask_fields(ask, request, fields, retries=retries, reader=reader)

    async def close(self) -> None:
        """Let calls in flight finish and be stored, give up those not sent, release the client. May be called twice."""
        if self._closed:
            return
        self._closed = True
        await self.session.drain(self.endpoint)
        await self._close()

    def _at_hand(self, key: str, request: Request, purpose: str) -> StoredRow | None:
        """A response that is in memory, counted at once; None where something has to be waited for."""
        value = self.session.store.peek(key)
        if value is None:
            return None
        row = self._account.read(key, value)
        if row.reply is None:
            return None
        if key not in self.session.charged:
            bill = Bill(self._account, key, purpose, self._worst(request), counted=False)
            if row.copy or not bill.try_reserve():
                return None
            bill.charge(row, stored=True)
        return row

    def _told(self, row: StoredRow, request: Request, draw: Draw) -> Reply:
        try:
            reply = row.answer()
        except ModelError as error:
            self.session.heard(self.name, request, draw, error)
            raise
        if reply.tier == BATCH:  # what a workflow takes, and so what is decided, is the same however its calls went
            reply = altered(reply, usage=altered(reply.usage, usd=self.cost(reply.usage)))
        self.session.heard(self.name, request, draw, reply)
        return reply

    async def _fly(self, key: str, request: Request, purpose: str, draw: Draw, flight: Flight) -> StoredRow:
        store = self.session.store
        bill = Bill(self._account, key, purpose, self._worst(request, purpose), counted=key in self.session.charged)
        try:
            row = await bill.reserve()
            paid = row if row is not None else await self._pay(request, draw, flight, bill)
            if isinstance(paid, StoredRow):
                await bill.replayed(paid)
                return paid
            flight.paid = True
            if isinstance(paid, Reply) and not self.session.lasting:  # nobody will read it from a row
                row = bill.unkept(paid)
                bill.charge(row, stored=False)
                return row
            value = bill.kept(paid.dump() if isinstance(paid, Reply) else paid)
            row = self._account.read(key, await store.put(key, value, kind="lm"))
            if row.reply is None:  # what only holds a response's place, under another kind than it should have
                row = self._account.read(key, await store.put(key, value, kind="lm", replace=True))
            bill.charge(row, stored=False)
            return row
        finally:
            bill.close()

    async def _pay(
        self, request: Request, draw: Draw, flight: Flight, bill: Bill
    ) -> Reply | dict[str, Any] | StoredRow:
        """Send until there is a reply, or an error that is one, unless another run stores one meanwhile."""
        self.session.cut.arm()
        sent = request
        if draw and request.seed is None and not request.body:
            # Samples that differ only in their draw must be different requests to the endpoint.
            sent = replace(request, seed=int(stable_hash(list(draw))[:7], 16))
        try:
            return await self.endpoint.send(sent, bill, flight)
        except RefusedError as error:
            return self._failed(flight, bill, {"failed": "refused", "text": str(error)})
        except ModelError as error:
            return self._failed(flight, bill, {"failed": "model", "text": str(error), "reply": error.reply})

    def _failed(self, flight: Flight, bill: Bill, value: dict[str, Any]) -> dict[str, Any]:
        """What is stored in place of a reply. The call counts as one, however often it was refused; what it took nobody says."""
        flight.sent = True
        self.session.answered_by.add(self._who)
        took = Usage(calls=1)
        self.session.ledger.pay(bill.purpose, took, model=self.name)
        bill.settle(took)
        return value

    def _worst(self, request: Request, purpose: str = "") -> Usage:
        """The most that the call can take. A token has at least one byte, so a text's bytes bound its tokens."""
        if not self.session.budget.needs_worst_case:
            return ONE_CALL
        read = request_bytes(request)
        if request.tools:
            # Not known yet is which of the two ways the endpoint takes.
            shown = len(json.dumps(functions(request.tools)))
            read = max(read + PREAMBLE + shown, request_bytes(as_json(request)))
        worst = Usage(calls=1, input_tokens=read, output_tokens=request.max_tokens)
        if not self.session.budget.limits("usd"):
            return worst
        parks = self.endpoint.batches(self.session, purpose) is not None
        usd = [self._account.cost(worst, tier) for tier in ({BATCH} if parks else {"", request.tier})]
        return altered(worst, usd=None if None in usd else max(filter(None, usd), default=0.0))
