"""Work that ends before its time: what it was done for has gone, or took too long to come."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import Receive

WATCHED_AFTER = 0.2
"""Seconds after which it is looked whether a client is still there: most work that is quick ends before, and pays nothing for that."""


class ClientGone(Exception):
    """The client has closed its connection: nobody waits for an answer."""


class Cut:
    """Ends what the task that makes it is at. `asyncio.timeout` does the same, at several times the cost for each request."""

    def __init__(self) -> None:
        own = asyncio.current_task()
        assert own is not None
        self._own, self._struck = own, False

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

    async def __aenter__(self) -> None:
        self._cut = Cut()
        self._timer = asyncio.get_running_loop().call_later(WATCHED_AFTER, self._begin)

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._timer.cancel()
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
