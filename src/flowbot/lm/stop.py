"""The wish to stop: set from anywhere, heard wherever calls are sent or waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from typing import Protocol
from weakref import WeakSet

from flowbot.fields import Paused


class Listener(Protocol):
    """Who hears of the wish to stop; held weakly."""

    def asked(self, reason: str) -> None:
        """Somebody asked to stop. Called from any thread."""
        ...


class StopSignal:
    """A wish to stop, set from anywhere (a signal handler, a thread). No new call is sent; those in flight have a short grace
    to finish."""

    def __init__(self) -> None:
        self._reason = ""
        self._listeners: WeakSet[Listener] = WeakSet()
        self._waiting: dict[asyncio.Future[None], asyncio.AbstractEventLoop] = {}

    def set(self, reason: str = "stopped by a signal") -> None:
        """Ask to stop. The first reason stays."""
        self._reason = self._reason or reason
        for future, loop in list(self._waiting.items()):
            # A loop that has ended meanwhile waits for nothing.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(_wake, future)
        for each in list(self._listeners):
            each.asked(self._reason)

    def listen(self, listener: Listener) -> None:
        """Who hears of the wish when it comes, or now."""
        self._listeners.add(listener)
        if self.is_set():
            listener.asked(self._reason)

    def follow(self, other: StopSignal) -> None:
        """A wish that `other` is told is told here too, from now on or as it stands; any number of signals may be followed."""
        if other is not self:
            other.listen(self)

    def asked(self, reason: str) -> None:
        """One that is followed was told."""
        if not self.is_set():  # two that follow each other end here
            self.set(reason)

    def is_set(self) -> bool:
        """Whether somebody asked to stop."""
        return bool(self._reason)

    def check(self) -> None:
        """Go on only if nobody asked to stop.

        Raises:
            Paused: with `stopped_by="signal"`.
        """
        if self._reason:
            raise Paused(self._reason, stopped_by="signal")

    async def unless(self, waiting: Awaitable[None]) -> None:
        """Wait for `waiting`, a sleep for one, but no longer than until somebody asks to stop.

        Raises:
            Paused: when somebody did.
        """
        loop = asyncio.get_running_loop()
        asked: asyncio.Future[None] = loop.create_future()
        sleeping = asyncio.ensure_future(waiting)
        self._waiting[asked] = loop
        try:
            self.check()
            await asyncio.wait({asked, sleeping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            del self._waiting[asked]
            asked.cancel()
            if not sleeping.done():
                sleeping.cancel()
        self.check()


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
