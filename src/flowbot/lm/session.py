"""What all calls of a run share: the store, the ledger, the budget, the wish to stop, the limits of each endpoint."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

from flowbot.fields import Paused
from flowbot.store import Store

from .budget import Budget
from .client import Client
from .flight import Flights
from .ledger import Ledger
from .limits import Limit

__all__ = ["Budget", "Ledger", "Session", "StopSignal"]


class StopSignal:
    """A wish to stop, set from anywhere (a signal handler, a thread). Calls in flight finish; no new one is sent."""

    def __init__(self) -> None:
        self._reason = ""
        self._waiting: dict[asyncio.Future[None], asyncio.AbstractEventLoop] = {}

    def set(self, reason: str = "stopped by a signal") -> None:
        """Ask to stop. The first reason stays."""
        self._reason = self._reason or reason
        for future, loop in list(self._waiting.items()):
            # A loop that has ended meanwhile waits for nothing.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(_wake, future)

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


@dataclass
class Session:
    """What the calls of one run share. Whoever opens the store closes it.

    Args:
        store: where responses are kept.
        budget: ceilings.
        ledger: what is counted.
        stop: the wish to stop.
        max_concurrency: calls in flight at an endpoint at most; the endpoint's own default when None.
        on_retry: told in one line of every call that is sent again.
    """

    store: Store
    budget: Budget = field(default_factory=Budget)
    ledger: Ledger = field(default_factory=Ledger)
    stop: StopSignal = field(default_factory=StopSignal)
    max_concurrency: int | None = None
    on_retry: Callable[[str], None] | None = None
    charged: set[str] = field(default_factory=set[str], init=False)
    """Keys of the calls that were counted: a run counts each different call once."""
    flights: Flights = field(default_factory=Flights, init=False)
    """Calls under way, by key."""
    _shared: dict[str, Client] = field(default_factory=dict[str, Client], init=False)
    _users: dict[str, int] = field(default_factory=dict[str, int], init=False)
    _limits: dict[str, Limit] = field(default_factory=dict[str, Limit], init=False)

    def __post_init__(self) -> None:
        self.budget.begin()

    def limit(self, name: str, concurrency: int) -> Limit:
        """The limit of an endpoint, shared by all who name it; the first to name it decides its size."""
        if name not in self._limits:
            self._limits[name] = Limit(concurrency)
        return self._limits[name]

    def share(self, name: str, make: Callable[[], Client]) -> Client:
        """The client of that name, made once: one model asked for twice must not start two servers. See `release`."""
        if name not in self._shared:
            self._shared[name] = make()
        self._users[name] = self._users.get(name, 0) + 1
        return self._shared[name]

    async def release(self, name: str) -> None:
        """One user of the client is gone; the last one closes it."""
        self._users[name] -= 1
        if not self._users[name]:
            del self._users[name]
            await self._shared.pop(name).close()

    def check(self) -> None:
        """Whether a call may be sent now.

        Raises:
            Paused: if somebody asked to stop or the seconds are over.
        """
        self.stop.check()
        self.budget.check_time()

    async def drain(self) -> None:
        """Wait until the calls in flight have finished and are stored; those not sent yet are given up."""
        await self.flights.drain()


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
