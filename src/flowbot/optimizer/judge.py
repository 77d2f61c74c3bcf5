"""When is a candidate better than its parent? The shrunken posterior of its gain, on paired rows, with no fixed race length.

The prior of a gain is that of the kind of change, drawn towards none by what the run itself shows: its spread is learned by
empirical Bayes (Efron & Morris 1973) over all candidates so far. Where nothing works the learned spread falls, and what looks
like a gain is taken for the luck it is. One rule serves every metric: all thresholds are in units of the metric's own scale.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, pvariance
from typing import Generic, Literal, Protocol

from .belief import STRATUM_SHARE, VARIANCE, Belief, mean_and_variance, stratified
from .population import Candidate, P, Pairs, Population, split_at, two_valued

PRIOR_SPREAD = 0.12
"""Standard deviation of true gains of changes of one kind, before the run shows anything."""
LEAST_SPREAD = 0.025
"""The learned spread falls no lower: the door stays open a little."""
CHEAPER = 0.8
"""P(loss is no greater than that) from which on it is taken."""
PRIOR_WEIGHT = 4
"""Candidates that `PRIOR_SPREAD` weighs as much as."""
POOLED_PAIRS = 16
"""Weight, in pairs, of the variance that is assumed before there are any, among all pairs of a run."""

LEAST_PAIRS = 6
"""Pairs that something is adopted on at least where calls end, and not rows: on one or two the prior alone would decide."""
STRICTER = 0.95, 0.90
"""Bars of adoption, before and when the rows end, where no unseen rows confirm the result."""


@dataclass(frozen=True, slots=True)
class Ruling:
    """What a judge says of a candidate.

    Args:
        decision: None to go on.
        rule: which rule decided.
        belief: of the gain.
        pairs: what it stands on.
        p: the probability that decided.
    """

    decision: Literal["adopt", "drop", "set aside"] | None
    rule: str
    belief: Belief
    pairs: Pairs
    p: float


class Judge(Protocol[P]):
    """Decides of candidates, one at a time, from the population alone: no clock, no chance, no call."""

    def ruling(
        self,
        candidate: Candidate[P],
        population: Population[P],
        rows: Sequence[str],
        extra: float,
        *,
        last: bool = False,
    ) -> Ruling:
        """What is to be done with a candidate after a block of pairs.

        Args:
            candidate: with its parent; both were run on the pairs.
            population: all that is known.
            rows: the training rows in the order of this run; those in it that were run are the pairs.
            extra: model calls an example that it takes more than its parent.
            last: no further pair can be paid for.
        """
        ...

    def believe(self, candidate: Candidate[P], population: Population[P], rows: Sequence[str]) -> Belief:
        """What is believed of its gain now."""
        ...


@dataclass(frozen=True, slots=True)
class Case:
    """Whether a program replaces another, by which rule, and the probability that decides."""

    rule: Literal["posterior", "cheaper"]
    p: float
    replaces: bool


def weighed(belief: Belief, price: float, bar: float) -> Case:
    """The one rule of all comparisons. A dearer program must gain its price, and P(gain > 0) reach the bar; a cheaper one replaces a
    dearer when it hardly loses: P(it loses more than it may) is at most 1 - `CHEAPER`. Of forty pairs no rule can tell equal
    from five points worse (`benchmarks/simulate/cheaper.py`), so that is asked when all rows were run.

    Args:
        belief: of the gain in score.
        price: what it must gain, or below 0 may lose; see `Population.price`.
        bar: for a program that is not cheaper.
    """
    p = belief.above()
    better = p >= bar and belief.mean > max(0.0, price)
    if better or price >= 0:
        return Case("posterior", p, better)
    p = belief.above(price)
    return Case("cheaper", p, p >= CHEAPER)


@dataclass(slots=True)
class PosteriorJudge(Generic[P]):
    """Adopts, drops and sets aside by the posterior of the gain.

    Args:
        adopt: P(gain > 0) from which on a candidate is adopted, with at least `fewest` pairs.
        final: the same where no rows are left.
        drop: P(gain > 0) at which it is dropped, whatever the number of pairs.
        fewest: pairs of an adoption before the rows end.
    """

    adopt: float = 0.92
    final: float = 0.80
    drop: float = 0.30
    fewest: int = 12
    _variance: tuple[int, float] = (-1, 1.0)
    _shrink: tuple[int, float] = (-1, 1.0)

    def ruling(
        self,
        candidate: Candidate[P],
        population: Population[P],
        rows: Sequence[str],
        extra: float,
        *,
        last: bool = False,
    ) -> Ruling:
        """As of `Judge`; drops on few pairs are cheap to take back, since the change may be tried again. Without a pair nothing is
        adopted or dropped, whatever the prior."""
        pairs = population.pairs(candidate, rows)
        belief = self.believe(candidate, population, rows)
        every = len(pairs) >= sum(row not in candidate.shown for row in rows)
        ended = every or last
        case = weighed(belief, population.price(candidate, calls=extra), self.final if ended else self.adopt)
        seen = every or len(pairs) >= (LEAST_PAIRS if last else self.fewest)
        if seen and pairs.rows and candidate.parent and population.slows(candidate, candidate.parent):
            return Ruling("drop", "latency", belief, pairs, belief.above())
        enough = every if case.rule == "cheaper" else seen
        decision: Literal["adopt", "drop", "set aside"] | None = None
        if case.replaces and enough and pairs.rows:
            decision = "adopt"
        elif case.p <= self.drop and pairs.rows:
            decision = "drop"
        elif ended:
            decision = "set aside"
        return Ruling(decision, case.rule, belief, pairs, case.p)

    def believe(self, candidate: Candidate[P], population: Population[P], rows: Sequence[str]) -> Belief:
        """The prior, shrunk by what this run shows, and the pairs, post-stratified where both strata have two."""
        prior = candidate.prior.shrunk(self.shrinking(population, rows), LEAST_SPREAD * population.scale)
        pairs = population.pairs(candidate, rows)
        if not pairs.rows:
            return prior
        assert candidate.parent is not None
        return prior.updated(*observed(candidate.parent, population, pairs, self.assumed(population, rows)))

    def assumed(self, population: Population[P], rows: Sequence[str]) -> float:
        """Variance of a pair before the pairs of a candidate show theirs: pooled over all pairs of this run, so that every metric
        has its own; before there are any that of `unpaired`, with the weight of `POOLED_PAIRS`."""
        if self._variance[0] == population.version:
            return self._variance[1]
        squares, weight = POOLED_PAIRS * unpaired(population), float(POOLED_PAIRS)
        for each in population.members[1:]:
            differences = population.pairs(each, rows).differences
            if differences:
                mean = fmean(differences)
                squares += sum((gain - mean) ** 2 for gain in differences)
                weight += len(differences) - 1
        self._variance = population.version, squares / weight
        return self._variance[1]

    def shrinking(self, population: Population[P], rows: Sequence[str]) -> float:
        """How much smaller gains are in this run than the prior has it, at most 1.

        The spread of true gains is the spread of observed ones less what the pairs scatter by themselves (the method of
        moments). A candidate that looks worse weighs half: it is dropped early, so its mean is of few pairs.
        """
        if self._shrink[0] == population.version:
            return self._shrink[1]
        scale = population.scale
        total, weight = PRIOR_WEIGHT * (PRIOR_SPREAD * scale) ** 2, float(PRIOR_WEIGHT)
        for each in population.members[1:]:
            pairs = population.pairs(each, rows)
            if pairs.rows and (len(pairs) >= self.fewest or each.state == "dropped"):
                mean, variance = mean_and_variance(pairs.differences, self.assumed(population, rows))
                total += mean * mean - variance if mean > 0 else 0.0
                weight += 1.0 if mean > 0 else 0.5
        factor = min(1.0, math.sqrt(max(0.0, total) / weight) / (PRIOR_SPREAD * scale))
        self._shrink = population.version, factor
        return factor


def observed(other: Candidate[P], population: Population[P], pairs: Pairs, assumed: float) -> tuple[float, float]:
    """Mean gain over the pairs and its variance, post-stratified by the other side's score where that is possible.

    Args:
        other: what the gain is over.
        population: how it did on other rows, too.
        pairs: at least one.
        assumed: variance of a pair before these show theirs.
    """
    parent = [each.score for each in population.outcomes(other.program).values()]
    middle = split_at(parent)
    right = [gain for gain, theirs in zip(pairs.differences, pairs.theirs, strict=True) if theirs > middle]
    wrong = [gain for gain, theirs in zip(pairs.differences, pairs.theirs, strict=True) if theirs <= middle]
    if len(right) > 1 and len(wrong) > 1 and len(parent) > len(pairs):
        share = fmean(score > middle for score in parent)
        return stratified(right, wrong, share, STRATUM_SHARE * assumed)
    return mean_and_variance(pairs.differences, assumed)


def unpaired(population: Population[P]) -> float:
    """Variance of a difference before any is seen: of two scores, as 0 and 1, that half of the pairs are alike; else that of the
    start's scores."""
    scores = [each.score for each in population.outcomes(population.start.program).values()]
    return VARIANCE * population.scale**2 if two_valued(scores) else pvariance(scores)
