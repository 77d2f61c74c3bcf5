"""The models that a run's programs ask, each behind its gate, on the run's one store, ledger and budget."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import lru_cache, partial
from itertools import count
from typing import cast
from urllib.parse import urlsplit

from flowbot.fields import FlowBotError, UserError
from flowbot.lm.client import Identity, Patience, Reply, Request
from flowbot.lm.lm import LM
from flowbot.lm.openai import GROWTH
from flowbot.lm.parking import AT_ONCE
from flowbot.lm.prices import Price, listed, per_million, said
from flowbot.lm.providers import providers
from flowbot.lm.session import Session
from flowbot.lm.tiers import Tier
from flowbot.program.run_model import RUN_MODEL

from .asked import MOST_REPLY, Answer, Asked, Send, read_asked
from .exchange import Call
from .proxy import TapProxy, coordinator
from .replies import read_reply
from .stand_in import StandIn

_THREADS = 32
_TURNS = 100
"""How often a call waits for another run's equal one, of which nothing comes, before what that met is its own."""


class Models:
    """The models that the programs of one run ask, opened as they are met.

    Args:
        session: the run.
        price: what the user says of prices; it wins over the list's.
        max_reply: tokens to reserve for a reply whose request names no limit; the model's own maximum when None.
        stand_in: the run's model, where it answers in place of those that programs name; they are asked when None.
    """

    def __init__(
        self,
        session: Session,
        *,
        price: Price | None = None,
        max_reply: int | None = None,
        stand_in: LM | None = None,
    ) -> None:
        self.session = session
        self.stand_in = None if stand_in is None else StandIn(stand_in)
        self._price = price
        self._max_reply = max_reply
        self._models: dict[Identity, LM] = {}
        self._proxy: TapProxy | None = None
        self._face: TapProxy | None = None
        self._threads: ThreadPoolExecutor | None = None
        self._lock = threading.Lock()

    def max_reply(self, identity: Identity) -> int:
        """Tokens that a reply may have whose request names no limit."""
        return self._max_reply or min(context_of(identity), MOST_REPLY)

    def read(self, url: str, headers: Mapping[str, str], body: bytes) -> Asked | None:
        """As `read_asked`."""
        return read_asked(url, headers, body, max_reply=self.max_reply, context=context_of)

    def let_pass(self, url: str, headers: Mapping[str, str]) -> None:
        """A request that asks no model goes its way, uncounted."""

    async def reply(
        self,
        call: Call,
        send: Send,
        purpose: str,
        keyed: Callable[[Identity | None, str], object],
        answer: Callable[[Asked], Answer | None] | None = None,
    ) -> Reply:
        """The reply to a program's request: stored, or sent for.

        Args:
            call: the request, and which draw of its reply is meant; it is told whether something was sent, and who answered.
            send: sends it once.
            purpose: what the ledger charges it to.
            keyed: told under which key the reply is stored, and who is asked; None for the run's own model.
            answer: asked before it is sent; where it gives None, it is.

        Raises:
            BudgetExceeded, InfrastructureError, Paused, UserError: as `LM.ask`, and `of`.
        """

        def once() -> Awaitable[Answer]:
            call.sent = True
            ready = None if answer is None else answer(call.asked)
            return send() if ready is None else _at_hand(ready)

        own = self.stand_in
        if own is not None and answer is None and own.answers(call.asked):
            heard = partial(keyed, None)
            reply, call.sent = await own.ask(call.asked, purpose=purpose, draw=call.draw, heard=heard)
            call.model = own.name
            return reply
        lm, asked = self.of(call.asked.identity), replace(call.asked, send=once)
        keyed(call.asked.identity, lm.key(asked, call.draw))
        for turn in count(1):
            try:
                return await lm.ask(asked, purpose=purpose, draw=call.draw)
            except FlowBotError:
                raise
            except Exception:
                # A client that was closed, or a thread that has left, if it is not this program's own: another run had made the
                # same call, and nothing came of it.
                if call.sent or turn == _TURNS:
                    raise
        raise AssertionError

    async def settled(self, keys: Iterable[tuple[Identity | None, str]]) -> None:
        """Wait until calls that were sent are stored; as `Tap.keys` gives them."""
        await self.session.flights.ended({key for _, key in keys})

    def of(self, identity: Identity) -> LM:
        """The model of that identity.

        Raises:
            UserError: if that of the run is asked for, and none is to answer.
        """
        lm = self._models.get(identity)
        if identity.base_url == RUN_MODEL:
            raise UserError("program", "no model, and it asks that of the run", 'lm="PROVIDER/NAME" (--model)')
        if lm is None:
            name = f"{identity.provider}/{identity.name}"
            client = _Sent(identity)
            own = said(self._price, name, free=False)
            price = listed(client.price_ref) if own is None else per_million(own)
            tier = Tier(identity.provider, identity.name)
            lm = self._models[identity] = LM(client, self.session, name=name, price=price, tier=tier)
        return lm

    async def again(self, keys: Iterable[tuple[Identity | None, str]], *, purpose: str) -> None:
        """Count stored calls of a program as if they were made again; as `Tap.keys` gives them."""
        for identity, key in keys:
            lm = self.of(identity) if identity is not None else self.stand_in and self.stand_in.lm
            if lm is not None:
                await lm.again(key, purpose=purpose)

    def proxy(self, loop: asyncio.AbstractEventLoop) -> TapProxy:
        """The port for what programs start elsewhere, opened when the first of them needs it."""
        with self._lock:
            if self._proxy is None:
                self._proxy = TapProxy(loop)
            return self._proxy

    def threads(self) -> ThreadPoolExecutor:
        """Threads for what programs that run on the session's loop put into threads: the loop's own are needed to answer them."""
        with self._lock:
            if self._threads is None:
                most = _THREADS if self.session.connections.parking is None else AT_ONCE
                self._threads = ThreadPoolExecutor(most, thread_name_prefix="flowbot-program")
            return self._threads

    def face(self, loop: asyncio.AbstractEventLoop) -> TapProxy:
        """The port for programs on workers, which may be on other machines; where it is opened, `FLOWBOT_COORDINATOR` says.

        Raises:
            UserError: if that is no address of this machine.
        """
        with self._lock:
            if self._face is None:
                self._face = TapProxy(loop, *coordinator())
            return self._face

    async def close(self) -> None:
        """Let calls in flight finish and be stored; give up those not sent. May be called twice."""
        if self._threads is not None:
            self._threads.shutdown(wait=False)
            self._threads = None
        for lm in self._models.values():
            await lm.close()
        ports, self._proxy, self._face = (self._proxy, self._face), None, None
        for each in ports:
            if each is not None:
                await each.close()


