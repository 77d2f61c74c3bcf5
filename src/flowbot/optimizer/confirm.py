"""What is returned: the incumbent, once validation rows that the search never saw confirm that it is better than the start.

A bandit that keeps looking finds luck; only unseen rows stop that. Validation is spent in blocks, on winner and start alike, and
no more of it than the answer needs. Where it refutes the winner the start is returned: to ask about the one before it in the lineage
gains nothing in simulation (`benchmarks/simulate`) and lets more luck through. No claim is made here: that is for the test, once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol

from flowbot.fields import BudgetExceeded
from flowbot.run.events import Decision
from flowbot.runtime.together import all_of

from .admission import decided
from .belief import Belief
from .judge import Ruling, observed, unpaired, weighed
from .population import Candidate, P
from .seams import Context

BLOCK = 10
"""Validation rows at a time."""
CERTAIN = 0.97
REFUTED = 0.05
BELIEVED = 0.5
"""What the gains that the search believes in count before validation: they are the best of many, and so too high."""
BELIEVED_SPREAD = 0.08
"""By how much the true gain may differ from that: less than a change that nobody has run, since the search has seen the winner on
its own rows."""

FEW_ROWS = 30
FEW_CALLS = 100


def few(rows: int, calls: float) -> bool:
    """Whether validation of so many rows, or so few planned calls, is better spent on the search: on fewer than 30 rows a
    confirmation refutes what is good, and what `Confirm` sets aside of few calls is not enough for its first block. The search then
    has all rows, and a judge of `STRICTER` bars in its place.

    Args:
        rows: of validation.
        calls: that are planned, for each call that an example of the start takes.
    """
    return rows < FEW_ROWS or calls < FEW_CALLS


class Closing(Protocol[P]):
    """Chooses what is returned, on validation rows that the search did not run; what it decides it records."""

    def room(self, calls: float, rows: int, start_calls: float) -> float:
        """Planned calls to set aside for it, of `calls` in all.

        Args:
            calls: of the search and the choice together.
            rows: of validation.
            start_calls: model calls an example of the start at most.
        """
        ...

    async def choose(self, context: Context[P]) -> Candidate[P]:
        """The candidate to return; the start where nothing is better. A ceiling that ends it early leaves a choice all the same;
        one that lets `BudgetExceeded` through leaves the start."""
        ...


class AsAdopted(Generic[P]):
    """Returns the incumbent: where validation has joined the search there are no unseen rows."""

    def room(self, calls: float, rows: int, start_calls: float) -> float:
        """None is needed."""
        return 0.0

    async def choose(self, context: Context[P]) -> Candidate[P]:
        """What was adopted last."""
        return context.population.incumbent


@dataclass(slots=True)
class Confirm(Generic[P]):
    """Confirms the incumbent against the start on unseen rows.

    Validation continues what the search believes: both are one posterior, post-stratified by the start's scores as there, for
    which the start's training rows count, too. Its bar is so high because few rows confirm luck as easily: where nothing matters
    0.80 on plain pairs returned another workflow in one run of ten at 200 calls (`docs/simulation.md`).

    Args:
        bar: P(better than the start) from which on it is returned.
        share: share of the planned calls that is set aside for it at most.
    """

    bar: float = 0.94
    share: float = 0.25

    def room(self, calls: float, rows: int, start_calls: float) -> float:
        """Planned calls to set aside: for both sides of all rows, with some steps more, or a share of all."""
        return min(int(2.5 * rows * start_calls), int(self.share * calls))

    async def choose(self, context: Context[P]) -> Candidate[P]:
        """The program to return."""
        population = context.population
        winner = population.incumbent
        return winner if winner.parent is None or await self._confirmed(winner, context) else population.start

    async def _confirmed(self, candidate: Candidate[P], context: Context[P]) -> bool:
        population, start = context.population, context.population.start
        scale = population.scale
        gains = sum(each.belief.mean for each in candidate.lineage[1:])
        prior = belief = Belief(BELIEVED * gains, BELIEVED_SPREAD * scale)
        pairs = population.pairs(candidate, context.validation, start)
        sides = [candidate.program, start.program]
        for end in range(BLOCK, len(context.validation) + BLOCK, BLOCK):
            rows = _paid_for(sides, context.validation[:end], context)
            if len(rows) <= len(pairs):
                break
            try:
                await all_of(context.run(side, population.missing(side, rows), "val") for side in sides)
            except BudgetExceeded:
                break  # the rows end with the last block that was run whole
            context.settle()
            pairs = population.pairs(candidate, rows, start)
            belief = prior.updated(*observed(start, population, pairs, unpaired(population)))
            if not REFUTED < belief.above() < CERTAIN:
                break
        if not pairs.rows:
            return False  # nothing that the search did not see speaks for it
        case = weighed(belief, population.price(candidate, start), self.bar)
        decision: Decision = "confirm" if case.replaces else "refute"
        ruling = Ruling(None, "validation", belief, pairs, case.p)
        context.record(decided(candidate, ruling, decision, context.spent))
        return case.replaces


def _paid_for(sides: Sequence[P], rows: Sequence[str], context: Context[P]) -> Sequence[str]:
    """As many of the rows, in their order, as the planned calls that are left surely allow on all sides: the last block may be a part of
    one, since a few rows more decide most of what would be refuted for want of them."""
    missing = [set(context.population.missing(side, rows)) for side in sides]
    left = context.left
    for number, row in enumerate(rows):
        left -= sum(context.calls_of(side) for side, of in zip(sides, missing, strict=True) if row in of)
        if left < 0:
            return rows[:number]
    return rows
