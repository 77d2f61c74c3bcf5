"""One run of a program, as its model calls see it: each is replayed from the store, or sent by the program's own client."""

from __future__ import annotations

import asyncio
import os
import threading
from collections import defaultdict
from collections.abc import Awaitable, Callable, Coroutine, Generator, Mapping, Sequence
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, replace
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any

from flowbot.fields import BudgetExceeded, FlowBotError, InfrastructureError, ModelError, Paused, Usage, UserError
from flowbot.lm.client import Draw, Message, Reply, ToolUse
from flowbot.program.stopping import Stop

from .asked import Answer, Asked, Send
from .models import Models
from .proxy import Passage

tapping: ContextVar[Tap | None] = ContextVar("flowbot_tapping", default=None)
"""Whose model calls go past FlowBot: those of the code that runs in this context."""


_OVER = "the run that the call belongs to is over"


class BlockingCallError(UserError):
    """A model is waited for on the thread of the event loop that the tap works on: run the program in a thread."""

    def __init__(self) -> None:
        super().__init__(
            "program", "a blocking model call in async code", "an async client, or the program in a thread"
        )


@dataclass(frozen=True, slots=True)
class Exchange:
    """One model call of a program.

    Args:
        scope: as the tap's `scope` gave it.
        number: which of the equal requests in that scope, from 0.
        began: as the tap's `began` gave it when the call was made.
        body: the request's body.
        model: the model string, `PROVIDER/NAME`, of who answers.
        messages: the request as texts.
        text: the reply's, "" where it has none.
        calls: tool calls that the model asks for.
        usage: what the reply took.
        seconds: latency of the call when it was sent.
        stored: whether nothing was sent for it.
        error: what the endpoint said where it refused the request; "" otherwise.
        streamed: whether the reply came as events.
        estimated: whether tokens are guessed, as of a stream that does not count them.
    """

    scope: str
    number: int
    began: int
    body: Mapping[str, Any]
    model: str
    messages: Sequence[Message]
    text: str
    calls: Sequence[ToolUse]
    usage: Usage
    seconds: float
    stored: bool
    error: str
    streamed: bool
    estimated: bool


