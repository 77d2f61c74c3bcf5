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
from typing import Literal

from flowbot.fields.words import percent
from flowbot.optimizer.admission import Admissions
from flowbot.optimizer.judge import Judge, PosteriorJudge
from flowbot.optimizer.population import Candidate
from flowbot.optimizer.seams import Context, Option
from flowbot.optimizer.tuned import Tuner, fits
from flowbot.run.result import PLAN_USED

from .author import Author

BEST = 3
EVEN, SHARPNESS = 0.3, 0.2
"""Of the mixed probability: the share that is even, and how much a point of score weighs."""
ROUNDS, PATIENCE = 20, 5
DRAWS = 2
"""Draws of an inner optimiser on one new structure."""
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
        tuner: tunes each new structure; None: nobody does.
        judge: says what is believed of a gain, for validation.
    """

    author: Author
    tuner: Tuner | None = None
    judge: Judge = field(default_factory=PosteriorJudge)
    _admissions: Admissions = field(default_factory=Admissions)
    _nodes: list[Candidate] = field(default_factory=list[Candidate])
    _tried: dict[str, list[str]] = field(default_factory=dict[str, list[str]])

    async def search(self, context: Context) -> str:
        """Search until the mean of the best stands, or the rounds or the planned calls are used; says which. The result is the incumbent.

        Raises:
            BudgetExceeded: at a ceiling, or at the end of the plan; what was adopted by then stands.
        """
        start = context.population.start
        if not fits(context, start.program, context.rows):
            return PLAN_USED
        await context.run(start.program, context.rows, "train")
        self._nodes = [start]
        context.watch.enter("search", ROUNDS)
        stood = 0
        for number in range(ROUNDS):
            offers = [(node, self.author.offers(node, context)) for node in self._parents(context)]
            open_ = {node: fitting for node, found in offers if (fitting := _affordable(context, node, found))}
            if not open_:
                return PLAN_USED if any(found for _, found in offers) else "nothing is left to try"
            parents = list(open_)
            rng = context.rng(f"aflow/parent/{number}")
            (parent,) = rng.choices(parents, chances([self._worth(context, each) for each in parents]))
            before = self._top(context)
            await self._expand(context, parent, open_[parent])
            context.watch.passed()
            stood = stood + 1 if self._top(context) == before else 0
            if stood == PATIENCE:
                return f"the mean of the {BEST} best has stood for {PATIENCE} rounds"
        return f"{ROUNDS} rounds were made"

    async def _expand(self, context: Context, parent: Candidate, offers: Sequence[Option]) -> None:
        """One modification of a parent: made, run, compared, tuned, and remembered."""
        tried = self._tried.setdefault(parent.program.hash, [])
        pick, proposal = await self.author.modified(parent, offers, tried, context)
        candidate = self._admissions.admitted(context, pick, proposal)
        if candidate is None:
            tried.append(f"{proposal.title}: {next(iter(proposal.faults[-1:]), 'nothing came of it')}")
        elif not fits(context, candidate.program, context.rows):
            tried.append(f"{proposal.title}: it takes more calls than are left")
        else:
            await self._score_and_tune(context, candidate, parent)
            new = self._nodes[-1]
            old, now = (percent(self._score(context, each)) for each in (parent, new))
            came = "better" if self._worth(context, new) > self._worth(context, parent) else "no better"
            tried.append(f"{proposal.title}: from {old} to {now}, {came}")

    async def _score_and_tune(self, context: Context, candidate: Candidate, parent: Candidate) -> None:
        await context.run(candidate.program, context.rows, "train")
        self._nodes.append(candidate)
        kept: Literal["set aside", "drop"] = "set aside" if candidate in self._parents(context) else "drop"
        decision = "adopt" if candidate is self._best(context) else kept
        pairs = context.population.pairs(candidate, context.rows, parent, shown=True)
        self._admissions.compared(context, candidate, decision, RULE, pairs)
        candidate.belief = self.judge.believe(candidate, context.population, context.rows)
        try:
            self._nodes[-1] = await self._tuned(context, candidate)
        finally:
            context.population.incumbent = self._best(context)

    async def _tuned(self, context: Context, candidate: Candidate) -> Candidate:
        """The candidate, or what an inner optimiser made of it, if that scores higher on all rows."""
        here = candidate
        for _ in range(DRAWS):
            if self.tuner is None or len(context.rows) * context.calls_of(here.program) > context.left:
                break
            here = await self.tuner.step(context, here, self._admissions, context.rows)
            await context.run(here.program, context.rows, "train")
        return here if self._worth(context, here) > self._worth(context, candidate) else candidate

    def _best(self, context: Context) -> Candidate:
        """The highest mean, or what is better by the user's objective, the earliest of equals."""
        return context.population.best_of(self._nodes, lambda each: self._score(context, each))

    def _parents(self, context: Context) -> list[Candidate]:
        """The start, and the best of the others."""
        start, *others = self._nodes
        return [start, *sorted(others, key=lambda each: -self._worth(context, each))[:BEST]]

    def _top(self, context: Context) -> float:
        """Mean of the best, the start among them."""
        return fmean(sorted((self._worth(context, each) for each in self._nodes), reverse=True)[:BEST])

    def _worth(self, context: Context, node: Candidate) -> float:
        """Its score, less what it takes more than the start is worth where the user names an objective."""
        return self._score(context, node) - context.population.charge(node, context.population.start)

    def _score(self, context: Context, node: Candidate) -> float:
        return context.population.mean_score(node.program, context.rows)


def _affordable(context: Context, parent: Candidate, offers: Sequence[Option]) -> list[Option]:
    """The offers that leave enough of the plan to score what comes of them, as far as that is known before."""
    rows, calls = len(context.rows), context.calls_of(parent.program)
    return [each for each in offers if each.cost + rows * max(1.0, calls + each.extra) <= context.left]
