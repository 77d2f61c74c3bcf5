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
    judge,
    p_better,
    paired_difference,
    paired_p,
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


@given(st.lists(st.sampled_from([-1.0, 0.0, 1.0]), min_size=1, max_size=60))
def test_p_better_is_a_probability_and_mirrors(differences: list[float]) -> None:
    p, mirrored = p_better(differences), p_better([-each for each in differences])
    assert 0.0 <= p <= 1.0
    assert p + mirrored == pytest.approx(1.0, abs=0.08)


def test_ties_alone_say_nothing() -> None:
    assert p_better([0.0] * 20) == pytest.approx(0.5, abs=0.03)
    tied = paired_difference([1.0] * 10, [1.0] * 10)
    seen_none = stats.binomtest(0, 10).proportion_ci(method="exact").high
    assert (tied.mean, tied.low, tied.high) == pytest.approx((0.0, -seen_none, seen_none))


@pytest.mark.parametrize("n", range(1, 12))
def test_a_few_pairs_that_all_changed_alike_are_held_to_the_sign_test(n: int) -> None:
    p = paired_p([1.0] * n, [0.0] * n)
    assert p == pytest.approx(stats.binomtest(n, n).pvalue)
    assert (paired_difference([1.0] * n, [0.0] * n).low > 0) == (p < 0.05)
    assert (paired_difference([0.0] * n, [1.0] * n).high < 0) == (p < 0.05)


@pytest.mark.parametrize("share", [0.02, 0.07, 0.3])
def test_where_nothing_changes_few_differences_pass_for_clear(share: float) -> None:
    """Two workflows that are equally good and differ on some examples: p below 0.05 in about 5 % of the comparisons."""
    rng = Random(3)
    differences = [[rng.choice((1.0, -1.0)) * (rng.random() < share) for _ in range(40)] for _ in range(150)]
    assert sum(paired_p(each, [0.0] * 40, draws=400) < 0.05 for each in differences) <= 14


def test_a_race_goes_on_while_open_and_ends_with_the_last_block() -> None:
    assert judge([1.0, 0.0], [0.0, 0.0], last=False) is None
    final = judge([1.0, 0.0], [0.0, 1.0], last=True)
    assert final is not None
    assert not final.kept
    won = judge([1.0] * 8, [0.0] * 8, last=True)
    assert won is not None
    assert won.kept
    lost = judge([0.0] * 8, [1.0] * 8, last=False)
    assert lost is not None
    assert not lost.kept


def test_equal_workflows_are_rarely_called_improved() -> None:
    """The closing claim (interval of the paired difference above zero) under no effect: at most about 2.5 %."""
    rng = Random(7)
    runs, false = 300, 0
    for _ in range(runs):
        ours = [float(rng.random() < 0.5) for _ in range(100)]
        theirs = [float(rng.random() < 0.5) for _ in range(100)]
        rng_differences = [a - b for a, b in zip(ours, theirs, strict=True)]
        low, _ = bootstrap(rng_differences, draws=400)
        false += low > 0
    assert false / runs <= 0.06


def test_confidence_sequence_covers_at_every_stopping_time() -> None:
    """Peeking after every pair, the true mean must stay inside in at least 95 % of the runs (here: noise allowed)."""
    rng = Random(11)
    missed = 0
    for _ in range(40):
        differences = [float(rng.choice([-1, 0, 0, 1])) for _ in range(40)]
        missed += any(
            not (low <= 0.0 <= high) for n in range(5, 41, 5) for low, high in [confidence_sequence(differences[:n])]
        )
    assert missed <= 5


def test_confidence_sequence_sees_a_plain_effect() -> None:
    low, high = confidence_sequence([1.0] * 40)
    assert low > 0.3
    assert high == pytest.approx(1.0)


def test_estimates_of_nothing_are_wide_open() -> None:
    empty = estimate_mean([])
    assert (empty.low, empty.high, empty.n) == (0.0, 1.0, 0)
