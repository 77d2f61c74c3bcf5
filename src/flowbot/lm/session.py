"""What the calls of one run have in common: where responses are kept, what is counted, and the wish to stop."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from copy import copy
from itertools import count

from flowbot.fields import ModelError, Paused, Usage
from flowbot.store import Store

from .budget import Budget
from .charged import Charged, Uncharged
from .client import Draw, Reply, Request
from .connections import Connections
from .cut import Cut
from .flight import Flights, Strays
from .ledger import Ledger
from .pace import Pace
from .stop import StopSignal

RETRY_NEWS_SECONDS = 5.0


class Session:
    """One run, as its calls see it. Whoever opens the store closes it.

    Args:
        store: where responses are kept.
        budget: ceilings.
        ledger: what is counted.
        stop: the wish to stop.
        pace: how fast each endpoint may be called, where `connections` do not say it.
        lasting: whether the store keeps responses, so that what decides how a request looks has to follow from them.
        on_retry: told in one line of a call that is sent again, at most once in `RETRY_NEWS_SECONDS`.
        connections: what it shares with other runs; its own when None.
    """

    def __init__(
        self,
        store: Store,
        budget: Budget | None = None,
        ledger: Ledger | None = None,
        stop: StopSignal | None = None,
        pace: Pace | None = None,
        *,
        on_retry: Callable[[str], None] | None = None,
        lasting: bool = True,
        connections: Connections | None = None,
    ) -> None:
        self.store = store
        self.budget = budget or Budget()
        self.ledger = ledger or Ledger()
        self.stop = stop or StopSignal()
        self.on_retry = on_retry
        self.lasting = lasting
        self.connections = connections or Connections(store, pace)
        self.charged = Charged() if lasting else Uncharged()
        """The keys of the calls that were counted: a run counts each different call once, as long as responses are kept."""
        self.tried: dict[str, Usage] = {}
        """What was counted of the tries of calls without a response, by key."""
        self.copied: dict[str, Usage] = {}
        """The same of their second sendings."""
        self.answered_by: set[str] = set()
        """Identities of the models that have answered, now or in the store."""
        self.flights = Flights()
        """Calls under way, by key."""
        self.strays = Strays()
        self.admit: Callable[[str], Awaitable[None] | None] = lambda key: None
        """Asked before every call, with its key; what is to be awaited where it is not to be made raises the call's error."""
        self.heard: Callable[[str, Request, Draw, Reply | ModelError], object] = lambda model, request, draw, reply: (
            None
        )
        """Told of every reply, or error of the model's, that a caller gets, stored ones too, with the model string and what was asked, in the caller's context."""
        self.budget.begin()
        self.cut = Cut(self.flights, self.strays, self.budget, self.stop)
        self._tell_from = 0.0
        self._numbers = count(1)

    def next_key(self) -> str:
        """Names a call whose response nobody keeps: an equal one has another name, and is made anew."""
        return f"{next(self._numbers):016x}"[::-1]  # what is derived from its beginning differs from call to call

    def within(self, budget: Budget) -> Session:
        """The same run, its calls counted in `budget`, which is within the run's."""
        part = copy(self)
        part.budget = budget.within(self.budget)
        return part

    def over(self, store: Store) -> Session:
        """The same run, its responses looked for and kept in `store`."""
        part = copy(self)
        part.store = store
        return part

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

    async def drain(self, owner: object = None) -> None:
        """Wait until the calls in flight have finished and are stored: of one owner, or of all; those not sent yet are given up."""
        await self.flights.drain(owner)
        await self.strays.settle()
