"""The search of AFlow (Zhang et al. 2024, arXiv 2410.10762, algorithm 1; code of 2025-07), on one screen.

    score the start on all rows
    twenty rounds at most:
        draw a parent among the start and the three best, partly evenly, partly by score
        its author, told what was tried on it, makes one modification
        score what comes of it once, on all rows; remember it with the parent, whatever came of it
        stop when the mean of the three best has stood for five rounds

It departs from the published one where our rules ask for it. What it calls validation, rows that candidates are scored on and whose
failures their author sees, is our training; what is returned is confirmed on validation, which the search never runs, unless that is so small
that it joins the rows, which is the published protocol. A round that brings nothing to run counts, so that it ends whatever the
meta model writes. The plan and all ceilings hold. An inner optimiser, of which the published one has none, tunes each new structure by a few judged draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import exp, fsum
from statistics import fmean

from flowbot.fields.words import percent
from flowbot.optimizer.population import Candidate
from flowbot.optimizer.ranking import Ranking
from flowbot.optimizer.seams import Context, Option
from flowbot.optimizer.tuned import fits
from flowbot.run.result import PLAN_USED

from .author import Author

BEST = 3
EVEN, SHARPNESS = 0.3, 0.2
"""Of the mixed probability: the share that is even, and how much a point of score weighs."""
ROUNDS, PATIENCE = 20, 5
RULE = "mean of all rows"


def chances(scores: Sequence[float]) -> list[float]:
    """How likely each parent is drawn: 0.3 even + 0.7 softmax(0.2 · (score in points − the highest)) (formula 3 there, with the
    numbers of its code).

    Args:
        scores: in [0, 1]; at least one.
    """
    weights = [exp(SHARPNESS * 100 * (score - max(scores))) for score in scores]
    return [EVEN / len(scores) + (1 - EVEN) * weight / fsum(weights) for weight in weights]


@dataclass(slots=True)
class Tree:
    """One search.

    Args:
        author: makes modifications.
        ranking: what comes of them.
    """

    author: Author
    ranking: Ranking = field(default_factory=lambda: Ranking(RULE, beside=BEST))
    _tried: dict[str, list[str]] = field(default_factory=dict[str, list[str]])

    async def search(self, context: Context) -> str:
        """Search until the mean of the best stands, or the rounds or the planned calls are used; says which. The result is the incumbent.

        Raises:
            BudgetExceeded: at a ceiling, or at the end of the plan; what was adopted by then stands.
        """
        if not await self.ranking.begun(context, ROUNDS):
            return PLAN_USED
        stood = 0
        for number in range(ROUNDS):
            offers = [(node, self.author.offers(node, context)) for node in self.ranking.parents(context)]
            open_ = {node: fitting for node, found in offers if (fitting := _affordable(context, node, found))}
            if not open_:
                return PLAN_USED if any(found for _, found in offers) else "nothing is left to try"
            parents = list(open_)
            rng = context.rng(f"aflow/parent/{number}")
            (parent,) = rng.choices(parents, chances([self.ranking.worth(context, each) for each in parents]))
            before = self._top(context)
            await self._expand(context, parent, open_[parent])
            context.watch.passed()
            stood = stood + 1 if self._top(context) == before else 0
            if stood == PATIENCE:
                return f"the mean of the {BEST} best has stood for {PATIENCE} rounds"
        return f"{ROUNDS} rounds were made"

    async def _expand(self, context: Context, parent: Candidate, offers: Sequence[Option]) -> None:
        """One modification of a parent: made, run, compared, tuned, and remembered."""
        tried, ranking = self._tried.setdefault(parent.program.hash, []), self.ranking
        pick, proposal = await self.author.modified(parent, offers, tried, context)
        candidate = ranking.admissions.admitted(context, pick, proposal)
        if candidate is None:
            tried.append(f"{proposal.title}: {next(iter(proposal.faults[-1:]), 'nothing came of it')}")
        elif not fits(context, candidate.program, context.rows):
            tried.append(f"{proposal.title}: it takes more calls than are left")
        else:
            new = await ranking.add(context, candidate)
            old, now = (percent(ranking.score(context, each)) for each in (parent, new))
            came = "better" if ranking.worth(context, new) > ranking.worth(context, parent) else "no better"
            tried.append(f"{proposal.title}: from {old} to {now}, {came}")

    def _top(self, context: Context) -> float:
        """Mean of the best, the start among them."""
        return fmean(sorted((self.ranking.worth(context, each) for each in self.ranking.nodes), reverse=True)[:BEST])


def _affordable(context: Context, parent: Candidate, offers: Sequence[Option]) -> list[Option]:
    """The offers that leave enough of the plan to score what comes of them, as far as that is known before."""
    rows, calls = len(context.rows), context.calls_of(parent.program)
    return [each for each in offers if each.cost + rows * max(1.0, calls + each.extra) <= context.left]
