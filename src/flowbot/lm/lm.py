"""A model that can be asked: every call goes past the store, the budget, the limit of its endpoint and the ledger."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from flowbot.fields import DeniedError, Field, InfrastructureError, ModelError, RefusedError, Usage, stable_hash

from .advice import advice
from .bill import Bill
from .call import Call, EmptyReplyError, kind_of, request_bytes
from .client import Client, Identity, Message, Reply, Request, ToolUse
from .clock import Clock, RealClock
from .hedge import Hedge
from .prices import PriceOf, listed
from .retry import RetryPolicy
from .rows import read_row
from .spans import chat_span
from .thinking import PURPOSE, QUESTION, seen_room

if TYPE_CHECKING:
    from .answers import Answer, Reader
    from .flight import Flight
    from .rows import StoredRow
    from .session import Session
    from .tiers import Tier

Draw = tuple[int | str, ...]
"""Which of several samples of the same request: () at temperature 0."""


class LM:
    """A model behind a client.

    Failure policy: an `InfrastructureError` that persists after the tries is raised and stores no response; what was served
    all the same is counted and kept. A refusal that repeats, or a context overflow, is stored and raised again on replay.
    Whoever is cancelled while a sent call is in flight leaves it to finish and be stored.

    Args:
        client: the endpoint.
        session: what the run's calls share.
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
        self.client = client
        self.session = session
        self.name = name or f"{client.identity.provider}/{client.identity.name}"
        self._price = price or listed(client.price_ref)
        self._retry: RetryPolicy = retry or getattr(client, "retry", None) or RetryPolicy()
        self._tier = tier
        self._close = close or client.close
        self._closed = False
        self._identity = client.identity
        self._who = json.dumps(self._identity.dump(), sort_keys=True)
        self.gate = session.gate(client)
        self.clock: Clock = getattr(client, "clock", None) or RealClock()
        self.patient: bool = getattr(client, "patient", False)
        self._room: int | None = getattr(client, "thinking", 0)
        self._learnt = 0
        self.hedge = (
            session.hedge(Hedge(client, self.gate, self.clock, session.may_send)) if session.pace.hedge else None
        )

    @property
    def identity(self) -> Identity:
        """Who answers; part of every key."""
        return self._identity

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
                room = seen_room(await self.ask(QUESTION, purpose=PURPOSE))
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
        key = self.key(request, draw)
        session = self.session
        if key not in session.flights:
            row = self._at_hand(key, request, purpose)
            if row is not None:
                # Everybody has a turn, so that hits come in the order in which the calls were first made.
                import asyncio

                await asyncio.sleep(0)
                return row.answer()
        row = await session.flights.join(key, self, lambda flight: self._fly(key, request, purpose, draw, flight))
        if self._room is None and isinstance(row.reply, Reply):
            self._learnt = max(self._learnt, seen_room(row.reply))
        return row.answer()

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
        from .answers import ask_fields

        request = Request(tuple(messages), await self.limit(max_tokens), temperature, own_words=own_words)
        return await ask_fields(self, request, fields, purpose=purpose, draw=draw, retries=retries, reader=reader)

    async def close(self) -> None:
        """Let calls in flight finish and be stored, give up those not sent, release the client. May be called twice."""
        if self._closed:
            return
        self._closed = True
        await self.session.flights.drain(self)
        await self.session.settle_hedges()
        await self._close()

    def _at_hand(self, key: str, request: Request, purpose: str) -> StoredRow | None:
        """A response that is in memory, counted at once; None where something has to be waited for."""
        value = self.session.store.peek(key)
        if value is None:
            return None
        row = self._read(key, value)
        if row.reply is None:
            return None
        if key not in self.session.charged:
            bill = Bill(self, key, purpose, self._worst(request), counted=False)
            if row.copy or not bill.try_reserve():
                return None
            bill.charge(row, stored=True)
        return row

    def _read(self, key: str, value: Any) -> StoredRow:
        """A stored value that was checked.

        Raises:
            InfrastructureError: if it is not what is stored there.
        """
        try:
            row = read_row(value)
        except ValueError:
            raise self.session.store.damaged(key) from None
        if row.reply is not None:
            self.session.heard.add(self._who)
        return row

    async def _fly(self, key: str, request: Request, purpose: str, draw: Draw, flight: Flight) -> StoredRow:
        session = self.session
        bill = Bill(self, key, purpose, self._worst(request), counted=key in session.charged)
        try:
            await bill.reserve()
            value = await session.store.get(key)
            row = None if value is None else self._read(key, value)
            if row is not None and row.reply is not None:
                await bill.replayed(row)
                return row
            if row is not None and row.besides is not None:
                await bill.resume(row.besides)
            value = bill.kept(await self._pay(key, request, purpose, draw, flight, bill))
            flight.paid = True
            row = self._read(key, await session.store.put(key, value, kind="lm"))
            if row.reply is None:  # what only holds a response's place, under another kind than it should have
                row = self._read(key, await session.store.put(key, value, kind="lm", replace=True))
            bill.charge(row, stored=False)
            return row
        finally:
            bill.close()

    async def _pay(
        self, key: str, request: Request, purpose: str, draw: Draw, flight: Flight, bill: Bill
    ) -> dict[str, Any]:
        """Send until there is a reply, or an error that is one."""
        self.session.cut.arm()
        sent = request
        if draw and request.seed is None:
            # Samples that differ only in their draw must be different requests to the endpoint.
            sent = replace(request, seed=int(stable_hash(list(draw))[:7], 16))
        try:
            with chat_span(self._identity, sent, model=self.name, purpose=purpose, key=key) as span:
                call = Call(self, sent, purpose, key, flight, span, bill)
                try:
                    reply = await call.send()
                except (InfrastructureError, RefusedError) as fault:
                    reply = await self._again(fault, call, seed=int(key[:8], 16))
                span.replied(reply)
        except RefusedError as error:
            return self._failed(flight, bill, purpose, {"failed": "refused", "text": str(error)})
        except ModelError as error:
            return self._failed(flight, bill, purpose, {"failed": "model", "text": str(error), "reply": error.reply})
        return reply.dump()

    async def _again(self, fault: Exception, call: Call, *, seed: int) -> Reply:
        """Send a call again whose first try met `fault`, as long as the policy says."""
        session = self.session
        first: Exception | None = fault

        async def sleep(seconds: float) -> None:
            await session.stop.unless(self.clock.sleep(seconds))

        def tell(tries: int, wait: float, error: BaseException) -> None:
            call.note("call.retry", "try %d: %s; again in %.1f s", tries, error, wait, wait=wait, kind=kind_of(error))
            session.retried(f"{self.name}: {error}; trying again in {wait:.0f} s", self.clock.now())

        async def once() -> Reply:
            nonlocal first
            if first is not None:
                error, first = first, None
                raise error
            return await call.send()

        tries = self._retry.retrying(seed, sleep, tell, lambda: self.gate.hopeless)
        try:
            reply: Reply = await tries(once)  # pyright: ignore[reportUnknownVariableType]
        except EmptyReplyError as error:
            return error.reply  # that is what the model has to say
        except InfrastructureError as error:
            number = tries.statistics.get("attempt_number", 1)
            text = f"{self.name}: {error}" + (f" (tried {number} times)" if number > 1 else "")
            if error.fatal and error.kind != "disk" and self._who not in session.heard:
                raise DeniedError(text, advice(self.name, error), kind=error.kind) from error.__cause__
            raise InfrastructureError(
                text, kind=error.kind, fatal=error.fatal, retry_after=error.retry_after
            ) from error.__cause__
        return reply

    def _failed(self, flight: Flight, bill: Bill, purpose: str, value: dict[str, Any]) -> dict[str, Any]:
        """What is stored in place of a reply. The call counts as one, however often it was refused; what it took nobody says."""
        flight.sent = True
        self.session.heard.add(self._who)
        took = Usage(calls=1)
        self.session.ledger.pay(purpose, took, model=self.name)
        bill.settle(took)
        return value

    def paid(self, reply: Reply, purpose: str) -> Reply:
        """The reply with its price, counted as paid."""
        self.session.heard.add(self._who)
        usage = self.pay(replace(reply.usage, seconds=reply.seconds), purpose, tier=reply.tier)
        calls = tuple(ToolUse(_clean(call.name), _clean(call.arguments)) for call in reply.calls)
        return replace(reply, text=_clean(reply.text), calls=calls, usage=usage)

    def pay(self, took: Usage, purpose: str, *, tier: str = "") -> Usage:
        """A usage with its price, counted as paid; `tier` is the service tier that the endpoint says it was served in."""
        took = replace(took, usd=self._cost(took, tier))
        self.session.ledger.pay(purpose, took, model=self.name)
        return took

    def repriced(self, usage: Usage, *, tier: str = "") -> Usage:
        """What was paid when the price was not known, at the price that is known by now."""
        usd = self._cost(usage, tier) if usage.usd is None else usage.usd
        return replace(usage, usd=usd)

    def _cost(self, took: Usage, tier: str) -> float | None:
        usd, factor = self._price(took), 1.0 if self._tier is None else self._tier.factor(tier)
        return None if usd is None or factor is None else usd * factor

    def _worst(self, request: Request) -> Usage:
        """The most that the call can take. A token has at least one byte, so a text's bytes bound its tokens."""
        if not self.session.budget.needs_worst_case:
            return Usage(calls=1)
        read = request_bytes(request)
        if request.tools:
            # Not known yet is which of the two ways the endpoint takes.
            from .json_tools import as_json
            from .native_tools import PREAMBLE, functions

            shown = len(json.dumps(functions(request.tools)))
            read = max(read + PREAMBLE + shown, request_bytes(as_json(request)))
        worst = Usage(calls=1, input_tokens=read, output_tokens=request.max_tokens)
        return worst if self.session.budget.usd is None else replace(worst, usd=self._cost(worst, ""))


def _clean(text: str) -> str:
    """Without halves of surrogate pairs, which no file and no hash can hold."""
    return text.encode("utf-8", "replace").decode() if not text.isascii() else text