async def _at_hand(answer: Answer) -> Answer:
    return answer


@lru_cache(maxsize=256)
def context_of(identity: Identity) -> int:
    """Tokens that a model can read and write, as far as the price list knows that."""
    import genai_prices

    row = providers().get(identity.provider)
    try:
        usage = genai_prices.Usage(input_tokens=1, output_tokens=1)
        found = genai_prices.calc_price(usage, model_ref=identity.name, provider_id=row.priced_as if row else None)
        window = found.model.context_window
    except (LookupError, ValueError):
        window = None
    return window or MOST_REPLY


class _Sent:
    """A model that programs' own clients talk to. What they wait for is theirs to say: no call is cut off for being slow."""

    patient = True

    def __init__(self, identity: Identity) -> None:
        row = providers().get(identity.provider)
        hosts = {urlsplit(each).netloc for each in (identity.base_url, row.base_url if row else "")}
        there = row is not None and len(hosts) == 1
        self.identity = identity
        self.default_concurrency = row.concurrency if row is not None else 16
        self.max_concurrency = GROWTH * self.default_concurrency
        at = row.priced_as if row is not None and (there or identity.provider == "azure") else ""
        self.price_ref = None if not at else at if at == "free" else f"{at}:{identity.name}"

    async def complete(self, request: Request, patience: Patience | None = None) -> Reply:
        """Have it sent once."""
        asked = cast("Asked", request)
        began = time.perf_counter()
        answer = await asked.send()
        return read_reply(asked, answer, time.perf_counter() - began)

    async def close(self) -> None:
        """Nothing is open here."""