@dataclass(slots=True)
class _Call:
    """A call from when it is made until it is answered."""

    asked: Asked
    scope: str
    number: int
    began: int
    draw: Draw
    sent: bool = False
    model: str = ""
    """Who answers in place of the model that is asked."""


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
        max_calls: int | None = None,
        answer: Callable[[Asked], Answer | None] | None = None,
    ) -> None:
        self.models = models
        self.stopped: BaseException | None = None
        """Why the program was stopped, also where it has caught that."""
        self.calls = 0
        """Calls made so far."""
        self._purpose = purpose
        self._replicate = replicate
        self._scope = scope
        self._heard = heard
        self._began = began
        self._max_calls = max_calls
        self._answer = answer
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._process = os.getpid()
        self._passages: list[Passage] = []
        self._numbers: dict[tuple[str, Any, str], int] = defaultdict(int)
        self._lock = threading.Lock()
        self._asking: set[Future[Reply]] = set()
        self._closed = False

    def close(self) -> None:
        """The run is over: whoever still calls, or waits, is stopped. May be called twice."""
        self._closed = True
        for each in list(self._asking):
            each.cancel()
        for passage in self._passages:
            self.models.proxy(self._loop).forget(passage)

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
        passage = self.models.proxy(self._loop).open(self.acall, self.models.max_reply, environment)
        self._passages.append(passage)
        return passage

    def elsewhere(self, url: str) -> str:
        """In a fork: the address by which a request comes back to the tap."""
        return self._passages[-1].to(url)

    def call(self, asked: Asked, send: Callable[[], Answer]) -> Reply:
        """The reply to a request of a thread; it is sent, if at all, in that thread.

        Raises:
            Stop: see the class.
        """
        self.require_thread()
        call = self._enter(asked)
        errand = _Errand(self._loop, send)
        asking = self._submit(self._ask(call, errand.post))
        errand.run(asking)
        with self._stopping():
            reply = asking.result()
        return self._told(call, reply)

    async def acall(self, asked: Asked, send: Callable[[], Coroutine[Any, Any, Answer]]) -> Reply:
        """The reply to a request of a coroutine, on this loop or another; it is sent there.

        Raises:
            Stop: see the class.
        """
        call, here = self._enter(asked), asyncio.get_running_loop()
        with self._stopping():
            if here is self._loop:
                reply = await self._ask(call, send)
            else:

                def post() -> asyncio.Future[Answer]:
                    return asyncio.wrap_future(asyncio.run_coroutine_threadsafe(send(), here))

                reply = await asyncio.wrap_future(self._submit(self._ask(call, post)))
        return self._told(call, reply)

    async def _ask(self, call: _Call, send: Send) -> Reply:
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
        while True:
            try:
                return await lm.ask(asked, purpose=self._purpose, draw=call.draw)
            except FlowBotError:
                raise
            except Exception:
                # A client that was closed, or a thread that has left, if it is not this program's own: another run had made the
                # same call, and nothing came of it.
                if call.sent:
                    raise

    def _enter(self, asked: Asked) -> _Call:
        if self.stopped is not None:
            raise Stop(self.stopped)
        if self._closed:
            raise self._stop(Paused(_OVER, stopped_by="signal"))
        scope = self._scope()
        with self._lock:
            self.calls += 1
            many = self._max_calls is not None and self.calls > self._max_calls
            place = (scope, asked.identity, asked.body)
            number = self._numbers[place]
            self._numbers[place] += 1
        if many:
            raise self._stop(ModelError(f"more than {self._max_calls} model calls"))
        return _Call(asked, scope, number, self._began(), (self._replicate, scope, number) if asked.drawn else ())

    def _told(self, call: _Call, reply: Reply) -> Reply:
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
            raise self._stop(Paused(_OVER, stopped_by="signal")) from None
        self._asking.add(future)
        future.add_done_callback(self._asking.discard)
        return future

    @contextmanager
    def _stopping(self) -> Generator[None]:
        try:
            yield
        except (BudgetExceeded, InfrastructureError, Paused, UserError) as error:
            raise self._stop(error) from error
        except CancelledError:  # of a thread's call: its run was closed
            raise self._stop(Paused(_OVER, stopped_by="signal")) from None

    def _stop(self, error: Exception) -> Stop:
        self.stopped = self.stopped or error
        return Stop(error)


class _Errand:
    """A thread that waits for a reply, and sends for it each time that the loop says so.

    Args:
        loop: that says so.
        send: sends once.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, send: Callable[[], Answer]) -> None:
        self._loop = loop
        self._send = send
        self._inbox: SimpleQueue[asyncio.Future[Answer] | None] = SimpleQueue()
        self._left = False

    def post(self) -> asyncio.Future[Answer]:
        """Have it send, on the loop. A thread that has left sends nothing."""
        wanted: asyncio.Future[Answer] = self._loop.create_future()
        self._inbox.put(wanted)
        if self._left:
            _fail(wanted, ConnectionAbortedError())
        return wanted

    def run(self, asking: Future[Reply]) -> None:
        """Do so, in the thread, until the reply is there."""
        asking.add_done_callback(lambda _: self._inbox.put(None))
        while (wanted := self._inbox.get()) is not None:
            try:
                done = partial(_give, wanted, self._send())
            except BaseException as error:
                done = partial(_fail, wanted, error)
            self._tell(done)
        self._left = True
        with suppress(Empty):
            while late := self._inbox.get_nowait():
                self._tell(partial(_fail, late, ConnectionAbortedError()))

    def _tell(self, done: Callable[[], None]) -> None:
        with suppress(RuntimeError):  # the loop is closed, and nobody waits any more
            self._loop.call_soon_threadsafe(done)


async def _at_hand(answer: Answer) -> Answer:
    return answer


def _give(wanted: asyncio.Future[Answer], found: Answer) -> None:
    if not wanted.done():
        wanted.set_result(found)


def _fail(wanted: asyncio.Future[Answer], error: BaseException) -> None:
    if not wanted.done():
        wanted.set_exception(error)
