"""TextGrad's own protocol (Yuksekgonul et al. 2024, arXiv 2406.07496), with no structure changed.

    for each batch of training, twelve at most:
        run it, gradients of every variable, join them, write every variable anew

Nothing is compared: what was written last is returned. `revert` does what the authors' evaluation script adds: what stands is
validated after every step, and put back where its score fell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import fsum

from flowbot.optimizer.admission import TAKEN, Admissions, require_planned
from flowbot.optimizer.pool import fitting
from flowbot.optimizer.population import Candidate
from flowbot.optimizer.scored import scored
from flowbot.optimizer.seams import Context, Focus, Pick, Proposal

from .proposer import BATCH, TextGrad

STEPS = 12


@dataclass(slots=True)
class Descent:
    """One search by that protocol.

    Args:
        optimiser: makes the steps.
        revert: whether a step that lowers the score on validation is put back.
    """

    optimiser: TextGrad = field(default_factory=TextGrad)
    revert: bool = False
    _admissions: Admissions = field(default_factory=Admissions)
    _here: Candidate | None = None

    def opening(self, context: Context) -> Sequence[str]:
        """The first batch; with `revert` the start is validated first."""
        rows = context.validation if self.revert else _batch(context, 0)
        return rows[: fitting(context, context.population.start.program)]

    async def search(self, context: Context) -> str:
        """The steps, or until the planned calls are used."""
        here = self._here = context.population.start
        if self.revert:
            context.record(scored(context, here.program, "val", context.validation))
        context.watch.enter("search", STEPS)
        for step in range(STEPS):
            batch = _batch(context, step)
            missing = context.population.missing(here.program, batch)
            require_planned(context, len(missing) * context.calls_of(here.program))
            await context.run(here.program, batch, "train")
            for option in self.optimiser.options(here, context):
                validating = len(context.validation) * context.calls_of(here.program) * self.revert
                require_planned(context, option.cost + validating)
                focus = Focus(option, 0, TAKEN, TAKEN, rows=tuple(batch))
                for made in await self.optimiser.propose(here, focus, 1, context):
                    here = self._here = await self._next(context, Pick(here, self.optimiser, focus), made)
            context.watch.passed()
        return f"{STEPS} steps were made"

    async def choose(self, context: Context) -> Candidate:
        """What was written last."""
        return self._here or context.population.start

    async def _next(self, context: Context, pick: Pick, made: Proposal) -> Candidate:
        """The program to go on with."""
        if not self.revert:
            taken = context.population.incumbent = self._admissions.taken(context, pick, made)
            return taken
        candidate = self._admissions.admitted(context, pick, made)
        if candidate is None:
            return pick.parent
        await context.run(candidate.program, context.validation, "val")
        pairs = context.population.pairs(candidate, context.validation, pick.parent, shown=True)
        stays = fsum(pairs.mine) >= fsum(pairs.theirs)
        self._admissions.compared(context, candidate, "adopt" if stays else "drop", "mean of validation", pairs)
        if not stays:
            return pick.parent
        context.population.incumbent = candidate
        context.record(scored(context, candidate.program, "val", context.validation))
        return candidate


def _batch(context: Context, step: int) -> Sequence[str]:
    """The next rows of training, from the first again after the last."""
    rows = context.training
    return [rows[(step * BATCH + place) % len(rows)] for place in range(min(BATCH, len(rows)))]
