"""What the table claims is right: the tests against scipy, and the rate of false findings over tables without a difference."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from bench_cells import cell
from scipy.stats import (
    binomtest,
    bootstrap,
    false_discovery_control,
    norm,
    permutation_test,
    ttest_ind,
    ttest_rel,
)

from flowbot.benchmark.table import compare_cells
from flowbot.stats import difference_over_seeds, estimate_mean, holm, mean_over_seeds, paired_difference, permutation_p

THIRDS = [0.0, 1 / 3, 2 / 3, 1.0]


@pytest.mark.parametrize("n", [2, 5, 9, 12])
@pytest.mark.parametrize("values", [[0.0, 1.0], THIRDS, [0.5]])
def test_the_permutation_test_is_scipys(n: int, values: list[float]) -> None:
    rng = Random(n)
    ours, theirs = (rng.choices(values, k=n) for _ in range(2))
    found = permutation_test(
        (np.array(ours), np.array(theirs)),
        lambda x, y, axis: np.mean(x - y, axis=axis),
        permutation_type="samples",
        n_resamples=1_000_000,
        vectorized=True,
    )
    assert permutation_p(ours, theirs) == pytest.approx(found.pvalue, abs=1e-12)


def test_the_permutation_test_of_right_and_wrong_is_mcnemars() -> None:
    for won, lost, same in ((9, 1, 30), (40, 20, 200), (300, 250, 1500), (0, 0, 7)):
        ours = [1.0] * won + [0.0] * lost + [1.0] * same
        theirs = [0.0] * won + [1.0] * lost + [1.0] * same
        expected = binomtest(won, won + lost).pvalue if won + lost else 1.0
        assert permutation_p(ours, theirs) == pytest.approx(expected, rel=1e-9)


def test_the_permutation_test_of_many_scores_of_any_size_is_the_normal_law() -> None:
    rng = Random(1)
    for n in (60, 200, 2000):  # the first is exact, and the law near already
        differences = [rng.uniform(-0.9, 1.0) for _ in range(n)]
        z = sum(differences) / sum(each * each for each in differences) ** 0.5
        assert norm.isf(permutation_p(differences, [0.0] * n) / 2) == pytest.approx(abs(z), abs=0.02)


def test_of_one_seed_intervals_and_p_are_wilsons_and_scipys() -> None:
    ones = [1.0] * 13 + [0.0] * 7
    assert mean_over_seeds([ones]) == mean_over_seeds([ones] * 3) == estimate_mean(ones)
    rng = Random(2)
    for n in (2, 3, 9, 80):
        ours, theirs = ([rng.random() for _ in range(n)] for _ in range(2))
        expected = ttest_rel(ours, theirs).confidence_interval()
        found, p = difference_over_seeds([ours], [theirs])
        assert (found.low, found.high) == pytest.approx((max(-1, expected.low), min(1, expected.high)), abs=1e-6)
        assert p == permutation_p(ours, theirs)


def test_seeds_that_found_the_same_have_no_difference_whatever_rounding_leaves() -> None:
    """The mean of three equal variances may round to less than that of the mean scores."""
    same = [[1.0, 1 / 3, 0.1]] * 3
    found, p = difference_over_seeds(same, same[:1])
    assert p == 1.0
    assert found.mean == pytest.approx(0.0)


def test_seeds_that_vary_alone_are_compared_as_two_samples_of_seeds() -> None:
    """Every example gets the same score of a seed: only the seeds' means are left, Welch's test."""
    ours, theirs = [0.8, 0.7, 0.9, 0.7], [0.5, 0.55, 0.6, 0.55]
    found, p = difference_over_seeds(*([[each] * 50 for each in side] for side in (ours, theirs)))
    welch = ttest_ind(ours, theirs, equal_var=False)
    assert found.low <= welch.confidence_interval().low <= welch.confidence_interval().high <= found.high
    assert welch.pvalue <= p <= 2 * welch.pvalue  # degrees of freedom are a whole number


@pytest.mark.parametrize(("seeds", "of_baseline"), [(3, 3), (5, 5), (3, 1)])
def test_methods_whose_seeds_differ_are_seldom_told_apart_and_intervals_cover(seeds: int, of_baseline: int) -> None:
    """Two equally good methods; each seed of one that searches moves every example's chance. A baseline of one seed does not vary."""
    rng, comparisons = Random(11), 200

    def seed(chances: list[float], spread: float) -> list[float]:
        moved = rng.gauss(0, spread)
        return [float(rng.random() < each + moved) for each in chances]

    clear = fixed = covered = 0
    for _ in range(comparisons):
        chances = [rng.betavariate(1, 1) for _ in range(60)]
        ours = [seed(chances, 0.1) for _ in range(seeds)]
        theirs = [seed(chances, 0.1 * (of_baseline > 1)) for _ in range(of_baseline)]
        found, p = difference_over_seeds(ours, theirs)
        clear += p < 0.05
        fixed += (
            permutation_p(*([sum(each) / len(each) for each in zip(*side, strict=True)] for side in (ours, theirs)))
            < 0.05
        )
        covered += found.low <= 0 <= found.high
    assert clear / comparisons <= 0.06 < fixed / comparisons
    assert covered / comparisons >= 0.93


def test_intervals_are_scipys_bootstrap() -> None:
    rng = Random(2)
    ours, theirs = (rng.choices(THIRDS, k=80) for _ in range(2))
    differences = np.array(ours) - np.array(theirs)
    for found, values in ((paired_difference(ours, theirs), differences), (estimate_mean(ours), np.array(ours))):
        expected = bootstrap((values,), np.mean, method="percentile", n_resamples=9999, rng=np.random.default_rng(3))
        assert (found.low, found.high) == pytest.approx(tuple(expected.confidence_interval), abs=0.01)


def test_holm_finds_no_more_than_the_rates_of_benjamini_and_no_less_than_bonferroni() -> None:
    values = [0.001, 0.2, 0.03, 0.012, 0.9]
    corrected = holm(values)
    assert all(a >= b for a, b in zip(corrected, false_discovery_control(values), strict=True))
    assert all(a <= min(1.0, 5 * b) for a, b in zip(corrected, values, strict=True))


@pytest.mark.parametrize(("rows", "seeds", "of_baseline"), [(20, 1, 1), (20, 3, 3), (60, 2, 2), (40, 3, 1)])
def test_few_tables_without_a_difference_show_one(rows: int, seeds: int, of_baseline: int) -> None:
    """Eight methods and the baseline are equally good on each example; a table with any clear difference is a false finding."""
    rng, tables, false = Random(7), 100, 0
    for _ in range(tables):
        right = [rng.random() for _ in range(rows)]
        cells = [
            cell(method, [float(rng.random() < each) for each in right], seed=seed)
            for method in ("base", *"abcdefgh")
            for seed in range(of_baseline if method == "base" else seeds)
        ]
        false += any(
            row.difference and row.difference.clear for row in compare_cells(cells, baseline="base").rows.values()
        )
    assert false / tables <= 0.05
