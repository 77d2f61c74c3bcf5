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

from flowbot.optimizer.ranking import Ranking
from flowbot.optimizer.seams import Context, Pick
from flowbot.optimizer.tuned import fits
from flowbot.run.result import PLAN_USED

from .writer import Writer, asked_for

BLOCK = 12
"""Rows that every program is scored on, at most."""
LEAST = 4
"""Programs that the block must be small enough for, the start among them, whatever each takes."""
ROUNDS = 30
RULE = "mean of the fixed block"


@dataclass(slots=True)
class Chat:
    """One search.

    Args:
        writer: writes programs.
        ranking: what they are worth.
    """

    writer: Writer
    ranking: Ranking = field(default_factory=lambda: Ranking(RULE))

    def opening(self, context: Context) -> Sequence[str]:
        """The fixed rows: so few that some programs can be scored on them."""
        calls = max(1.0, context.calls_of(context.population.start.program))
        self.ranking.block = context.rows[: min(BLOCK, max(1, int(context.left / (LEAST * calls))))]
        return self.ranking.block

    async def search(self, context: Context) -> str:
        """Search until the rounds or the planned calls are used; says which. The result is the incumbent.

        Raises:
            BudgetExceeded: at a ceiling, or at the end of the plan; what was adopted by then stands.
        """
        start, ranking = context.population.start, self.ranking
        rows = ranking.block or self.opening(context)
        if not await ranking.begun(context, ROUNDS):
            return PLAN_USED
        for _ in range(ROUNDS):
            (option,) = self.writer.options(start, context)
            if option.cost + len(rows) > context.left:
                return PLAN_USED
            focus = asked_for(option, rows)
            (proposal,) = await self.writer.propose(start, focus, 1, context)
            candidate = ranking.admissions.admitted(context, Pick(ranking.best(context), self.writer, focus), proposal)
            if candidate is not None:
                if not fits(context, candidate.program, rows):
                    return PLAN_USED
                await ranking.add(context, candidate)
            context.watch.passed()
        return f"{ROUNDS} rounds were made"
