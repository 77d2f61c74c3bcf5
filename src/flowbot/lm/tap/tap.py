"""One run of a program, as its model calls see it: each is replayed from the store, or sent by the program's own client."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Collection, Coroutine, Mapping
from concurrent.futures import Executor, Future, wait
from contextlib import suppress
from contextvars import ContextVar
from functools import partial
from typing import Any

from flowbot.fields import UserError
from flowbot.lm.client import Identity, Reply
from flowbot.program.stopping import Stop

from .admission import Admission, ended, over
from .asked import Answer, Asked, Send
from .errand import Errand, sent_on
from .exchange import Call, Exchange
from .models import Models
from .proxy import Passage

tapping: ContextVar[Tap | None] = ContextVar("flowbot_tapping", default=None)
"""Whose model calls go past FlowBot: those of the code that runs in this context."""


class BlockingCallError(UserError):
    """A model is waited for on the thread of the event loop that the tap works on: run the program in a thread."""

    def __init__(self) -> None:
        super().__init__(
            "program", "a blocking model call in async code", "an async client, or the program in a thread"
        )


class Tap(Admission):
    """The model calls of one run of a program. It is made on the event loop that the run's session works on.

    Put it into `tapping`, and every exchange of httpx's clients with a model goes past it, in threads and tasks that are started
    there as well: see `install`. What the store has is replayed. What it lacks the program's own client sends, when gate and budget
    let it, again where the endpoint fails; the program sees the reply, or the error that its request deserved, and never a fault
    of the endpoint.

    Failure policy: budget, pause and infrastructure leave the program as `Stop`, from this call and from every one after it, once the
    calls under way have ended: what is paid for is not lost with the loop or the thread that waits for it.

    Args:
        models: what is asked, and who pays.
        purpose: what the ledger charges the calls to.
        replicate: which of several runs of the same program on the same inputs.
        scope: gives the key of the step that a call is made in, "" in none; asked in the caller's context.
        heard: told of every call that was answered, in the caller's context.
        began: asked when a call is made; its number comes back in the `Exchange`.
        ended: told when a call is over, also one that nobody waits for any more.
        max_calls: of this run; None for any number.
        let_in: what an earlier run of the same let in before it was stopped for too many calls, as its `let_in` said: these, and no others.
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
        let_in: Collection[str] | None = None,
        answer: Callable[[Asked], Answer | None] | None = None,
    ) -> None:
        super().__init__(replicate, scope, began, ended, max_calls=max_calls, let_in=let_in)
        self.models = models
        self.keys: list[tuple[Identity | None, str]] = []
        """Under which the replies of its calls are stored, each with who was asked; None for the run's own model."""
        self._purpose = purpose
        self._heard = heard
        self._answer = answer
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._process = os.getpid()
        self._passages: list[Passage] = []
        self._asking: set[Future[Reply]] = set()

    async def settle(self) -> None:
        """The program has ended: nothing new is let in, and what was let in ends, is stored and told, whether or not somebody still waits."""
        await super().settle()
        await self.models.settled(self.keys)

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
            raise self.stop(BlockingCallError())

    def threads(self, loop: asyncio.AbstractEventLoop) -> Executor | None:
        """Where a program that runs on the tap's own loop has its blocking calls made, so that they leave alone the threads by which they
        are answered; None on another loop."""
        return self.models.threads() if loop is self._loop and not self.closed else None

    def passage(self, environment: Mapping[str, str]) -> Passage:
        """A way in for a program in another process that is started in this context, with this environment."""
        if self.closed:
            raise over()
        passage = self.models.proxy(self._loop).passage(self.acall, self.read, environment)
        self._passages.append(passage)
        return passage

    def elsewhere(self, url: str) -> str:
        """In a fork: the address by which a request comes back to the tap."""
        if not self._passages:
            raise over()
        return self._passages[-1].to(url)

    def read(self, url: str, headers: Mapping[str, str], body: bytes) -> Asked | None:
        """As `read_asked`.

        Raises:
            Stop: for a request to a model that may not be sent.
        """
        with self.stopping():
            return self.models.read(url, headers, body)

    def let_pass(self, url: str, headers: Mapping[str, str]) -> None:
        """As of `Models`.

        Raises:
            Stop: where it may not.
        """
        with self.stopping():
            self.models.let_pass(url, headers)

    def call(self, asked: Asked, send: Callable[[], Answer]) -> Reply:
        """The reply to a request of a thread; it is sent, if at all, in that thread.

        Raises:
            Stop: see the class.
        """
        self.require_thread()
        try:
            with self.entered(asked) as call:
                errand = Errand(send)
                asking = self._submit(self._ask(call, errand.post))
                errand.run(asking)
                with self.stopping():
                    reply = asking.result()
                return self._told(call, reply)
        except Stop:
            wait(*self.under_way())
            raise

    async def acall(self, asked: Asked, send: Callable[[], Coroutine[Any, Any, Answer]]) -> Reply:
        """The reply to a request of a coroutine, on this loop or another; it is sent there.

        Raises:
            Stop: see the class.
        """
        here = asyncio.get_running_loop()
        try:
            with self.entered(asked) as call, self.stopping():
                if here is self._loop:
                    reply = await self._ask(call, send)
                else:
                    post = partial(sent_on, here, send)
                    reply = await asyncio.wrap_future(self._submit(self._ask(call, post)))
                return self._told(call, reply)
        except Stop:
            await ended(*self.under_way())
            raise

    async def _ask(self, call: Call, send: Send) -> Reply:
        held = tapping.set(None)  # what is started for a call, a local server for one, is no part of the program
        try:
            return await self.models.reply(call, send, self._purpose, self._keyed, self._answer)
        finally:
            with suppress(ValueError):  # left over when its loop was closed, and ended elsewhere
                tapping.reset(held)

    def _keyed(self, identity: Identity | None, key: str) -> None:
        self.keys.append((identity, key))

    def _told(self, call: Call, reply: Reply) -> Reply:
        if self.closed:
            raise over()
        self._heard(Exchange.of(call, reply))
        return reply

    def _submit(self, asking: Coroutine[Any, Any, Reply]) -> Future[Reply]:
        """Have the session's loop work on it."""
        try:
            future = asyncio.run_coroutine_threadsafe(asking, self._loop)
        except RuntimeError:  # it is closed
            asking.close()
            raise over() from None
        self._asking.add(future)
        future.add_done_callback(self._asking.discard)
        return future
