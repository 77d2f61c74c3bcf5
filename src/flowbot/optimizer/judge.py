"""When is a candidate better than its parent? The shrunken posterior of its gain, on paired rows, with no fixed race length.

The prior of a gain is that of the kind of change, drawn towards none by what the run itself shows: its spread is learned by
empirical Bayes (Efron & Morris 1973) over all candidates so far. Where nothing works the learned spread falls, and what looks
like a gain is taken for the luck it is. One rule serves every metric: all thresholds are in units of the metric's own scale.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Generic, Literal, Protocol

from .belief import STRATUM_VARIANCE, VARIANCE, Belief, mean_and_variance, stratified
from .population import Candidate, P, Pairs, Population

PRIOR_SPREAD = 0.12
"""Standard deviation of true gains of changes of one kind, before the run shows anything."""
LEAST_SPREAD = 0.025
"""The learned spread falls no lower: the door stays open a little."""
PRIOR_WEIGHT = 4
"""Candidates that `PRIOR_SPREAD` weighs as much as."""
CALL_WORTH = 0.01
"""Gain in score that one further model call an example must bring."""


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


def scale_of(scores: Sequence[float]) -> float:
    """The metric's own scale: the range of the scores seen, so that scores divided by ten are judged alike; 1 for 0/1 scores."""
    return (max(scores) - min(scores)) or 1.0 if scores else 1.0


@dataclass(slots=True)
class PosteriorJudge(Generic[P]):
    """Adopts, drops and sets aside by the posterior of the gain.

    Args:
        adopt: P(gain > 0) from which on a candidate is adopted, with at least `fewest` pairs.
        final: the same where no rows are left.
        drop: P(gain > 0) at which it is dropped, whatever the number of pairs.
        fewest: pairs of an adoption before the rows end.
    """

    adopt: float = 0.90
    final: float = 0.80
    drop: float = 0.30
    fewest: int = 12
    _scale: tuple[int, float] = (-1, 1.0)
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
        """As of `Judge`; drops on few pairs are cheap to take back, since the change may be tried again."""
        pairs = population.pairs(candidate, rows)
        belief = self.believe(candidate, population, rows)
        p = belief.above()
        worth = belief.mean > CALL_WORTH * self.scale(population) * max(0.0, extra)
        ended = last or len(pairs) >= sum(row not in candidate.shown for row in rows)
        decision: Literal["adopt", "drop", "set aside"] | None = None
        if worth and ((p >= self.adopt and len(pairs) >= self.fewest) or (ended and p >= self.final)):
            decision = "adopt"
        elif p <= self.drop:
            decision = "drop"
        elif ended:
            decision = "set aside"
        return Ruling(decision, "posterior", belief, pairs, p)

    def believe(self, candidate: Candidate[P], population: Population[P], rows: Sequence[str]) -> Belief:
        """The prior, shrunk by what this run shows, and the pairs, post-stratified where both strata have two."""
        scale = self.scale(population)
        prior = candidate.prior.shrunk(self.shrinking(population, rows), LEAST_SPREAD * scale)
        pairs = population.pairs(candidate, rows)
        if not pairs.rows:
            return prior
        return prior.updated(*observed(candidate, population, pairs, scale))

    def scale(self, population: Population[P]) -> float:
        """See `scale_of`."""
        if self._scale[0] != population.version:
            seen = [each.score for each in population.outcomes(population.start.program).values()]
            self._scale = population.version, scale_of(seen)
        return self._scale[1]

    def shrinking(self, population: Population[P], rows: Sequence[str]) -> float:
        """How much smaller gains are in this run than the prior has it, at most 1.

        The spread of true gains is the spread of observed ones less what the pairs scatter by themselves (the method of
        moments). A candidate that looks worse weighs half: it is dropped early, so its mean is of few pairs.
        """
        if self._shrink[0] == population.version:
            return self._shrink[1]
        scale = self.scale(population)
        total, weight = PRIOR_WEIGHT * (PRIOR_SPREAD * scale) ** 2, float(PRIOR_WEIGHT)
        for each in population.members[1:]:
            pairs = population.pairs(each, rows)
            if pairs.rows and (len(pairs) >= self.fewest or each.state != "open"):
                mean, variance = mean_and_variance(pairs.differences, VARIANCE * scale**2)
                total += mean * mean - variance if mean > 0 else 0.0
                weight += 1.0 if mean > 0 else 0.5
        factor = min(1.0, math.sqrt(max(0.0, total) / weight) / (PRIOR_SPREAD * scale))
        self._shrink = population.version, factor
        return factor


def observed(
    candidate: Candidate[P], population: Population[P], pairs: Pairs, scale: float = 1.0
) -> tuple[float, float]:
    """Mean gain over the pairs and its variance, post-stratified by the parent's score where that is possible."""
    assert candidate.parent is not None
    parent = [each.score for each in population.outcomes(candidate.parent.program).values()]
    middle = split_at(parent)
    right = [gain for gain, theirs in zip(pairs.differences, pairs.theirs, strict=True) if theirs > middle]
    wrong = [gain for gain, theirs in zip(pairs.differences, pairs.theirs, strict=True) if theirs <= middle]
    if len(right) > 1 and len(wrong) > 1 and len(parent) > len(pairs):
        share = fmean(score > middle for score in parent)
        return stratified(right, wrong, share, STRATUM_VARIANCE * scale**2)
    return mean_and_variance(pairs.differences, VARIANCE * scale**2)


def split_at(scores: Sequence[float]) -> float:
    """Above this a row is one that the parent does well on: half way for two values, as 0 and 1, else the median."""
    low, high = min(scores, default=0.0), max(scores, default=1.0)
    return (low + high) / 2 if set(scores) <= {low, high} else median(scores)
