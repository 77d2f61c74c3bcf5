"""Work that ends before its time, because what it was done for has gone."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from flowbot.fields.later import Cut, later

if TYPE_CHECKING:
    from starlette.types import Receive

WATCHED_AFTER = 1.0
"""Seconds after which it is looked whether a client is still there: most work that is quick ends before, and pays nothing for that."""


class ClientGone(Exception):
    """The client has closed its connection: nobody waits for an answer."""


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
        later.put(self, WATCHED_AFTER, self._begin)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        later.drop(self)
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
