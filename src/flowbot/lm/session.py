"""What all calls of a run share: the store, the ledger, the budget, the wish to stop, the gate of each endpoint."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from weakref import WeakSet

from flowbot.fields import Paused
from flowbot.store import Store

from .budget import Budget
from .charged import Charged
from .client import Client
from .clock import RealClock
from .cut import Cut
from .flight import Flights
from .gate import Gate
from .hedge import Hedge
from .ledger import Ledger
from .pace import Pace

__all__ = ["Budget", "Ledger", "Session", "StopSignal"]

RETRY_NEWS_SECONDS = 5.0
WIDTH = 4
"""Examples worked on at once for each call that may be in flight: those that meet faults shall have begun early."""
NARROWEST = 64
"""Examples worked on at once at least: also what asks no model is to be busy."""


class StopSignal:
    """A wish to stop, set from anywhere (a signal handler, a thread). No new call is sent; those in flight have a short grace
    to finish."""

    def __init__(self) -> None:
        self._reason = ""
        self._told: WeakSet[Cut] = WeakSet()
        self._waiting: dict[asyncio.Future[None], asyncio.AbstractEventLoop] = {}

    def set(self, reason: str = "stopped by a signal") -> None:
        """Ask to stop. The first reason stays."""
        self._reason = self._reason or reason
        for future, loop in list(self._waiting.items()):
            # A loop that has ended meanwhile waits for nothing.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(_wake, future)
        for cut in list(self._told):
            cut.asked()

    def tell(self, cut: Cut) -> None:
        """Who is told of the wish when it comes, or now."""
        self._told.add(cut)
        if self.is_set():
            cut.asked()

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
        pace: how fast each endpoint may be called.
        on_retry: told in one line of a call that is sent again, at most once in `RETRY_NEWS_SECONDS`.
    """

    store: Store
    budget: Budget = field(default_factory=Budget)
    ledger: Ledger = field(default_factory=Ledger)
    stop: StopSignal = field(default_factory=StopSignal)
    pace: Pace = field(default_factory=Pace)
    on_retry: Callable[[str], None] | None = None
    charged: Charged = field(default_factory=Charged, init=False)
    """The keys of the calls that were counted: a run counts each different call once."""
    tried: set[str] = field(default_factory=set[str], init=False)
    """The keys of calls without a response whose tries were counted."""
    flights: Flights = field(default_factory=Flights, init=False)
    """Calls under way, by key."""
    _shared: dict[str, Client] = field(default_factory=dict[str, Client], init=False)
    _users: dict[str, int] = field(default_factory=dict[str, int], init=False)
    _tell_from: float = field(default=0.0, init=False)
    _hedges: list[Hedge] = field(default_factory=list["Hedge"], init=False)
    _gates: dict[str, Gate] = field(default_factory=dict[str, Gate], init=False)

    def __post_init__(self) -> None:
        self.budget.begin()
        self.cut = Cut(self.flights, self._hedges, self.budget, self.stop)

    def gate(self, client: Client) -> Gate:
        """The gate before a client's endpoint, shared by all who talk to the same model there."""
        name = json.dumps(client.identity.dump(), sort_keys=True)
        if name not in self._gates:
            start = client.default_concurrency
            self._gates[name] = Gate(
                self.pace,
                start=start,
                most=getattr(client, "max_concurrency", start),
                clock=getattr(client, "clock", None) or RealClock(),
                stop=self.stop,
            )
        return self._gates[name]

    @property
    def width(self) -> int:
        """Examples to work on at once, so that calls are always waiting and yet not all examples are in memory."""
        return max(NARROWEST, WIDTH * sum(gate.most for gate in self._gates.values()))

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

    def retried(self, text: str, now: float) -> None:
        """Count a call that is sent again, and tell it unless another was told just before."""
        self.ledger.retries += 1
        if self.on_retry is not None and now >= self._tell_from:
            self._tell_from = now + RETRY_NEWS_SECONDS
            self.on_retry(text)

    def check(self) -> None:
        """Whether a call may be sent now.

        Raises:
            Paused: if somebody asked to stop or the seconds are over.
        """
        self.stop.check()
        self.budget.check_time()

    def may_send(self) -> bool:
        """Whether a call may be sent now."""
        try:
            self.check()
        except Paused:
            return False
        return True

    def hedge(self, made: Hedge) -> Hedge:
        """Remember who sends second tries, so that they are waited for."""
        self._hedges.append(made)
        return made

    async def drain(self) -> None:
        """Wait until the calls in flight have finished and are stored; those not sent yet are given up."""
        await self.flights.drain()
        await self.settle_hedges()

    async def settle_hedges(self) -> None:
        """Wait for second tries whose answers nobody needs any more; they are paid for."""
        for each in self._hedges:
            await each.settle()


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
