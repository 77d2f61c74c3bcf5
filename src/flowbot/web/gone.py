"""Work that ends before its time: what it was done for has gone, or took too long to come."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import Receive

WATCHED_AFTER = 1.0
"""Seconds after which it is looked whether a client is still there: most work that is quick ends before, and pays nothing for that."""

ROUND = 0.1
"""Seconds between two looks at what is due."""


class _Table(threading.local):
    """What is to be done later on this thread's event loop. A timer for each request costs many times what a place in a table does."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._due: dict[object, tuple[float, Callable[[], None]]] = {}
        self._looking = False

    def put(self, who: object, seconds: float, call: Callable[[], None]) -> None:
        """Call it in so many seconds, or up to a `ROUND` later."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._loop, self._due, self._looking = loop, {}, False
        if not self._looking:
            self._looking = True
            loop.call_later(ROUND, self._look, loop, self._due)
        self._due[who] = (loop.time() + seconds, call)

    def drop(self, who: object) -> None:
        """Do not call it."""
        self._due.pop(who, None)

    def _look(self, loop: asyncio.AbstractEventLoop, due: dict[object, tuple[float, Callable[[], None]]]) -> None:
        now = loop.time()
        try:
            for who, (when, call) in list(due.items()):
                if when <= now and due.pop(who, None):
                    call()
        finally:
            if due:
                loop.call_later(ROUND, self._look, loop, due)
            elif due is self._due:
                self._looking = False


_later = _Table()


class ClientGone(Exception):
    """The client has closed its connection: nobody waits for an answer."""


class Cut:
    """Ends what the task that makes it is at. `asyncio.timeout` does the same, at several times the cost for each request.

    Args:
        seconds: after which it strikes, unless it is `off` by then; None: when it is told.
    """

    def __init__(self, seconds: float | None = None) -> None:
        own = asyncio.current_task()
        assert own is not None
        self._own, self._struck = own, False
        if seconds is not None:
            _later.put(self, seconds, self.strike)

    def off(self) -> None:
        """Do not strike any more."""
        _later.drop(self)

    def strike(self) -> None:
        """End it."""
        self._struck = True
        self._own.cancel()

    def owns(self) -> bool:
        """Whether the `CancelledError` that was caught is this one's, and nobody else wants the task to end."""
        return self._struck and not self._own.uncancel()


class while_there:
    """While inside, the work is cancelled as soon as the client is gone, and `ClientGone` raised.

    Args:
        receive: of the request, whose body was read.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._watching: asyncio.Task[None] | None = None

    def __enter__(self) -> None:
        self._cut = Cut()
        _later.put(self, WATCHED_AFTER, self._begin)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        _later.drop(self)
        if self._watching is not None:
            self._watching.cancel()
        if kind is asyncio.CancelledError and self._cut.owns():
            raise ClientGone from None

    def _begin(self) -> None:
        self._watching = asyncio.get_running_loop().create_task(self._watch())

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._cut.strike()
