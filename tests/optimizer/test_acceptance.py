"""Intervals and races: right against scipy where it has them, and against simulation where it has not."""

from __future__ import annotations

from random import Random
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from flowbot.stats import (
    bootstrap,
    confidence_sequence,
    estimate_mean,
    paired_difference,
    permutation_p,
    stopped_difference,
    wilson,
)


@given(n=st.integers(1, 300), data=st.data())
def test_wilson_agrees_with_scipy(n: int, data: st.DataObject) -> None:
    successes = data.draw(st.integers(0, n))
    theirs = stats.binomtest(successes, n).proportion_ci(method="wilson")
    low, high = wilson(successes, n)
    assert low == pytest.approx(theirs.low, abs=1e-9)
    assert high == pytest.approx(theirs.high, abs=1e-9)


def test_bootstrap_agrees_with_scipy_within_its_noise() -> None:
    values = [Random(1).random() for _ in range(80)]
    theirs = stats.bootstrap((values,), fmean, vectorized=False, method="percentile", n_resamples=4000, rng=1)
    low, high = bootstrap(values)
    assert low == pytest.approx(theirs.confidence_interval.low, abs=0.01)
    assert high == pytest.approx(theirs.confidence_interval.high, abs=0.01)


@pytest.mark.parametrize("n", range(1, 12))
def test_a_few_pairs_that_all_changed_alike_are_held_to_the_sign_test(n: int) -> None:
    p = permutation_p([1.0] * n, [0.0] * n)
    assert p == pytest.approx(stats.binomtest(n, n).pvalue)
    assert (paired_difference([1.0] * n, [0.0] * n).low > 0) == (p < 0.05)
    assert (paired_difference([0.0] * n, [1.0] * n).high < 0) == (p < 0.05)


@pytest.mark.parametrize("share", [0.02, 0.07, 0.3])
def test_where_nothing_changes_few_differences_pass_for_clear(share: float) -> None:
    """Two workflows that are equally good and differ on some examples: p below 0.05 in about 5 % of the comparisons."""
    rng = Random(3)
    differences = [[rng.choice((1.0, -1.0)) * (rng.random() < share) for _ in range(40)] for _ in range(150)]
    assert sum(permutation_p(each, [0.0] * 40) < 0.05 for each in differences) <= 10


def test_where_one_may_stop_at_any_pair_the_true_mean_stays_inside() -> None:
    """Looked at after every fifth pair, it may leave the interval in 5 % of the runs at most; the bootstrap's it leaves in many."""
    rng = Random(11)
    missed = missed_by_bootstrap = 0
    for _ in range(40):
        differences = [float(rng.choice([-1, 0, 0, 1])) for _ in range(40)]
        looks = [differences[:n] for n in range(5, 41, 5)]
        missed += any(not low <= 0.0 <= high for low, high in map(confidence_sequence, looks))
        ends = [(each.low, each.high) for each in (paired_difference(look, [0.0] * len(look)) for look in looks)]
        missed_by_bootstrap += any(not low <= 0.0 <= high for low, high in ends)
    assert missed <= 5 < missed_by_bootstrap


def test_a_plain_effect_is_seen_wherever_one_stops() -> None:
    found = stopped_difference([1.0] * 40, [0.0] * 40)
    assert (found.mean, found.n) == (1.0, 40)
    assert 0.3 < found.low < 1.0 == pytest.approx(found.high)
    assert stopped_difference([], []).n == 0


@pytest.mark.parametrize("gain", [-1.0, 0.0, 0.003, 1.0])
def test_however_many_pairs_there_are_their_mean_is_never_certain(gain: float) -> None:
    low, high = confidence_sequence([gain] * 3000)
    assert low < high
    assert low <= gain <= high


def test_estimates_of_nothing_are_wide_open() -> None:
    empty = estimate_mean([])
    assert (empty.low, empty.high, empty.n) == (0.0, 1.0, 0)
