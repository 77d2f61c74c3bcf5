"""A model's endpoint: sends one request, with as many tries as it takes, when the gate before it lets it."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

from flowbot.fields import DeniedError, InfrastructureError, ModelError, RefusedError, Usage, UserError

from .batch_desk import Desk
from .batch_forms import Batches
from .bill import ONE_CALL, Bill
from .client import Client, Patience, Reply, Request, altered, request_bytes
from .clock import Clock, RealClock
from .connections import Connections
from .flight import Flight
from .hedge import Hedge
from .openai import OpenAIClient
from .parking import PURPOSES
from .providers import providers
from .retry import RetryPolicy
from .rows import StoredRow
from .session import Session
from .spans import KEY_LENGTH, Span, chat_span
from .tiers import BATCH

USUAL_TOKENS = 256
"""Tokens of a reply that is not there yet, where tokens a minute are limited."""
EMPTY_TRIES = 3
"""Sendings of a request whose reply is empty; after so many it is what the model has to say."""

_log = logging.getLogger(__name__)


class EmptyReplyError(InfrastructureError):
    """The model ended of its own accord and said nothing: taken for a fault of the endpoint until it repeats."""

    def __init__(self, reply: Reply) -> None:
        super().__init__("an empty reply", kind="garbage", took=reply.usage)
        self.reply = replace(reply, usage=Usage())  # what it took is counted with the fault


class Endpoint:
    """A client behind its gate, with what is done about faults. Keeps nothing and counts nothing: each call brings its bill.

    Args:
        client: what sends.
        connections: the gates, and whether stragglers are sent a second time.
        name: the model string, for what is said.
        retry: when a call is sent again; as the client has it when None.
    """

    def __init__(
        self, client: Client, connections: Connections, *, name: str, retry: RetryPolicy | None = None
    ) -> None:
        self.client = client
        self.name = name
        self.gate = connections.gate(client)
        self.clock: Clock = getattr(client, "clock", None) or RealClock()
        self.patient: bool = getattr(client, "patient", False)
        self.parking = connections.parking
        self.hedge = Hedge(client, self.gate, self.clock) if connections.pace.hedge else None
        self._retry: RetryPolicy = retry or getattr(client, "retry", None) or RetryPolicy()

    async def send(self, request: Request, bill: Bill, flight: Flight) -> Reply | StoredRow:
        """The reply to a request, sent until there is one, as long as the policy says; or the response that another run has
        stored when it is this one's turn again.

        Args:
            request: what is sent.
            bill: told of all that is served.
            flight: told when it is sent.

        Raises:
            InfrastructureError: if it fails on every try, or at once when trying again cannot help.
            DeniedError: if that is so, and the model has answered nothing yet.
            RefusedError, ModelError: as the client does.
            BudgetExceeded: if a ceiling might be passed by sending it again.
            Paused: if somebody asked to stop.
        """
        with chat_span(self.client.identity, request, model=self.name, purpose=bill.purpose, key=bill.key) as span:
            call = _Call(self, request, bill, flight, span)
            reply = await self._by_batch(request, bill, flight)
            if reply is None:
                try:
                    reply = await call.send()
                except (InfrastructureError, RefusedError) as fault:
                    reply = await self._again(fault, call, bill)
            if isinstance(reply, Reply):
                span.replied(reply)
        return reply

    def batches(self, session: Session, purpose: str) -> Batches | None:
        """The batch endpoint that a call goes to; None where it is made at once."""
        parks = self.parking is not None and purpose in PURPOSES and session.lasting
        return self.client.batches if parks and isinstance(self.client, OpenAIClient) else None

    def moving(self) -> AbstractContextManager[None]:
        """A call is under way that is made at once."""
        return nullcontext() if self.parking is None else self.parking.moving()

    async def _by_batch(self, request: Request, bill: Bill, flight: Flight) -> Reply | None:
        """The reply that a batch brings; None where the call is to be made at once."""
        client, session = self.client, bill.session
        batches = self.batches(session, bill.purpose)
        if self.parking is None or batches is None or not isinstance(client, OpenAIClient):
            return None
        session.cut.arm()
        desk = Desk(client, batches, self.name, bill.account.who, session.store, session.on_retry)
        answer = await self.parking.answer(bill.key, request, flight, desk)
        if answer is not None:
            try:
                reply = bill.account.paid(altered(await client.read(answer, request), tier=BATCH), bill.purpose)
                took = reply.usage
            except InfrastructureError as error:
                reply, took = None, bill.account.pay(error.took or ONE_CALL, bill.purpose, tier=BATCH)
            bill.settle(took)
            if reply is not None and not _is_empty(reply):
                return reply
            await bill.wasted(took)
            flight.sent = False
        bill.at_once()
        return None

    async def _again(self, fault: Exception, call: _Call, bill: Bill) -> Reply | StoredRow:
        """Send a call again whose first try met `fault`, as long as the policy says."""
        session = bill.session
        first: Exception | None = fault

        async def sleep(seconds: float) -> None:
            with self.moving():
                await session.stop.unless(self.clock.sleep(seconds))

        def tell(tries: int, wait: float, error: BaseException) -> None:
            call.note("call.retry", "try %d: %s; again in %.1f s", tries, error, wait, wait=wait, kind=kind_of(error))
            session.retried(f"{self.name}: {error}; trying again in {wait:.0f} s", self.clock.now())

        async def once() -> Reply | StoredRow:
            nonlocal first
            if first is not None:
                error, first = first, None
                raise error
            return await call.send()

        tries = self._retry.retrying(int(bill.key[:8], 16), sleep, tell, lambda: self.gate.hopeless)
        try:
            return await tries(once)  # pyright: ignore[reportUnknownVariableType]
        except EmptyReplyError as error:
            return error.reply  # that is what the model has to say
        except InfrastructureError as error:
            number = tries.statistics.get("attempt_number", 1)
            text = f"{self.name}: {error}" + (f" (tried {number} times)" if number > 1 else "")
            if error.fatal and error.kind != "disk" and bill.account.who not in session.answered_by:
                raise DeniedError(text, advice(self.name, error), kind=error.kind) from error.__cause__
            raise InfrastructureError(
                text, kind=error.kind, fatal=error.fatal, retry_after=error.retry_after
            ) from error.__cause__


class _Call:
    """One call over all its tries."""

    def __init__(self, endpoint: Endpoint, request: Request, bill: Bill, flight: Flight, span: Span) -> None:
        self._endpoint = endpoint
        self._bill = bill
        self._request = request
        self._flight = flight
        self._span = span
        first = request.messages[0]
        self._group = first.content if first.role == "system" else ""
        # Prompts come and go in a search; how long a reply may be and of what shape it is says how long it takes.
        shape = "" if request.schema is None else ",".join(request.schema.get("properties", ()))
        self._like = f"{request.max_tokens}/{shape}/{len(request.tools)}"
        self._tries = 0
        self._cuts = 0
        self._empty = 0

    async def send(self) -> Reply | StoredRow:
        """Send it once, unless the store has a response by then.

        Raises:
            InfrastructureError, RefusedError, ModelError: as the client does; an empty reply is a fault the first times.
            BudgetExceeded: if a ceiling might be passed by sending it again.
            Paused: if somebody asked to stop before it was sent.
        """
        try:
            return await self._send()
        except InfrastructureError as error:
            if error.took is not None:
                await self._bill.wasted(error.took)
            self._let_go()
            raise
        except RefusedError:
            self._let_go()
            raise
        except ModelError as error:
            if error.took is not None:
                took = self._bill.account.pay(error.took, self._bill.purpose)
                self._bill.settle(took)
                await self._bill.wasted(took)
            self._flight.sent = False
            raise

    def _let_go(self) -> None:
        """From now on the call may be given up, and is where nobody waits for it any more: it is not sent again for nobody."""
        self._flight.sent = False
        if not self._flight.waiters:
            raise asyncio.CancelledError

    async def _send(self) -> Reply | StoredRow:
        bill, gate = self._bill, self._endpoint.gate
        estimate = _estimate(self._request) if gate.counts_tokens else 0
        while True:
            if (row := await bill.reserve()) is not None:
                return row
            with self._endpoint.moving():
                await gate.enter(self._group, tokens=estimate, first=self._tries > 0)
                if bill.counted or bill.session.budget.sound:
                    return await self._sent(estimate)
                # Others took more than was reserved for them while this one waited for its turn.
                gate.leave()
                bill.release()

    async def _sent(self, estimate: int) -> Reply:
        """Send it now, and leave the gate."""
        bill, gate, group = self._bill, self._endpoint.gate, self._group
        self._tries += 1
        try:
            bill.session.check()
            self._flight.sent = True
            self._span.sent()
            if _log.isEnabledFor(logging.DEBUG):
                self.note("call.sent", "sent, try %d", self._tries, level=logging.DEBUG)
            reply = await self._complete(gate.patience(self._like, self._cuts), estimate)
            reply = bill.account.paid(reply, bill.purpose)
            bill.settle(reply.usage)  # before the next call may go
        except InfrastructureError as error:
            if error.took is not None:
                error.took = bill.account.pay(error.took, bill.purpose)
                bill.settle(error.took)
            self._cuts += error.kind == "timeout"
            gate.failed(error)
            raise
        else:
            gate.answered(group, reply.seconds, like=self._like, tokens=reply.usage.tokens - estimate)
        finally:
            gate.leave()
        if _is_empty(reply) and self._empty + 1 < EMPTY_TRIES:
            self._empty += 1
            raise EmptyReplyError(reply)
        if _log.isEnabledFor(logging.DEBUG):
            used = {"input_tokens": reply.usage.input_tokens, "output_tokens": reply.usage.output_tokens}
            more = {"seconds": reply.seconds, "finish": reply.finish, **used}
            self.note("call.answered", "answered in %.2f s", reply.seconds, level=logging.DEBUG, **more)
        return reply

    def note(self, event: str, text: str, *values: object, level: int = logging.INFO, **more: object) -> None:
        """Log what becomes of the call."""
        name, bill = self._endpoint.name, self._bill
        about = {"model": name, "purpose": bill.purpose, "key": bill.key[:KEY_LENGTH], "try": self._tries}
        _log.log(level, "%s: " + text, name, *values, extra={"event": event, **about, **more})

    async def _complete(self, patience: Patience, tokens: int) -> Reply:
        to = self._endpoint
        if to.patient:
            return await to.client.complete(self._request)
        if patience.seconds is None and isinstance(to.clock, RealClock):
            return await to.gate.open_ends.run(self._like, to.client.complete(self._request, patience))
        if to.hedge is None:
            return await to.client.complete(self._request, patience)
        return await to.hedge.complete(self._request, patience, self._group, self._like, tokens, self._bill)


def advice(model: str, error: Exception) -> str:
    """What to do about a model that did not answer, in a sentence without the error itself."""
    if isinstance(error, UserError):
        return error.mend
    provider = model.partition("/")[0]
    if provider not in providers() or not isinstance(error, InfrastructureError):
        return "`flowbot models` lists the models that can be used"
    row = providers()[provider]
    match error.kind:
        case "auth":
            return f"check the key in {' or '.join(row.keys)}, and that it may use this model"
        case "not_found":
            where = f" and the address in {row.base_variable}" if row.base_variable else ""
            return f"check the model's name as {provider} writes it{where}"
        case "connection" | "timeout":
            where = f", the address in {row.base_variable}" if row.base_variable else ""
            return f"check the network, the proxy{where} and that the server is up"
        case "rate_limit":
            return "check the account's credit, or wait and try again" if error.fatal else "wait a little and try again"
        case "server" | "garbage":
            where = f", or check the address in {row.base_variable}" if row.base_variable else ""
            return f"try again in some minutes{where}"
        case _:
            return "see what the endpoint says, and its documentation of the model"


def kind_of(error: BaseException) -> str:
    """The kind of an infrastructure fault, the name of any other error."""
    return error.kind if isinstance(error, InfrastructureError) else type(error).__name__


def _is_empty(reply: Reply) -> bool:
    """Whether there is nothing in it although the model ended of its own accord."""
    said = reply.text.strip() or reply.calls or reply.ready or reply.slip or reply.raw
    return reply.finish == "stop" and not said


def _estimate(request: Request) -> int:
    """About the tokens that a call takes: four characters each, and a reply as long as is usual."""
    return request_bytes(request) // 4 + min(request.max_tokens, USUAL_TOKENS)
