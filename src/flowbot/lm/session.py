"""What all calls of a run share: the store, the ledger, the budget, the wish to stop, the gate of each endpoint."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field

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
from .stop import StopSignal

RETRY_NEWS_SECONDS = 5.0
WIDTH = 4
"""Examples worked on at once for each call that may be in flight: those that meet faults shall have begun early."""
NARROWEST = 64
"""Examples worked on at once at least: also what asks no model is to be busy."""


@dataclass
class Session:
    """What the calls of one run share. Whoever opens the store closes it.

    Args:
        store: where responses are kept.
        budget: ceilings.
        ledger: what is counted.
        stop: the wish to stop.
        pace: how fast each endpoint may be called.
        lasting: whether the store keeps responses, so that what decides how a request looks has to follow from them.
        on_retry: told in one line of a call that is sent again, at most once in `RETRY_NEWS_SECONDS`.
    """

    store: Store
    budget: Budget = field(default_factory=Budget)
    ledger: Ledger = field(default_factory=Ledger)
    stop: StopSignal = field(default_factory=StopSignal)
    pace: Pace = field(default_factory=Pace)
    on_retry: Callable[[str], None] | None = None
    lasting: bool = True
    charged: Charged = field(default_factory=Charged, init=False)
    """The keys of the calls that were counted: a run counts each different call once."""
    tried: set[str] = field(default_factory=set[str], init=False)
    """The keys of calls without a response whose tries were counted."""
    heard: set[str] = field(default_factory=set[str], init=False)
    """Identities of the models that have answered, now or in the store."""
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
