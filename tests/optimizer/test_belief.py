"""The arithmetic of beliefs, against exact values and by properties."""

from __future__ import annotations

from random import Random
from statistics import fmean, pvariance

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowbot.optimizer.belief import Belief, mean_and_variance, stratified

DIFFERENCES = st.lists(st.floats(-1, 1), min_size=1, max_size=40)


def test_a_belief_and_an_equally_certain_observation_meet_half_way() -> None:
    assert Belief(0.0, 0.1).updated(0.2, 0.01) == Belief(pytest.approx(0.1), pytest.approx(0.1 / 2**0.5))


@given(mean=st.floats(-1, 1), spread=st.floats(0.01, 1), seen=st.floats(-1, 1), variance=st.floats(1e-6, 1))
def test_an_observation_moves_a_belief_towards_it_and_narrows_it(
    mean: float, spread: float, seen: float, variance: float
) -> None:
    after = Belief(mean, spread).updated(seen, variance)
    assert min(mean, seen) - 1e-9 <= after.mean <= max(mean, seen) + 1e-9
    assert after.spread <= spread


def test_the_chance_of_a_gain() -> None:
    assert Belief(0.1, 0.1).above() == pytest.approx(0.8413, abs=1e-4)
    assert Belief(0.1, 0.1).above(0.1) == 0.5
    assert (Belief(0.1, 0.0).above(), Belief(0.0, 0.0).above()) == (1.0, 0.0)


@given(DIFFERENCES)
def test_equal_pairs_do_not_pass_for_certainty_and_many_pairs_show_their_own_variance(differences: list[float]) -> None:
    mean, variance = mean_and_variance(differences, assumed=0.25)
    assert mean == pytest.approx(fmean(differences))
    assert variance >= 8 * 0.25 / (len(differences) + 8) / len(differences) - 1e-12
    many = differences * 400
    assert mean_and_variance(many, 0.25)[1] * len(many) == pytest.approx(pvariance(many), abs=8 / len(many) + 1e-9)


def test_strata_cut_the_error_where_the_parents_score_tells_the_sign() -> None:
    """A change that mends a third of what is wrong and breaks a tenth of what is right, on 20 rows of a parent that is right on
    60 %: the estimate is without bias either way, and scatters less when post-stratified."""
    rng = Random(0)
    plain: list[float] = []
    by_strata: list[float] = []
    for _ in range(2000):
        right, wrong = [], []
        for _ in range(20):
            if rng.random() < 0.6:
                right.append(-float(rng.random() < 0.1))
            else:
                wrong.append(float(rng.random() < 1 / 3))
        if len(right) > 1 and len(wrong) > 1:
            plain.append(fmean(right + wrong))
            by_strata.append(stratified(right, wrong, 0.6, 0.2)[0])
    truth = 0.4 / 3 - 0.06
    assert fmean(plain) == pytest.approx(truth, abs=0.01)
    assert fmean(by_strata) == pytest.approx(truth, abs=0.01)
    assert pvariance(by_strata) < 0.9 * pvariance(plain)
