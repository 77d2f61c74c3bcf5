"""Results of steps, made once: looked up in the store, shared while they are being made, stored when they are there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Literal

from flowbot.store import Store

Result = dict[str, Any]


class Memo:
    """Makes each result once.

    Making goes on when those who wait for it are cancelled, so that what was begun is stored and not begun again.
    Failure policy: an exception reaches every waiter and is not stored; what shall be stored (a step's error is part of
    the result) is returned.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self._running: dict[str, asyncio.Task[Result]] = {}

    async def once(
        self, key: str, kind: Literal["tool", "code", "metric"], make: Callable[[], Awaitable[Result]]
    ) -> Result:
        """The result under `key`; made by `make` if neither the store has it nor somebody is making it."""
        running = self._running.get(key)
        if running is None:
            running = asyncio.create_task(self._made(key, kind, make))
            self._running[key] = running
            running.add_done_callback(lambda done: self._finished(key, done))
        return await asyncio.shield(running)

    async def settle(self) -> None:
        """Wait for what is being made."""
        while self._running:
            await asyncio.wait(list(self._running.values()))

    async def _made(
        self, key: str, kind: Literal["tool", "code", "metric"], make: Callable[[], Awaitable[Result]]
    ) -> Result:
        stored = await self.store.get(key)
        if stored is not None:
            return stored
        return await self.store.put(key, await make(), kind=kind)

    def _finished(self, key: str, done: asyncio.Task[Result]) -> None:
        del self._running[key]
        if not done.cancelled():
            _ = done.exception()  # those who wait have it; with nobody waiting there is nobody to tell
