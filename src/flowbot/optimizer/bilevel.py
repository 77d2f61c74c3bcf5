"""The bilevel loop of the paper, on one screen.

    minimise over sketches S:      loss on validation of (S, theta*(S)) and its cost
    where theta*(S) roughly minimises: loss on training of (S, theta)

(FlowBot, arXiv 2604.26258.) One walk through the training set in batches. For each batch and each loop: one outer step, which
changes the sketch, then inner steps, which tune what the sketch holds. After each batch what stands is validated in full; the best
on validation is returned. What a proposer hands in is taken as it is, unless a judge is asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil, fsum

from flowbot.run.result import PLAN_USED

from .admission import TAKEN, Admissions
from .population import Candidate
from .scored import scored
from .seams import Context, Focus, Pick, Proposer
from .tuned import Tuner, fits

BATCH, LOOPS, INNER_STEPS = 5, 2, 5
"""The paper's protocol: rows of a batch, bilevel loops a batch, inner steps a loop."""


@dataclass(slots=True)
class Bilevel:
    """One search by the paper's protocol.

    Args:
        outer, inner: propose changes of structure and of parameters, which are taken as they are; None: that loop does nothing.
        tuner: in place of `inner`: picks changes of parameters, and judges them.
    """

    outer: Proposer | None = None
    inner: Proposer | None = None
    tuner: Tuner | None = None
    _validated: list[Candidate] = field(default_factory=list[Candidate])
    _admissions: Admissions = field(default_factory=Admissions)

    def opening(self, context: Context) -> Sequence[str]:
        """The start is validated in full first, as in the paper."""
        return context.validation

    async def search(self, context: Context) -> str:
        """One epoch of batches, or until the planned calls are used."""
        rows = context.rows
        here = context.population.start
        context.record(scored(context, here.program, "val", context.validation))
        if self.outer is None and self.inner is None and self.tuner is None:
            return "there is nothing to try"
        context.watch.enter("search", ceil(len(rows) / BATCH))
        for first in range(0, len(rows), BATCH):
            batch = rows[first : first + BATCH]
            for _ in range(LOOPS):
                here = await self._step(context, self.outer, here, batch)
                for _ in range(INNER_STEPS):
                    here = await self._step(context, self.inner, here, batch)
                    if self.tuner is not None:
                        here = await self.tuner.step(context, here, self._admissions, context.validation)
            if not fits(context, here.program, (*batch, *context.validation)):
                return PLAN_USED
            await context.run(here.program, batch, "train")
            await context.run(here.program, context.validation, "val")
            self._validated.append(here)
            context.population.incumbent = here
            context.record(scored(context, here.program, "val", context.validation))
            context.watch.passed()
        return "every batch was walked through"

    async def choose(self, context: Context) -> Candidate:
        """The best on validation, the earliest of equals; the start where none is better."""
        population, rows = context.population, context.validation
        return population.best_of(
            [population.start, *self._validated],
            lambda each: fsum(population.scores(each.program, rows)) / max(1, len(rows)),
        )

    async def _step(
        self, context: Context, proposer: Proposer | None, here: Candidate, batch: Sequence[str]
    ) -> Candidate:
        """The program to go on with: what is proposed, if anything valid is and the judge does not object."""
        if proposer is None:
            return here
        for option in proposer.options(here, context):
            if not fits(context, here.program, (*batch, *context.validation), option.cost):
                continue
            focus = Focus(option, self._admissions.number, TAKEN, TAKEN, rows=tuple(batch))
            for proposal in await proposer.propose(here, focus, 1, context):
                return self._admissions.taken(context, Pick(here, proposer, focus), proposal)
        return here
