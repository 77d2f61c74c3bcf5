"""A thread of a program, and the loop that answers its calls: who sends, and where."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any

from flowbot.lm.client import Reply

from .asked import Answer


class Errand:
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
            if wanted.done():  # given up meanwhile: it is not sent, and paid, for nobody
                continue
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


async def sent_on(loop: asyncio.AbstractEventLoop, send: Callable[[], Coroutine[Any, Any, Answer]]) -> Answer:
    """What the program's client sends on its own loop. That may be over before the answer is there."""
    try:
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(send(), loop))
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise ConnectionAbortedError from None


def _give(wanted: asyncio.Future[Answer], found: Answer) -> None:
    if not wanted.done():
        wanted.set_result(found)


def _fail(wanted: asyncio.Future[Answer], error: BaseException) -> None:
    if not wanted.done():
        wanted.set_exception(error)
