"""The posterior of a gain against brute force: prior times likelihood, summed on a grid, with the strata worked out by hand.

And what must hold for all pairs: what speaks for a candidate never counts against it.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, sqrt
from statistics import fmean, median

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pool_world import Named, judged

from flowbot.optimizer.belief import (
    PSEUDO_PAIRS,
    STRATUM_PSEUDO_PAIRS,
    STRATUM_SHARE,
    VARIANCE,
    Belief,
    mean_and_variance,
)
from flowbot.optimizer.judge import (
    LEAST_SPREAD,
    POOLED_PAIRS,
    PRIOR_SPREAD,
    PRIOR_WEIGHT,
    PosteriorJudge,
    weighed,
)
from flowbot.optimizer.objective import CALL_WORTH, TOLERATED, Objective, Takes
from flowbot.optimizer.population import Candidate, Outcome, Population
from flowbot.run.events import Arm

STEPS = 20_001


def priced(calls: float, scale: float) -> float:
    """What so many calls more must gain where nobody names an objective."""
    return Objective().price(Takes(calls=calls), Takes(), scale)


def integrated(prior: Belief, seen: float, variance: float, threshold: float = 0.0) -> tuple[float, float, float]:
    """Mean, spread and P(gain > threshold) of prior times likelihood, by a sum over a fine grid."""
    spread = max(prior.spread, sqrt(variance))
    low, high = min(prior.mean, seen) - 9 * spread, max(prior.mean, seen) + 9 * spread
    grid = [low + (high - low) * step / (STEPS - 1) for step in range(STEPS)]
    logs = [-((each - prior.mean) ** 2) / (2 * prior.spread**2) - (seen - each) ** 2 / (2 * variance) for each in grid]
    top = max(logs)
    density = [exp(each - top) for each in logs]
    whole = sum(density)
    mean = sum(each * weight for each, weight in zip(grid, density, strict=True)) / whole
    square = sum((each - mean) ** 2 * weight for each, weight in zip(grid, density, strict=True)) / whole
    above = sum(weight for each, weight in zip(grid, density, strict=True) if each > threshold) / whole
    return mean, sqrt(square), above


@settings(max_examples=40, derandomize=True)
@given(
    mean=st.floats(-0.3, 0.3),
    spread=st.floats(0.02, 0.4),
    seen=st.floats(-0.6, 0.6),
    deviation=st.floats(0.02, 0.4),
    threshold=st.sampled_from([0.0, -TOLERATED, 0.1]),
)
def test_an_update_is_bayes_rule(mean: float, spread: float, seen: float, deviation: float, threshold: float) -> None:
    after = Belief(mean, spread).updated(seen, deviation**2)
    by_hand = integrated(Belief(mean, spread), seen, deviation**2, threshold)
    assert (after.mean, after.spread) == pytest.approx(by_hand[:2], abs=1e-4)
    assert after.above(threshold) == pytest.approx(by_hand[2], abs=5e-3)


def by_hand(mine: Sequence[float], theirs: Sequence[float], prior: Belief, more: Sequence[float] = ()) -> Belief:
    """What is believed of the only candidate of a run; `more` are scores of its parent on rows that it was not run on."""
    n = len(mine)
    gains = [a - b for a, b in zip(mine, theirs, strict=True)]
    every = [*mine, *theirs, *more]
    scale = max(every) - min(every) or 1.0
    start = [*theirs, *more]
    two = len(set(start)) <= 2
    unseen = VARIANCE * scale**2 if two else fmean([(each - fmean(start)) ** 2 for each in start])
    pooled = (POOLED_PAIRS * unseen + sum((each - fmean(gains)) ** 2 for each in gains)) / (POOLED_PAIRS + n - 1)
    factor = 1.0
    if n >= PosteriorJudge[Named]().fewest:
        scatter = (sum((each - fmean(gains)) ** 2 for each in gains) + PSEUDO_PAIRS * pooled) / (n + PSEUDO_PAIRS) / n
        total, weight = PRIOR_WEIGHT * (PRIOR_SPREAD * scale) ** 2, PRIOR_WEIGHT + 0.5
        if fmean(gains) > 0:
            total, weight = total + fmean(gains) ** 2 - scatter, PRIOR_WEIGHT + 1
        factor = min(1.0, sqrt(max(0.0, total) / weight) / (PRIOR_SPREAD * scale))
    shrunk = Belief(prior.mean * factor, max(LEAST_SPREAD * scale, prior.spread * factor))
    middle = (min(start) + max(start)) / 2 if two else median(start)
    strata = [
        [gain for gain, other in zip(gains, theirs, strict=True) if (other > middle) is right]
        for right in (True, False)
    ]
    if more and all(len(each) > 1 for each in strata):
        right = sum(each > middle for each in start) / len(start)
        seen = variance = 0.0
        for group, share in zip(strata, (right, 1 - right), strict=True):
            squares = sum((each - fmean(group)) ** 2 for each in group)
            assumed = STRATUM_PSEUDO_PAIRS * STRATUM_SHARE * pooled
            seen += share * fmean(group)
            variance += share**2 * (squares + assumed) / (len(group) + STRATUM_PSEUDO_PAIRS) / len(group)
    else:
        squares = sum((each - fmean(gains)) ** 2 for each in gains)
        seen, variance = fmean(gains), (squares + PSEUDO_PAIRS * pooled) / (n + PSEUDO_PAIRS) / n
    return Belief(*integrated(shrunk, seen, variance)[:2])


def believed(mine: Sequence[float], theirs: Sequence[float], prior: Belief, more: Sequence[float] = ()) -> Belief:
    """The same by the judge."""
    candidate, population, rows = judged(mine, theirs, prior)
    for place, score in enumerate(more):
        population.record("start", f"more {place}", Outcome(score))
    return PosteriorJudge[Named]().believe(candidate, population, rows)


PAIRS = st.lists(st.tuples(st.sampled_from([0.0, 1.0]), st.sampled_from([0.0, 1.0])), min_size=2, max_size=30)
GRADES = st.lists(st.tuples(st.integers(0, 10), st.integers(0, 10)), min_size=4, max_size=20)


@settings(max_examples=40, derandomize=True)
@given(pairs=PAIRS, more=st.lists(st.sampled_from([0.0, 1.0]), max_size=20), mean=st.floats(-0.1, 0.1))
def test_the_judge_believes_what_is_worked_out_by_hand(
    pairs: list[tuple[float, float]], more: list[float], mean: float
) -> None:
    mine, theirs = [a for a, _ in pairs], [b for _, b in pairs]
    found, expected = (each(mine, theirs, Belief(mean, PRIOR_SPREAD), more) for each in (believed, by_hand))
    assert (found.mean, found.spread) == pytest.approx((expected.mean, expected.spread), abs=1e-4)


@settings(max_examples=25, derandomize=True)
@given(pairs=GRADES, more=st.lists(st.integers(0, 10), max_size=12))
def test_and_of_a_graded_metric_too(pairs: list[tuple[int, int]], more: list[int]) -> None:
    mine, theirs = [a / 10 for a, _ in pairs], [b / 10 for _, b in pairs]
    prior, others = Belief(0.02, PRIOR_SPREAD), [each / 10 for each in more]
    assume(len({*mine, *theirs, *others}) > 1)
    found, expected = (each(mine, theirs, prior, others) for each in (believed, by_hand))
    assert (found.mean, found.spread) == pytest.approx((expected.mean, expected.spread), abs=1e-4)


def test_strata_weigh_by_the_share_of_all_rows_of_the_parent_and_not_of_the_pairs() -> None:
    mine, theirs = [1.0] * 6 + [1.0, 0.0], [1.0] * 6 + [0.0, 0.0]  # it mends one of the two that the parent has wrong
    rare, common = (believed(mine, theirs, Belief(0.0, PRIOR_SPREAD), [score] * 40) for score in (1.0, 0.0))
    assert common.mean > 2 * rare.mean > 0, "where the parent is mostly wrong, mending half of that is worth more"


@settings(max_examples=80, derandomize=True)
@given(pairs=PAIRS, place=st.integers(0, 29), mean=st.floats(-0.1, 0.1))
def test_a_row_that_turns_right_is_never_believed_to_be_a_loss(
    pairs: list[tuple[float, float]], place: int, mean: float
) -> None:
    place %= len(pairs)
    mine, theirs = [a for a, _ in pairs], [b for _, b in pairs]
    assume(mine[place] == 0.0)
    assume(1.0 in mine + theirs)
    better = [*mine[:place], 1.0, *mine[place + 1 :]]
    assume(0.0 in better + theirs)  # the scale stays
    observed = [
        mean_and_variance([a - b for a, b in zip(each, theirs, strict=True)], 0.25)[0] for each in (mine, better)
    ]
    assert observed[1] > observed[0]
    prior = Belief(mean, PRIOR_SPREAD)
    before, after = believed(mine, theirs, prior), believed(better, theirs, prior)
    if fmean(better) >= fmean(theirs):
        assert after.mean >= before.mean - 1e-9
        assert after.above() >= before.above() - 1e-9


@settings(max_examples=80, derandomize=True)
@given(pairs=PAIRS, low=st.floats(-0.2, 0.2), more=st.floats(0.001, 0.2))
def test_a_better_prior_is_never_a_worse_belief(pairs: list[tuple[float, float]], low: float, more: float) -> None:
    mine, theirs = [a for a, _ in pairs], [b for _, b in pairs]
    worse, better = (believed(mine, theirs, Belief(mean, PRIOR_SPREAD)) for mean in (low, low + more))
    assert better.mean >= worse.mean
    assert better.spread == pytest.approx(worse.spread)


@settings(max_examples=80, derandomize=True)
@given(pairs=PAIRS)
def test_the_same_pairs_once_more_make_a_belief_no_wider(pairs: list[tuple[float, float]]) -> None:
    mine, theirs = [a for a, _ in pairs], [b for _, b in pairs]
    assume(len({*mine, *theirs}) > 1)
    prior = Belief(0.0, PRIOR_SPREAD)
    once, twice = believed(mine, theirs, prior), believed(mine * 2, theirs * 2, prior)
    assert twice.spread <= once.spread + 1e-9


@given(
    mean=st.floats(-0.3, 0.3),
    spread=st.floats(0.01, 0.3),
    extra=st.floats(-3, 3),
    more=st.floats(0, 3),
    scale=st.sampled_from([1.0, 0.1]),
    bar=st.sampled_from([0.8, 0.92]),
)
def test_what_replaces_also_does_so_with_fewer_calls_or_a_greater_gain(
    mean: float, spread: float, extra: float, more: float, scale: float, bar: float
) -> None:
    belief, price = Belief(mean * scale, spread * scale), priced(extra, scale)
    if weighed(belief, price, bar).replaces:
        assert weighed(belief, priced(extra - more, scale), bar).replaces
        assert weighed(Belief(belief.mean + more * scale, belief.spread), price, bar).replaces


@pytest.mark.parametrize("extra", [0.0, 1.0, 2.5])
def test_a_dearer_program_must_gain_what_its_calls_are_worth_and_a_cheaper_one_must_hardly_lose(extra: float) -> None:
    certain, price, fewer = 1e-6, priced(extra, 1.0), priced(-1.0, 1.0)
    assert not weighed(Belief(CALL_WORTH * extra - 1e-4, certain), price, 0.92).replaces
    assert weighed(Belief(CALL_WORTH * extra + 1e-4, certain), price, 0.92).replaces
    assert weighed(Belief(-TOLERATED + 1e-4, certain), fewer, 0.92).rule == "cheaper"
    assert weighed(Belief(-TOLERATED + 1e-4, certain), fewer, 0.92).replaces
    assert not weighed(Belief(-TOLERATED - 1e-4, certain), fewer, 0.92).replaces


@settings(max_examples=40, derandomize=True)
@given(pairs=PAIRS, unseen=st.integers(1, 29))
def test_rows_that_its_author_was_shown_change_nothing_that_is_believed(
    pairs: list[tuple[float, float]], unseen: int
) -> None:
    """The same candidate, once judged on the unseen rows alone and once with shown rows on which it is right."""
    prior = Belief(0.0, PRIOR_SPREAD)
    assume(len({score for pair in pairs for score in pair}) == 2)
    shown = [f"shown {number}" for number in range(unseen)]
    found: list[Belief] = []
    for memorised in (0.0, 1.0):
        population = Population(Named("start"))
        candidate = Candidate("p1", Named("c"), population.start, Arm(kind="k"), prior, shown=frozenset(shown))
        population.add(candidate)
        for row in shown:
            population.record("c", row, Outcome(memorised))
            population.record("start", row, Outcome(0.0))
        for number, (mine, theirs) in enumerate(pairs):
            population.record("c", str(number), Outcome(mine))
            population.record("start", str(number), Outcome(theirs))
        rows = [*shown, *(str(number) for number in range(len(pairs)))]
        found.append(PosteriorJudge[Named]().believe(candidate, population, rows))
    assert found[0] == found[1]


def test_a_run_in_which_nothing_works_learns_a_narrow_spread_and_one_in_which_much_does_keeps_the_prior() -> None:
    def learned(gains: Sequence[int]) -> float:
        population = Population(Named("start"))
        rows = [str(row) for row in range(24)]
        for row in rows:
            population.record("start", row, Outcome(float(int(row) % 2)))
        for number, gain in enumerate(gains):
            candidate = Candidate(f"c{number}", Named(f"c{number}"), population.start, Arm(kind="k"), Belief(0.0, 0.12))
            population.add(candidate)
            for place, row in enumerate(rows):
                flipped = place // 2 < gain and place % 2 == 0
                population.record(f"c{number}", row, Outcome(1.0 if flipped else float(int(row) % 2)))
        return PosteriorJudge[Named]().shrinking(population, rows)

    assert learned([0] * 12) == pytest.approx(sqrt(PRIOR_WEIGHT / (PRIOR_WEIGHT + 12 / 2)))
    assert learned([8] * 12) == 1.0
    whole = sqrt((PRIOR_WEIGHT * PRIOR_SPREAD**2 + 12 / 24**2) / (PRIOR_WEIGHT + 12)) / PRIOR_SPREAD
    assert learned([1] * 12) < 0.95 * whole, "of a small gain what the pairs scatter by themselves is no gain"
    assert learned([]) == 1.0
    assert learned([0] * 4) > learned([0] * 12), "the more that failed, the narrower"
