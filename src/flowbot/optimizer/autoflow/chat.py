"""The search of AutoFlow (Li et al. 2024, arXiv 2407.12821; its generator in context), on one screen.

    score the start on a fixed block of rows
    thirty rounds at most:
        the writer, told in its chat what the programs before were worth, writes another one
        score it on the same block; the highest mean is kept

It departs from the published one where our rules ask for it. Every program is checked before it runs. Training and test are disjoint, and
the test is run once at the end, not at every new best; what is returned is confirmed on validation, unless that is so small that it joins
the rows. The plan and all ceilings hold. An inner optimiser, of which the published one has none, tunes each new program by a few judged draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from flowbot.optimizer.admission import Admissions
from flowbot.optimizer.judge import Judge, PosteriorJudge
from flowbot.optimizer.population import Candidate
from flowbot.optimizer.seams import Context, Pick
from flowbot.optimizer.tuned import Tuner, fits
from flowbot.run.result import PLAN_USED
from flowbot.runtime.program import WorkflowProgram

from .writer import Writer, asked_for

BLOCK = 12
"""Rows that every program is scored on, at most."""
LEAST = 4
"""Programs that the block must be small enough for, the start among them, whatever each takes."""
ROUNDS = 30
DRAWS = 2
"""Draws of an inner optimiser on one new program."""
RULE = "mean of the fixed block"
_Member = Candidate[WorkflowProgram]
_Context = Context[WorkflowProgram]


@dataclass(slots=True)
class Chat:
    """One search.

    Args:
        writer: writes programs.
        tuner: tunes each new one; None: nobody does.
        judge: says what is believed of a gain, for validation.
    """

    writer: Writer
    tuner: Tuner | None = None
    judge: Judge[WorkflowProgram] = field(default_factory=PosteriorJudge[WorkflowProgram])
    _admissions: Admissions[WorkflowProgram] = field(default_factory=Admissions[WorkflowProgram])
    _nodes: list[_Member] = field(default_factory=list[_Member])
    _rows: Sequence[str] = ()

    def opening(self, context: _Context) -> Sequence[str]:
        """The fixed rows: so few that some programs can be scored on them."""
        calls = max(1.0, context.calls_of(context.population.start.program))
        self._rows = context.rows[: min(BLOCK, max(1, int(context.left / (LEAST * calls))))]
        return self._rows

    async def search(self, context: _Context) -> str:
        """Search until the rounds or the planned calls are used; says which. The result is the incumbent.

        Raises:
            BudgetExceeded: at a ceiling, or at the end of the plan; what was adopted by then stands.
        """
        start = context.population.start
        rows = self._rows or self.opening(context)
        if not rows or not fits(context, start.program, rows):
            return PLAN_USED
        await context.run(start.program, rows, "train")
        self._nodes = [start]
        context.watch.enter("search", ROUNDS)
        for _ in range(ROUNDS):
            options = self.writer.options(start, context)
            if not options:
                return "nothing is left to try"
            if options[0].cost + len(rows) > context.left:
                return PLAN_USED
            focus = asked_for(options[0], rows)
            for proposal in await self.writer.propose(start, focus, 1, context):
                candidate = self._admissions.admitted(
                    context, Pick(self._best(context, rows), self.writer, focus), proposal
                )
                if candidate is None:
                    continue
                if not fits(context, candidate.program, rows):
                    return PLAN_USED
                await self._score_and_tune(context, candidate, rows)
            context.watch.passed()
        return f"{ROUNDS} rounds were made"

    async def _score_and_tune(self, context: _Context, candidate: _Member, rows: Sequence[str]) -> None:
        assert candidate.parent is not None
        await context.run(candidate.program, rows, "train")
        self._nodes.append(candidate)
        pairs = context.population.pairs(candidate, rows, candidate.parent, shown=True)
        best = self._best(context, rows) is candidate
        self._admissions.compared(context, candidate, "adopt" if best else "drop", RULE, pairs)
        candidate.belief = self.judge.believe(candidate, context.population, rows)
        try:
            here = candidate
            for _ in range(DRAWS if self.tuner is not None else 0):
                assert self.tuner is not None
                if not fits(context, here.program, context.rows, len(rows)):
                    break
                here = await self.tuner.step(context, here, self._admissions, rows)
                await context.run(here.program, rows, "train")
            if here is not candidate:
                self._nodes.append(here)
        finally:
            context.population.incumbent = self._best(context, rows)

    def _best(self, context: _Context, rows: Sequence[str]) -> _Member:
        """The highest mean, or what is better by the user's objective, the earliest of equals."""
        return context.population.best_of(self._nodes, lambda each: context.population.mean_score(each.program, rows))
