"""Calls under way: identical requests share one, and a call that was sent finishes even if nobody waits any more."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

Outcome = dict[str, Any]


class Flight:
    """One call under way. It counts who waits; `sent` is True from sending until the reply is stored."""

    def __init__(self, owner: object) -> None:
        self.owner = owner
        self.sent = False
        self.waiting = 0
        self.task: asyncio.Task[Outcome] | None = None


class Flights:
    """The calls under way, by key.

    Failure policy: a waiter that is cancelled leaves; the call itself is cancelled only when nobody waits and it has
    not been sent, because what was sent is paid for and must be stored. All waiters see the same error.
    """

    def __init__(self) -> None:
        self._flights: dict[str, Flight] = {}

    def __contains__(self, key: str) -> bool:
        return key in self._flights

    def __len__(self) -> int:
        return len(self._flights)

    async def join(self, key: str, owner: object, start: Callable[[Flight], Coroutine[Any, Any, Outcome]]) -> Outcome:
        """The outcome of the call `key`, which is started, as the owner's, unless it is under way."""
        flight = self._flights.get(key)
        if flight is None:
            flight = Flight(owner)
            flight.task = asyncio.get_running_loop().create_task(start(flight))
            self._flights[key] = flight
            flight.task.add_done_callback(lambda task: self._land(key, task))
        task = flight.task
        assert task is not None
        flight.waiting += 1
        try:
            return await asyncio.shield(task)
        finally:
            flight.waiting -= 1
            if not flight.waiting and not flight.sent and not task.done():
                # Gone from the table at once: whoever asks for the same now must not get the cancelled one.
                self._forget(key, flight)
                task.cancel()

    async def drain(self, owner: object = None) -> None:
        """Cancel what has not been sent and wait for the rest: of one owner, or of all."""
        while under_way := [(k, f) for k, f in self._flights.items() if owner is None or f.owner is owner]:
            tasks: list[Awaitable[Outcome]] = []
            for key, flight in under_way:
                if flight.task is not None:
                    if not flight.sent:
                        self._forget(key, flight)
                        flight.task.cancel()
                    tasks.append(flight.task)
            await asyncio.gather(*tasks, return_exceptions=True)

    def _land(self, key: str, task: asyncio.Task[Outcome]) -> None:
        flight = self._flights.get(key)
        if flight is not None and flight.task is task:
            del self._flights[key]
        # Somebody has to look at the error of a call that nobody waits for, or asyncio complains.
        if not task.cancelled():
            task.exception()

    def _forget(self, key: str, flight: Flight) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]
