"""One call on its way to the endpoint, over all its tries."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from flowbot.fields import InfrastructureError, ModelError, RefusedError, Usage

from .client import Patience, Reply, Request
from .clock import RealClock
from .spans import KEY_LENGTH

if TYPE_CHECKING:
    from .bill import Bill
    from .flight import Flight
    from .lm import LM
    from .spans import Span

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


class Call:
    """One call on its way to the endpoint, over all its tries."""

    def __init__(
        self, lm: LM, request: Request, purpose: str, key: str, flight: Flight, span: Span, bill: Bill
    ) -> None:
        self._lm = lm
        self._bill = bill
        self._request = request
        self._purpose = purpose
        self._key = key
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

    async def send(self) -> Reply:
        """Send it once.

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
            raise
        except ModelError as error:
            if error.took is not None:
                took = self._lm.pay(error.took, self._purpose)
                self._bill.settle(took)
                await self._bill.wasted(took)
            raise

    async def _send(self) -> Reply:
        lm, gate, group = self._lm, self._lm.gate, self._group
        estimate = _estimate(self._request) if gate.counts_tokens else 0
        while True:
            await self._bill.reserve()
            await gate.enter(group, tokens=estimate, first=self._tries > 0)
            if self._bill.counted or lm.session.budget.sound:
                break
            # Others took more than was reserved for them while this one waited for its turn.
            gate.leave()
            self._bill.close()
        self._tries += 1
        try:
            lm.session.check()
            self._flight.sent = True
            self._span.sent()
            if _log.isEnabledFor(logging.DEBUG):
                self.note("call.sent", "sent, try %d", self._tries, level=logging.DEBUG)
            reply = await self._complete(gate.patience(self._like, self._cuts), estimate)
            reply = lm.paid(reply, self._purpose)
            self._bill.settle(reply.usage)  # before the next call may go
        except InfrastructureError as error:
            self._flight.sent = False
            if error.took is not None:
                error.took = lm.pay(error.took, self._purpose)
                self._bill.settle(error.took)
            self._cuts += error.kind == "timeout"
            gate.failed(error)
            raise
        except (RefusedError, ModelError):
            self._flight.sent = False
            raise
        else:
            gate.answered(group, reply.seconds, like=self._like, tokens=reply.usage.tokens - estimate)
        finally:
            gate.leave()
        if _is_empty(reply) and self._empty + 1 < EMPTY_TRIES:
            self._empty += 1
            self._flight.sent = False
            raise EmptyReplyError(reply)
        if _log.isEnabledFor(logging.DEBUG):
            used = {"input_tokens": reply.usage.input_tokens, "output_tokens": reply.usage.output_tokens}
            more = {"seconds": reply.seconds, "finish": reply.finish, **used}
            self.note("call.answered", "answered in %.2f s", reply.seconds, level=logging.DEBUG, **more)
        return reply

    def note(self, event: str, text: str, *values: object, level: int = logging.INFO, **more: object) -> None:
        """Log what becomes of the call."""
        about = {"model": self._lm.name, "purpose": self._purpose, "key": self._key[:KEY_LENGTH], "try": self._tries}
        _log.log(level, "%s: " + text, self._lm.name, *values, extra={"event": event, **about, **more})

    async def _complete(self, patience: Patience, tokens: int) -> Reply:
        lm = self._lm
        if lm.patient:
            return await lm.client.complete(self._request)
        if patience.seconds is None and isinstance(lm.clock, RealClock):
            return await lm.gate.open_ends.run(self._like, lm.client.complete(self._request, patience))
        if lm.hedge is None:
            return await lm.client.complete(self._request, patience)
        return await lm.hedge.complete(self._request, patience, self._group, self._like, tokens, self._bill.copy)


def kind_of(error: BaseException) -> str:
    """The kind of an infrastructure fault, the name of any other error."""
    return error.kind if isinstance(error, InfrastructureError) else type(error).__name__


def _is_empty(reply: Reply) -> bool:
    """Whether there is nothing in it although the model ended of its own accord."""
    said = reply.text.strip() or reply.calls or reply.ready or reply.slip
    return reply.finish == "stop" and not said


def _estimate(request: Request) -> int:
    """About the tokens that a call takes: four characters each, and a reply as long as is usual."""
    return request_bytes(request) // 4 + min(request.max_tokens, USUAL_TOKENS)


def request_bytes(request: Request) -> int:
    """Of a request without its tools, with room for what an endpoint puts around messages and calls."""
    read = 64
    for message in request.messages:
        read += 16 + len(message.content.encode(errors="replace"))
        for call in message.calls:
            read += 32 + len(call.name.encode(errors="replace")) + len(call.arguments.encode(errors="replace"))
    return read if request.schema is None else read + 64 + len(json.dumps(request.schema))
