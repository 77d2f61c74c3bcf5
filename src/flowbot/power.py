"""What a number of examples can show: the smallest improvement that the closing comparison is likely to find.

The closing comparison is `acceptance.paired_difference`: an improvement is found when the 95 % interval of the mean paired
difference lies above 0. The interval is treated as normal here (Cohen 1988, ch. 2: sample size for a paired mean). Before a comparison the worst case
of a 0/1 score is taken; after it, what its own interval says of how far the pairs vary.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from statistics import NormalDist

CONFIDENCE = 0.95
"""The level of the closing comparison's interval, both sides together."""
POWER = 0.8
"""How often an improvement is to be found that is there."""


def smallest_difference(n: int) -> float:
    """The smallest true improvement of a mean 0/1 score that `n` paired examples show with probability `POWER`.

    The worst case is taken: start and found workflow are right independently of each other, with chances around one half.
    A pair's difference d then has the variance (1 - d²) / 2, and d = z · sqrt(variance / n) gives d = z / sqrt(2n + z²).
    A mean of 0/1 scores moves in steps of 1 / n, and the interval has to lie a step above 0: that much is added. Where both
    tend to be right on the same examples, or scores lie between 0 and 1, smaller improvements show.

    Returns:
        a difference of means, from 0 to 1; 1 where there are no examples.
    """
    return 1.0 if n < 1 else min(1.0, _Z / math.sqrt(2 * n + _Z * _Z) + 1 / n)


def measured_difference(low: float, high: float) -> float:
    """The smallest true improvement that shows with probability `POWER` on as many examples as gave this interval.

    Args:
        low, high: the 95 % interval of a mean paired difference.
    """
    return min(1.0, _Z * (high - low) / (2 * _QUANTILE))


def examples_needed(difference: float) -> int:
    """The fewest examples whose `smallest_difference` is at most `difference`.

    Raises:
        ValueError: if the difference is not at least 0.001 and below 1.
    """
    if not 0.001 <= difference < 1:
        raise ValueError(f"difference is {difference!r}; expected a number from 0.001 to 1")
    return bisect_left(range(_MOST), -difference, key=lambda n: -smallest_difference(n))


_QUANTILE = NormalDist().inv_cdf(0.5 + CONFIDENCE / 2)
_Z = _QUANTILE + NormalDist().inv_cdf(POWER)
_MOST = 10_000_000
"""More examples than the smallest difference takes that may be asked about."""
