"""Calls under way in one run: identical requests share one, and a call that was sent finishes even if nobody waits any more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine
from typing import Any, TypeVar

from flowbot.fields import Paused

Outcome = TypeVar("Outcome")


class Flight:
    """One call under way. It counts who waits; `sent` is True from sending until the reply is stored, `paid` once it came."""

    __slots__ = ("owner", "paid", "sent", "task", "waiters")

    def __init__(self, owner: object) -> None:
        self.owner = owner
        self.sent = False
        self.paid = False
        self.waiters: list[asyncio.Future[Any]] = []
        self.task: asyncio.Task[None] | None = None

    @property
    def over(self) -> bool:
        """Whether its task has ended: also one that was cancelled before it began, and could not leave the table itself."""
        return self.task is None or self.task.done()


class Flights:
    """The calls under way, by key.

    Failure policy: a waiter that is cancelled leaves; the call itself is cancelled only when nobody waits and it has
    not been sent, because what was sent is paid for and must be stored. All waiters see the same error.
    """

    def __init__(self) -> None:
        self._flights: dict[str, Flight] = {}

    def __contains__(self, key: str) -> bool:
        flight = self._flights.get(key)
        return flight is not None and not flight.over

    def __len__(self) -> int:
        return len(self._flights)

    async def join(self, key: str, owner: object, start: Callable[[Flight], Coroutine[Any, Any, Outcome]]) -> Outcome:
        """The outcome of the call `key`, which is started, as the owner's, unless it is under way."""
        loop = asyncio.get_running_loop()
        flight = self._flights.get(key)
        if flight is None or flight.over:
            flight = self._flights[key] = Flight(owner)
            flight.task = loop.create_task(self._fly(key, flight, start))
        waiter: asyncio.Future[Any] = loop.create_future()
        flight.waiters.append(waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter in flight.waiters:
                flight.waiters.remove(waiter)
            if not flight.waiters and not flight.sent and flight.task is not None and not flight.task.done():
                # Gone from the table at once: whoever asks for the same now must not get the cancelled one.
                self._forget(key, flight)
                flight.task.cancel()
            raise

    def cut(self, pause: Paused, *, sent: bool) -> None:
        """Give up the calls under way; what is paid is stored all the same.

        Args:
            pause: what whoever waits gets.
            sent: False: only what has not been sent.
        """
        for key, flight in list(self._flights.items()):
            if flight.task is not None and not flight.paid and (sent or not flight.sent):
                self._forget(key, flight)
                flight.task.cancel()
                for waiter in flight.waiters:
                    if not waiter.done():
                        waiter.set_exception(Paused(str(pause), stopped_by=pause.stopped_by))

    async def ended(self, keys: Collection[str] | None = None) -> None:
        """Wait until none of some calls, or no call at all, is under way; none is given up."""
        while tasks := [
            flight.task
            for key, flight in self._flights.items()
            if flight.task and not flight.over and (keys is None or key in keys)
        ]:
            await asyncio.wait(tasks)

    async def drain(self, owner: object = None) -> None:
        """Cancel what has not been sent and wait for the rest: of one owner, or of all."""
        while under_way := [(k, f) for k, f in self._flights.items() if not f.over and owner in (None, f.owner)]:
            tasks: list[asyncio.Task[None]] = []
            for key, flight in under_way:
                if flight.task is not None:
                    if not flight.sent:
                        self._forget(key, flight)
                        flight.task.cancel()
                        for waiter in flight.waiters:  # the task may not have begun, and then tells nobody
                            waiter.cancel()
                    tasks.append(flight.task)
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _fly(self, key: str, flight: Flight, start: Callable[[Flight], Coroutine[Any, Any, Outcome]]) -> None:
        """Make the call and tell all who wait. Its error is theirs, and nobody's when nobody waits any more."""
        try:
            outcome = await start(flight)
        except BaseException as error:
            self._forget(key, flight)
            for waiter in flight.waiters:
                if waiter.done():
                    continue
                if isinstance(error, asyncio.CancelledError):
                    waiter.cancel()
                else:
                    waiter.set_exception(error)
            if not isinstance(error, Exception):
                raise
        else:
            self._forget(key, flight)
            for waiter in flight.waiters:
                if not waiter.done():
                    waiter.set_result(outcome)

    def _forget(self, key: str, flight: Flight) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]


class Strays:
    """Second sendings whose answers nobody needs any more; they are paid for, so they are seen to their end."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def add(self, end: Coroutine[Any, Any, None]) -> None:
        """See one to its end."""
        task = asyncio.ensure_future(end)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def settle(self) -> None:
        """Wait for all."""
        while self._tasks:
            await asyncio.wait(list(self._tasks))

    def cut(self) -> None:
        """Give all up."""
        for each in self._tasks:
            each.cancel()
