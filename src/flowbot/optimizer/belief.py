"""What is believed of a gain: a mean and a spread, and how pairs of scores change it.

A gain is a difference in score between a candidate and its parent on the same rows. Before any pair the belief is the prior of
the kind of change; each block of pairs narrows it. Shrinking towards the prior is what keeps a search that looks often from
finding luck: a raw mean over a few pairs is the largest of many, and so too high.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from statistics import NormalDist, fmean

_PHI = NormalDist().cdf
PSEUDO_PAIRS = 8
"""Weight, in pairs, of the variance that is assumed before there are pairs: with less, one win among ties passes for a gain."""
STRATUM_PSEUDO_PAIRS = 2
"""The same of each stratum."""
STRATUM_SHARE = 0.8
"""Of the variance of a pair, that which is assumed within a stratum: there all differences have one sign."""
VARIANCE = 0.25
"""Variance of paired differences that is assumed before there are any, for scores of 0 and 1 (half of the pairs alike)."""


@dataclass(frozen=True, slots=True)
class Belief:
    """A normal belief about a gain in score.

    Args:
        mean: the gain that is expected.
        spread: its standard deviation.
    """

    mean: float
    spread: float

    def above(self, threshold: float = 0.0) -> float:
        """P(gain > threshold)."""
        if self.spread <= 0:
            return float(self.mean > threshold)
        return _PHI((self.mean - threshold) / self.spread)

    def draw(self, rng: Random) -> float:
        """One draw from it, for Thompson sampling."""
        return rng.gauss(self.mean, self.spread)

    def shrunk(self, factor: float, least: float) -> Belief:
        """Closer to no gain by `factor` in [0, 1], with a spread of at least `least`."""
        return Belief(self.mean * factor, max(least, self.spread * factor))

    def updated(self, mean: float, variance: float) -> Belief:
        """The posterior where `mean` was observed with the given variance (of the mean, not of a pair)."""
        if variance <= 0:
            return Belief(mean, 0.0)
        weight = self.spread**2 / (self.spread**2 + variance)
        return Belief(self.mean + weight * (mean - self.mean), self.spread * math.sqrt(1 - weight))


def mean_and_variance(
    differences: Sequence[float], assumed: float, weight: float = PSEUDO_PAIRS
) -> tuple[float, float]:
    """Mean of paired differences and the variance of that mean; the variance of a pair is drawn towards `assumed` with the
    weight of so many pairs, so that a few equal pairs do not pass for certainty."""
    n, mean = len(differences), fmean(differences)
    squares = sum((each - mean) ** 2 for each in differences)
    return mean, (squares + weight * assumed) / (n + weight) / n


def stratified(
    right: Sequence[float], wrong: Sequence[float], share_right: float, assumed: float
) -> tuple[float, float]:
    """As `mean_and_variance`, post-stratified by whether the parent was right on the row.

    Where it was right a candidate can only lose, where it was wrong only gain: within a stratum the differences scatter less,
    and the parent's share of right rows is known from more rows than the pairs. It cuts the variance of the estimate to about
    three quarters (Cochran 1977, section 5A.9, post-stratification).

    Args:
        right: differences on rows that the parent has right, at least two.
        wrong: differences on the others, at least two.
        share_right: share of the rows that the parent has right, over all rows that it was run on.
        assumed: variance of a pair within a stratum.
    """
    mean = variance = 0.0
    for group, share in ((right, share_right), (wrong, 1 - share_right)):
        group_mean, group_variance = mean_and_variance(group, assumed, STRATUM_PSEUDO_PAIRS)
        mean += share * group_mean
        variance += share * share * group_variance
    return mean, variance
