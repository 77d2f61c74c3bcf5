"""One run of a program, as its model calls see it: each is replayed from the store, or sent by the program's own client."""

from __future__ import annotations

import asyncio
import os
import threading
from collections import defaultdict
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import replace
from functools import partial
from itertools import count
from typing import Any

from flowbot.fields import BudgetExceeded, FlowBotError, InfrastructureError, ModelError, Paused, UserError
from flowbot.lm.client import Reply
from flowbot.program.stopping import Stop

from .asked import Answer, Asked, Send, read_asked
from .errand import Errand, sent_on
from .exchange import Call, Exchange
from .models import Models
from .proxy import Passage

_TURNS = 100
"""How often a call waits for another run's equal one, of which nothing comes, before what that met is its own."""
tapping: ContextVar[Tap | None] = ContextVar("flowbot_tapping", default=None)
"""Whose model calls go past FlowBot: those of the code that runs in this context."""


class BlockingCallError(UserError):
    """A model is waited for on the thread of the event loop that the tap works on: run the program in a thread."""

    def __init__(self) -> None:
        super().__init__(
            "program", "a blocking model call in async code", "an async client, or the program in a thread"
        )


class Tap:
    """The model calls of one run of a program. It is made on the event loop that the run's session works on.

    Put it into `tapping`, and every exchange of httpx's clients with a model goes past it, in threads and tasks that are started
    there as well: see `install`. What the store has is replayed. What it lacks the program's own client sends, when gate and budget
    let it, again where the endpoint fails; the program sees the reply, or the error that its request deserved, and never a fault
    of the endpoint.

    Failure policy: budget, pause and infrastructure leave the program as `Stop`, from this call and from every one after it.

    Args:
        models: what is asked, and who pays.
        purpose: what the ledger charges the calls to.
        replicate: which of several runs of the same program on the same inputs.
        scope: gives the key of the step that a call is made in, "" in none; asked in the caller's context.
        heard: told of every call that was answered, in the caller's context.
        began: asked when a call is made; its number comes back in the `Exchange`.
        ended: told when a call is over, also one that nobody waits for any more.
        max_calls: of this run; None for any number.
        answer: asked before the program's client sends; where it gives None, the client does.
    """

    def __init__(
        self,
        models: Models,
        *,
        purpose: str = "program",
        replicate: int = 0,
        scope: Callable[[], str] = lambda: "",
        heard: Callable[[Exchange], object] = lambda exchange: None,
        began: Callable[[], int] = lambda: 0,
        ended: Callable[[], object] = lambda: None,
        max_calls: int | None = None,
        answer: Callable[[Asked], Answer | None] | None = None,
    ) -> None:
        self.models = models
        self.stopped: BaseException | None = None
        """Why the program was stopped, also where it has caught that."""
        self.calls = 0
        """Calls made so far."""
        self.closed = False
        """Whether the run is over."""
        self._purpose = purpose
        self._replicate = replicate
        self._scope = scope
        self._heard = heard
        self._began = began
        self._ended = ended
        self._max_calls = max_calls
        self._answer = answer
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._process = os.getpid()
        self._passages: list[Passage] = []
        self._numbers: dict[tuple[str, Any, str], int] = defaultdict(int)
        self._lock = threading.Lock()
        self._asking: set[Future[Reply]] = set()
        self._stopping = _Stopping(self._stop)

    def close(self) -> None:
        """The run is over: whoever still calls, or waits, is stopped. May be called twice."""
        self.closed = True
        for each in list(self._asking):
            each.cancel()
        while self._passages:
            self.models.proxy(self._loop).forget(self._passages.pop())

    @property
    def at_home(self) -> bool:
        """Whether this is the process that it was made in, and not a fork of it."""
        return os.getpid() == self._process

    def require_thread(self) -> None:
        """Only a thread of its own may wait for what the tap's loop does.

        Raises:
            Stop: on the loop's own thread.
        """
        if threading.get_ident() == self._thread:
            raise self._stop(BlockingCallError())

    def passage(self, environment: Mapping[str, str]) -> Passage:
        """A way in for a program in another process that is started in this context, with this environment."""
        if self.closed:
            raise _over()
        passage = self.models.proxy(self._loop).passage(self.acall, self.read, environment)
        self._passages.append(passage)
        return passage

    def elsewhere(self, url: str) -> str:
        """In a fork: the address by which a request comes back to the tap."""
        if not self._passages:
            raise _over()
        return self._passages[-1].to(url)

    def read(self, url: str, headers: Mapping[str, str], body: bytes) -> Asked | None:
        """As `read_asked`.

        Raises:
            Stop: for a request to a model that may not be sent.
        """
        with self._stopping:
            return read_asked(url, headers, body, max_reply=self.models.max_reply)

    def call(self, asked: Asked, send: Callable[[], Answer]) -> Reply:
        """The reply to a request of a thread; it is sent, if at all, in that thread.

        Raises:
            Stop: see the class.
        """
        self.require_thread()
        call = self._enter(asked)
        try:
            errand = Errand(self._loop, send)
            asking = self._submit(self._ask(call, errand.post))
            errand.run(asking)
            with self._stopping:
                reply = asking.result()
            return self._told(call, reply)
        finally:
            self._ended()

    async def acall(self, asked: Asked, send: Callable[[], Coroutine[Any, Any, Answer]]) -> Reply:
        """The reply to a request of a coroutine, on this loop or another; it is sent there.

        Raises:
            Stop: see the class.
        """
        call, here = self._enter(asked), asyncio.get_running_loop()
        try:
            with self._stopping:
                if here is self._loop:
                    reply = await self._ask(call, send)
                else:
                    post = partial(sent_on, here, send)
                    reply = await asyncio.wrap_future(self._submit(self._ask(call, post)))
            return self._told(call, reply)
        finally:
            self._ended()

    async def _ask(self, call: Call, send: Send) -> Reply:
        held = tapping.set(None)  # what is started for a call, a local server for one, is no part of the program
        try:
            return await self._reply(call, send)
        finally:
            with suppress(ValueError):  # left over when its loop was closed, and ended elsewhere
                tapping.reset(held)

    async def _reply(self, call: Call, send: Send) -> Reply:
        def once() -> Awaitable[Answer]:
            call.sent = True
            ready = None if self._answer is None else self._answer(call.asked)
            return send() if ready is None else _at_hand(ready)

        own = self.models.stand_in
        if own is not None and self._answer is None and own.answers(call.asked):
            reply, call.sent = await own.ask(call.asked, purpose=self._purpose, draw=call.draw)
            call.model = own.name
            return reply
        lm, asked = self.models.of(call.asked.identity), replace(call.asked, send=once)
        for turn in count(1):
            try:
                return await lm.ask(asked, purpose=self._purpose, draw=call.draw)
            except FlowBotError:
                raise
            except Exception:
                # A client that was closed, or a thread that has left, if it is not this program's own: another run had made the
                # same call, and nothing came of it.
                if call.sent or turn == _TURNS:
                    raise
        raise AssertionError

    def _enter(self, asked: Asked) -> Call:
        if self.stopped is not None:
            raise Stop(self.stopped)
        if self.closed:
            raise _over()
        scope = self._scope()
        with self._lock:
            self.calls += 1
            many = self._max_calls is not None and self.calls > self._max_calls
            place = (scope, asked.identity, asked.body)
            number = self._numbers[place]
            self._numbers[place] += 1
        if many:
            raise self._stop(ModelError(f"more than {self._max_calls} model calls"))
        return Call(asked, scope, number, self._began(), (self._replicate, scope, number) if asked.drawn else ())

    def _told(self, call: Call, reply: Reply) -> Reply:
        if self.closed:
            raise _over()
        asked = call.asked
        refused = reply.raw is not None and reply.raw.status >= 400
        self._heard(
            Exchange(
                scope=call.scope,
                number=call.number,
                began=call.began,
                body=asked.data,
                model=call.model or f"{asked.identity.provider}/{asked.identity.name}",
                messages=asked.messages,
                text="" if refused else reply.text,
                calls=reply.calls,
                usage=reply.usage,
                seconds=reply.seconds,
                stored=not call.sent,
                error=reply.text if refused else "",
                streamed=asked.streamed,
                estimated=reply.estimated,
            )
        )
        return reply

    def _submit(self, asking: Coroutine[Any, Any, Reply]) -> Future[Reply]:
        """Have the session's loop work on it."""
        try:
            future = asyncio.run_coroutine_threadsafe(asking, self._loop)
        except RuntimeError:  # it is closed
            asking.close()
            raise _over() from None
        self._asking.add(future)
        future.add_done_callback(self._asking.discard)
        return future

    def _stop(self, error: Exception) -> Stop:
        self.stopped = self.stopped or error
        return Stop(error)


def _over() -> Stop:
    """For what is left over of a run: it is no reason why that one stopped."""
    return Stop(Paused("the run that the call belongs to is over", stopped_by="signal"))


class _Stopping:
    """What may not go on in the block leaves it as `Stop`.

    Args:
        stop: makes one of an error.
    """

    def __init__(self, stop: Callable[[Exception], Stop]) -> None:
        self._stop = stop

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, (BudgetExceeded, InfrastructureError, Paused, UserError)):
            raise self._stop(error) from error
        if isinstance(error, CancelledError):  # of a thread's call: its run was closed
            raise _over() from None


async def _at_hand(answer: Answer) -> Answer:
    return answer
