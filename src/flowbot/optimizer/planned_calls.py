"""The planned calls of a search: which are made, which are left, and what becomes of those that a ceiling cut short."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager

from flowbot.fields import BudgetExceeded
from flowbot.lm.session import Session
from flowbot.run.events import CutShort
from flowbot.run.journal import Journal

from .seams import PlanUsed


class PlannedCalls:
    """A part of `Search`, which has these members."""

    session: Session
    journal: Journal
    planned: float
    cuts = 0
    """How often a ceiling cut short what ran side by side."""

    def open_plan(self) -> None:
        """From now on calls are those of the search."""
        self._kept_back = 0.0
        self._settled_at = self._by_chance = 0
        self.cut = self._met = False
        self._forgone = 0.0
        """Planned calls that nobody counts on any more: of those that a ceiling cut short some were made, by chance."""
        self._asked: set[str] = set()
        """Keys of the calls that were asked for since the last event and are not counted in `_settled_at`."""
        self.session.admit = self._admit

    @property
    def spent(self) -> int:
        """As of `Context`. What a ceiling cut short does not count: how much of it was made is chance."""
        return self._settled_at if self.cut else sum(self.session.ledger.calls.values()) - self._by_chance

    @property
    def left(self) -> float:
        """As of `Context`."""
        return self.planned - self.spent - self._kept_back - self._forgone

    @contextmanager
    def set_aside(self, calls: float) -> Generator[None]:
        """As of `Context`."""
        self._kept_back += calls
        try:
            yield
        finally:
            self._kept_back -= calls

    def cut_short(self) -> None:
        """A ceiling ended what runs side by side: what came of it counts whole or not at all.

        Which calls were the last that fitted depends on the order in which answers came. So all that was run since the last
        event is forgotten once all of it has ended, with the next event or with `settle`. How many planned calls it took is chance,
        too: none but those that are set aside are left.
        """
        if not self.cut:
            self._forgone += max(0.0, self.planned - self._settled_at - self._kept_back - self._forgone)
        self.cut = True
        self.cuts += 1

    def end_plan(self) -> None:
        """From now on calls are not those of the search."""
        self.session.admit = lambda key: None

    def settle_calls(self) -> None:
        """Calls that were made until now are counted, those that a ceiling cut short as made by chance."""
        if self._met:
            made = tuple(sorted(each for each in self._asked if each in self.session.charged))
            self.journal.record(CutShort(calls=made, spent=self._settled_at))
        if self.cut:
            self._by_chance = sum(self.session.ledger.calls.values()) - self._settled_at
        self._asked = set() if self.cut else {each for each in self._asked if each not in self.session.charged}
        self.cut = self._met = False
        self._settled_at = self.spent

    def _admit(self, key: str) -> None:
        """Hold the calls of the search to the plan, to the last one: an unreadable reply is asked for again beyond what was foreseen.
        Of what the plan cut short, a replay makes the calls that were made.

        Raises:
            PlanUsed: for a call more.
        """
        if key in self._asked or key in self.session.charged:
            return
        cut = self.journal.ahead
        if isinstance(cut, CutShort) and cut.spent == self._settled_at:
            admitted = key in cut.calls
        else:
            admitted = self._settled_at + len(self._asked) + 1 <= self.planned - self._kept_back - self._forgone
        if not admitted:
            self._met = True
            raise PlanUsed(f"the search has taken the {self.planned:g} calls that it planned", ceiling="calls")
        self._asked.add(key)

    @asynccontextmanager
    async def cut_at_ceilings(self) -> AsyncGenerator[None]:
        """At a ceiling calls that were sent go on, and what they take is known when they end."""
        try:
            yield
        except BudgetExceeded as error:
            if error.budget is not None:
                await self.session.drain()
            self.cut_short()
            raise
