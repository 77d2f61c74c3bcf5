"""What may be claimed: intervals and paired tests, on the standard library. What the search believes is `optimizer.belief`'s.

Sources: Wilson 1927 (score interval); Efron & Tibshirani 1993, ch. 13 (percentile bootstrap);
Waudby-Smith & Ramdas 2024 (confidence sequence by betting); Fisher 1935, § 21 (permutation test); Holm 1979 (many comparisons);
Searle 1971, Satterthwaite 1946 (examples and seeds that vary both).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from random import Random
from statistics import NormalDist, fmean, variance


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean with its 95 % interval over `n` examples."""

    mean: float
    low: float
    high: float
    n: int

    def dump(self) -> dict[str, float | int]:
        """As JSON data."""
        return {"mean": self.mean, "low": self.low, "high": self.high, "n": self.n}


def wilson(successes: float, n: float, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval for a proportion. `n` = 0 gives (0, 1)."""
    if n == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    p = successes / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return (0.0 if successes == 0 else max(0.0, centre - half)), (1.0 if successes == n else min(1.0, centre + half))


def estimate_mean(values: Sequence[float]) -> Estimate:
    """Mean of scores in [0, 1] with its 95 % interval: Wilson for 0/1 scores, else percentile bootstrap."""
    if not values:
        return Estimate(0.0, 0.0, 1.0, 0)
    mean = fmean(values)
    if all(value in (0.0, 1.0) for value in values):
        low, high = wilson(sum(values), len(values))
    else:
        low, high = bootstrap(values)
    return Estimate(mean, low, high, len(values))


def bootstrap(values: Sequence[float], *, confidence: float = 0.95, draws: int = 4000) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean; the random numbers have a fixed seed."""
    if len(set(values)) <= 1:
        return (values[0], values[0]) if values else (0.0, 0.0)
    means = _resampled(values, draws)
    tail = (1 - confidence) / 2
    return means[int(tail * draws)], means[min(draws - 1, int((1 - tail) * draws))]


def _resampled(values: Sequence[float], draws: int) -> list[float]:
    """Means of samples drawn with replacement, in ascending order."""
    rng = Random(20260426)
    n = len(values)
    return sorted(sum(rng.choices(values, k=n)) / n for _ in range(draws))


def paired_difference(candidate: Sequence[float], start: Sequence[float]) -> Estimate:
    """The effect that is reported: mean of the paired differences, percentile bootstrap over the pairs, n fixed.

    Where all pairs differ by the same the bootstrap knows nothing. The interval then allows for pairs of which n draws show
    none (Clopper & Pearson 1934: a share of up to 1 - 0.025^(1/n), about 3.7/n), and that differ by -1 or 1.

    Raises:
        ValueError: if the two do not pair up.
    """
    differences = [a - b for a, b in zip(candidate, start, strict=True)]
    n = len(differences)
    if n == 0:
        return Estimate(0.0, -1.0, 1.0, 0)
    if len(set(differences)) == 1:
        same, unseen = differences[0], 1 - 0.025 ** (1 / n)
        return Estimate(same, same - unseen * (1 + same), same + unseen * (1 - same), n)
    low, high = bootstrap(differences)
    return Estimate(fmean(differences), low, high, n)


def stopped_difference(candidate: Sequence[float], start: Sequence[float]) -> Estimate:
    """As `paired_difference` where the pairs decided how many there are: the interval holds at any stopping time.

    Raises:
        ValueError: if the two do not pair up.
    """
    differences = [a - b for a, b in zip(candidate, start, strict=True)]
    if not differences:
        return Estimate(0.0, -1.0, 1.0, 0)
    low, high = confidence_sequence(differences)
    return Estimate(fmean(differences), low, high, len(differences))


def confidence_sequence(differences: Sequence[float], *, confidence: float = 0.95) -> tuple[float, float]:
    """Interval of the mean of values in [-1, 1], right at every length at once, so that one may stop when one likes.

    Waudby-Smith & Ramdas 2024, theorem 3: the means that a hedged bet against them has not made rich, with truncated
    predictable plug-in bets; values are scaled to [0, 1] and means tried in steps of a hundredth.
    """
    scaled = [(value + 1) / 2 for value in differences]
    kept = [step for step in range(201) if _capital(scaled, step / 200, 1 - confidence) < 1 / (1 - confidence)]
    if not kept:  # the interval lies between two steps
        kept = [round(200 * fmean(scaled))]
    return max(-1.0, (kept[0] - 1) / 100 - 1), min(1.0, (kept[-1] + 1) / 100 - 1)  # means between steps were not tried


def _capital(values: Sequence[float], mean: float, alpha: float) -> float:
    """The most that the two hedged bets against `mean` have been worth, from 1."""
    up = down = peak = 0.0
    total, squares, variance = 0.5, 0.25, 0.25
    for count, value in enumerate(values, start=1):
        bet = math.sqrt(2 * math.log(2 / alpha) / (variance * count * math.log(1 + count)))
        up += math.log(max(1e-12, 1 + (min(bet, 0.5 / mean) if mean > 0 else bet) * (value - mean)))
        down += math.log(max(1e-12, 1 - (min(bet, 0.5 / (1 - mean)) if mean < 1 else bet) * (value - mean)))
        peak = max(peak, up - math.log(2), down - math.log(2))
        total += value
        squares += (value - total / (count + 1)) ** 2
        variance = squares / (count + 1)
    return math.exp(min(peak, 700.0))


_PARTS = 840
"""Of 1, that differences are rounded to; the means of up to eight 0/1 scores need no rounding."""
_MOST_WORK = 3e8


def permutation_p(candidate: Sequence[float], start: Sequence[float]) -> float:
    """Two-sided p value of the mean paired difference by all 2^n ways to swap the two of a pair (Fisher 1935).

    Right at any n and at levels however small, as many comparisons need, where a bootstrap finds too much. For 0/1 scores
    it is McNemar's exact test. It asks whether the two could be swapped on each example. Where there are too many different
    sums for that (some seventy differences of any size), their normal law is taken, which has the same variance.

    The sums of all subsets of the differences are the exponents of a product of (1 + x^difference); its coefficients
    are digits of one whole number, so that multiplying is a shift and an addition.

    Raises:
        ValueError: if the two do not pair up.
    """
    differences = [a - b for a, b in zip(candidate, start, strict=True)]
    steps = [step for each in differences if (step := round(each * _PARTS))]
    common, bits = math.gcd(*steps) or 1, len(steps) + 2
    steps = [step // common for step in steps]
    if bits * bits * sum(map(abs, steps)) > _MOST_WORK:
        return math.erfc(abs(sum(steps)) / math.sqrt(2 * sum(step * step for step in steps)))
    counts = 1
    for step in steps:
        counts += counts << bits * abs(step)
    least = (sum(map(abs, steps)) + abs(sum(steps))) // 2
    beyond = (counts >> bits * least) % ((1 << bits) - 1)  # the sum of the digits: at most 2^(bits - 2)
    return min(1.0, 2 * beyond / (1 << len(steps)))


def mean_over_seeds(seeds: Sequence[Sequence[float]]) -> Estimate:
    """Mean of scores in [0, 1] with its 95 % interval over other examples and, of two seeds or more, other seeds.

    Wilson's interval for as many 0/1 scores as would vary as much (Korn & Graubard 1998).

    Args:
        seeds: the scores of each seed, of the same examples in the same order.
    """
    values = [fmean(each) for each in zip(*seeds, strict=True)]
    variation, df = _variation(values, seeds)
    mean, size = fmean(values), float(len(values))
    if variation and any(0 < value < 1 for value in values):
        size = mean * (1 - mean) / variation * (NormalDist().inv_cdf(0.975) / _t_quantile(df)) ** 2
    return Estimate(mean, *wilson(mean * size, size), len(values))


def difference_over_seeds(
    candidate: Sequence[Sequence[float]], start: Sequence[Sequence[float]]
) -> tuple[Estimate, float]:
    """The mean paired difference of two methods with its 95 % interval, and its two-sided p value.

    Each example's scores are averaged over the seeds of a side. Of one seed a side it is a comparison of the two workflows
    found: other examples are what the interval allows for, and p is `permutation_p`. What several seeds of a side show of other
    seeds is added: examples and seeds are two crossed random effects (Searle 1971, ch. 11), with Satterthwaite's (1946)
    degrees of freedom, and p is the larger of that t test's and `permutation_p`.

    Args:
        candidate, start: the scores of each seed, of the same examples in the same order.

    Raises:
        ValueError: if the two do not pair up.
    """
    sides = [[fmean(each) for each in zip(*seeds, strict=True)] for seeds in (candidate, start)]
    values, p = [a - b for a, b in zip(*sides, strict=True)], permutation_p(*sides)
    variation, df = _variation(values, candidate, start)
    if not variation:
        return paired_difference(*sides), p
    mean, error = fmean(values), math.sqrt(variation)
    half = error * _t_quantile(df)
    if len(candidate) > 1 or len(start) > 1:
        p = max(p, _t_tails(mean / error, df))
    return Estimate(mean, max(-1.0, mean - half), min(1.0, mean + half), len(values)), p


def _variation(values: Sequence[float], *sides: Sequence[Sequence[float]]) -> tuple[float, int]:
    """Variance of the mean of `values` over examples and the seeds of each side, and its degrees of freedom."""
    n = len(values)
    if n < 2:
        return 0.0, 0
    total = variance(values) / n
    unsure = total**2 / (n - 1)
    for seeds in sides:
        if (k := len(seeds)) > 1:
            own = [fmean(each) for each in zip(*seeds, strict=True)]
            between = variance(map(fmean, seeds)) / k
            # Of it, chance on these examples is what `total` has already; equal seeds leave a rounding error, which may be negative.
            chance = max(0.0, fmean(map(variance, seeds)) - variance(own)) / (n * (k - 1))
            if between > chance:
                total += between - chance
                unsure += between**2 / (k - 1)
    return total, max(1, int(total**2 / unsure)) if total else 0


def _t_tails(t: float, df: int) -> float:
    """Chance of a value beyond -t or t by Student's law (Abramowitz & Stegun 1964, 26.7.3 and 26.7.4)."""
    angle = math.atan(abs(t) / math.sqrt(df))
    odd, cosine = df % 2, math.cos(angle)
    term = cosine if odd else 1.0
    total = term if df > 1 else 0.0
    for step in range(2 + odd, df, 2):
        term *= cosine * cosine * (step - 1) / step
        total += term
    inside = math.sin(angle) * total
    return max(0.0, 1 - (2 / math.pi * (angle + inside) if odd else inside))


@cache
def _t_quantile(df: int) -> float:
    """What 95 % of the values lie within, on both sides of 0."""
    low, high = 1.0, 13.0
    while high - low > 1e-9:
        middle = (low + high) / 2
        low, high = (middle, high) if _t_tails(middle, df) > 0.05 else (low, middle)
    return high


def holm(p_values: Sequence[float]) -> list[float]:
    """p values corrected for their number, in the order given (Holm 1979): the chance of one false finding among them holds."""
    corrected = [1.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda each: p_values[each])):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = highest
    return corrected
