"""A thread of a program, and the loop that answers its calls: who sends, and where."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any

from flowbot.lm.client import Reply

from .asked import Answer


class Errand:
    """A thread that waits for a reply, and sends for it each time that a loop says so.

    Args:
        send: sends once.
    """

    def __init__(self, send: Callable[[], Answer]) -> None:
        self._send = send
        self._inbox: SimpleQueue[Future[Answer] | None] = SimpleQueue()
        self._left = False

    def post(self) -> asyncio.Future[Answer]:
        """Have it send, on the loop. A thread that has left sends nothing."""
        wanted = Future[Answer]()
        self._inbox.put(wanted)
        if self._left:
            self._refuse()
        return asyncio.wrap_future(wanted)

    def run(self, asking: Future[Reply]) -> None:
        """Do so, in the thread, until the reply is there."""
        asking.add_done_callback(lambda _: self._inbox.put(None))
        while (wanted := self._inbox.get()) is not None:
            if (
                wanted.set_running_or_notify_cancel()
            ):  # or else given up meanwhile: it is not sent, and paid, for nobody
                try:
                    wanted.set_result(self._send())
                except BaseException as error:
                    wanted.set_exception(error)
        self._left = True
        self._refuse()

    def _refuse(self) -> None:
        with suppress(Empty):
            while late := self._inbox.get_nowait():
                if late.set_running_or_notify_cancel():
                    late.set_exception(ConnectionAbortedError())


async def sent_on(loop: asyncio.AbstractEventLoop, send: Callable[[], Coroutine[Any, Any, Answer]]) -> Answer:
    """What the program's client sends on its own loop. That may be over before the answer is there."""
    try:
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(send(), loop))
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise ConnectionAbortedError from None
