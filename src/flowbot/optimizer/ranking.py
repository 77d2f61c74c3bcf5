"""The programs of a search that scores each on the same rows; the one of the highest mean is the incumbent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from .admission import Admissions
from .judge import Judge, PosteriorJudge
from .population import Candidate
from .seams import Context
from .tuned import Tuner, fits

DRAWS = 2
"""Draws of an inner optimiser on one new program."""


@dataclass(slots=True)
class Ranking:
    """Those of one search.

    Args:
        rule: by which they are compared, as the journal says it.
        tuner: tunes each new one by a few judged draws; None: nobody does.
        beside: how many of the best may be gone on with besides the start.
        block: ids of the rows; empty: all that candidates are judged on.
        judge: says what is believed of a gain, for validation.
    """

    rule: str
    tuner: Tuner | None = None
    beside: int = 0
    block: Sequence[str] = ()
    judge: Judge = field(default_factory=PosteriorJudge)
    admissions: Admissions = field(default_factory=Admissions)
    nodes: list[Candidate] = field(default_factory=list[Candidate])

    def rows(self, context: Context) -> Sequence[str]:
        """Ids of the rows that all are scored on."""
        return self.block or context.rows

    async def begun(self, context: Context, rounds: int) -> bool:
        """Score the start; whether the planned calls allowed it.

        Raises:
            BudgetExceeded: at a ceiling, or at the end of the plan.
        """
        start, rows = context.population.start, self.rows(context)
        if not rows or not fits(context, start.program, rows):
            return False
        await context.run(start.program, rows, "train")
        self.nodes = [start]
        context.watch.enter("search", rounds)
        return True

    async def add(self, context: Context, candidate: Candidate) -> Candidate:
        """Score a candidate, journal what becomes of it, and tune it; what stands for it from now on.

        Raises:
            BudgetExceeded: at a ceiling, or at the end of the plan; what was adopted by then stands.
        """
        assert candidate.parent is not None
        rows = self.rows(context)
        await context.run(candidate.program, rows, "train")
        self.nodes.append(candidate)
        beside: Literal["set aside", "drop"] = "set aside" if candidate in self.parents(context) else "drop"
        decision = "adopt" if candidate is self.best(context) else beside
        pairs = context.population.pairs(candidate, rows, candidate.parent, shown=True)
        self.admissions.compared(context, candidate, decision, self.rule, pairs)
        candidate.belief = self.judge.believe(candidate, context.population, rows)
        try:
            self.nodes[-1] = await self._tuned(context, candidate)
        finally:
            context.population.incumbent = self.best(context)
        return self.nodes[-1]

    async def _tuned(self, context: Context, candidate: Candidate) -> Candidate:
        """The candidate, or what an inner optimiser made of it, if that scores higher."""
        here = candidate
        for _ in range(DRAWS):
            if self.tuner is None or len(self.rows(context)) * context.calls_of(here.program) > context.left:
                break
            here = await self.tuner.step(context, here, self.admissions, self.rows(context))
            await context.run(here.program, self.rows(context), "train")
        return here if self.worth(context, here) > self.worth(context, candidate) else candidate

    def best(self, context: Context) -> Candidate:
        """The highest mean, or what is better by the user's objective, the earliest of equals."""
        return context.population.best_of(self.nodes, lambda each: self.score(context, each))

    def parents(self, context: Context) -> list[Candidate]:
        """The start, and the best of the others."""
        start, *others = self.nodes
        return [start, *sorted(others, key=lambda each: -self.worth(context, each))[: self.beside]]

    def worth(self, context: Context, node: Candidate) -> float:
        """Its score, less what it takes more than the start is worth where the user names an objective."""
        return self.score(context, node) - context.population.charge(node, context.population.start)

    def score(self, context: Context, node: Candidate) -> float:
        """Its mean on the rows."""
        return context.population.mean_score(node.program, self.rows(context))
