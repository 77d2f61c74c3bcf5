"""The smallest difference that a split can show, against the closing comparison itself."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowbot.power import examples_needed, measured_difference, smallest_difference
from flowbot.stats import bootstrap


def _found(n: int, difference: float, *, runs: int, seed: int = 7) -> float:
    """How often the closing comparison's interval lies above 0, start and found being right independently."""
    rng = Random(seed)
    found = 0
    for _ in range(runs):
        start = [rng.random() < 0.5 - difference / 2 for _ in range(n)]
        final = [rng.random() < 0.5 + difference / 2 for _ in range(n)]
        low, _ = bootstrap([float(a) - float(b) for a, b in zip(final, start, strict=True)], draws=400)
        found += low > 0
    return found / runs


@pytest.mark.parametrize("n", [40, 120])
def test_the_smallest_difference_is_found_four_times_in_five(n: int) -> None:
    # 250 runs have a standard deviation of 2.5 points around 80 %.
    assert 0.72 <= _found(n, smallest_difference(n), runs=250) <= 0.88


def test_half_of_it_looks_like_chance() -> None:
    assert _found(40, smallest_difference(40) / 2, runs=150) < 0.5


@given(st.integers(1, 100_000))
def test_more_examples_show_smaller_differences(n: int) -> None:
    assert 0 < smallest_difference(n + 1) <= smallest_difference(n) <= 1


@given(st.floats(0.005, 0.95))
def test_as_many_examples_as_are_needed_show_it_and_no_fewer(difference: float) -> None:
    n = examples_needed(difference)
    assert smallest_difference(n) <= difference * (1 + 1e-9)
    assert n == 1 or smallest_difference(n - 1) > difference * (1 - 1e-9)


def test_no_examples_show_nothing() -> None:
    assert smallest_difference(0) == 1


@pytest.mark.parametrize("difference", [0.0, -0.1, 1.0])
def test_a_difference_that_is_none_is_refused(difference: float) -> None:
    with pytest.raises(ValueError, match=r"from 0\.001"):
        examples_needed(difference)


def test_what_a_measured_interval_shows_is_what_the_formula_foretells() -> None:
    n = 400
    half = 1.96 * (0.5 / n) ** 0.5  # independent 0/1 scores around one half: a pair's variance is 1/2
    assert measured_difference(-half, half) == pytest.approx(smallest_difference(n) - 1 / n, abs=0.002)
    assert measured_difference(-0.02, 0.16) == pytest.approx(0.129, abs=0.001)
    assert measured_difference(-1, 1) == 1
