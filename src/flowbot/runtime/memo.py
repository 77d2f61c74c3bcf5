"""Results of steps, made once: looked up in the store, shared while they are being made, stored when they are there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal

from pydantic import ValidationError

from flowbot.fields.foreign import Amount, Record, Share, explain
from flowbot.store import Store

Result = dict[str, Any]
Made = Literal["tool", "code", "metric"]


class _Failed(Record):
    error: str
    seconds: Amount = 0.0


class _Tool(Record):
    outputs: dict[str, Any]
    seconds: Amount


class _Code(Record):
    result: Any


class _Metric(Record, extra="forbid"):
    value: Share
    feedback: str
    parts: dict[str, Share]


_RESULTS: dict[str, type[Record]] = {"tool": _Tool, "code": _Code, "metric": _Metric}


def check_result(kind: Made, value: Mapping[str, Any]) -> None:
    """Whether a stored value can be a result of its kind.

    Raises:
        ValueError: saying why not.
    """
    record = _Failed if kind != "metric" and "error" in value else _RESULTS[kind]
    try:
        record.model_validate(value)
    except ValidationError as error:
        place, found, expected = explain(error)
        raise ValueError(f"no result of a {kind}: {place}: found {found}; expected {expected}") from None


class Memo:
    """Makes each result once.

    Making goes on when those who wait for it are cancelled, so that what was begun is stored and not begun again.
    Failure policy: an exception reaches every waiter and is not stored; what shall be stored (a step's error is part of
    the result) is returned.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self._running: dict[str, asyncio.Task[Result]] = {}

    async def once(self, key: str, kind: Made, make: Callable[[], Awaitable[Result]]) -> Result:
        """The result under `key`; made by `make` if neither the store has it nor somebody is making it.

        Raises:
            InfrastructureError: if the store fails, or what stands there cannot be such a result.
        """
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

    async def _made(self, key: str, kind: Made, make: Callable[[], Awaitable[Result]]) -> Result:
        stored = await self.store.get(key)
        if stored is None:
            return await self.store.put(key, await make(), kind=kind)
        try:
            check_result(kind, stored)
        except ValueError:
            raise self.store.damaged(key) from None
        return stored

    def _finished(self, key: str, done: asyncio.Task[Result]) -> None:
        del self._running[key]
        if not done.cancelled():
            _ = done.exception()  # those who wait have it; with nobody waiting there is nobody to tell
