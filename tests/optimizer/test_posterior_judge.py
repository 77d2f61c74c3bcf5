"""Verdicts on pairs: what is a gain, what is luck, and that neither a metric's scale nor rows that an author saw matter."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pool_world import Named, judged

from flowbot.optimizer.belief import Belief
from flowbot.optimizer.judge import PRIOR_SPREAD, PosteriorJudge, Ruling
from flowbot.optimizer.population import Candidate, Outcome
from flowbot.run.events import Arm

NEUTRAL = Belief(0.0, PRIOR_SPREAD)


def pairs_of(wins: int, losses: int, ties: int) -> tuple[list[float], list[float]]:
    """Scores of candidate and start; of the ties half are right."""
    both = [float(tie % 2) for tie in range(ties)]
    return [1.0] * wins + [0.0] * losses + both, [0.0] * wins + [1.0] * losses + both


def ruling(mine: list[float], theirs: list[float], prior: Belief = NEUTRAL, extra: float = 0.0) -> Ruling:
    candidate, population, rows = judged(mine, theirs, prior)
    return PosteriorJudge[Named]().ruling(candidate, population, rows, extra)


@pytest.mark.parametrize(
    ("wins", "losses", "ties", "decision"),
    [
        (1, 0, 23, "set aside"),  # one win among ties is luck, also when the rows have ended
        (6, 0, 18, "adopt"),
        (10, 2, 12, "adopt"),
        (2, 6, 16, "drop"),
        (0, 3, 3, "drop"),
    ],
)
def test_wins_and_losses(wins: int, losses: int, ties: int, decision: str) -> None:
    assert ruling(*pairs_of(wins, losses, ties)).decision == decision


def test_in_one_run_ten_wins_against_seven_are_believed_to_be_worth_more_than_one_against_none() -> None:
    mine, theirs = pairs_of(10, 7, 7)
    many, population, rows = judged(mine, theirs, NEUTRAL)
    few = Candidate("p2", Named("few"), population.start, Arm(kind="change"), NEUTRAL)
    population.add(few)
    for row, score in zip(rows, theirs, strict=True):
        population.record("few", row, Outcome(1.0 if row == "0" else score))  # row 0 is one that the start has wrong
    judge = PosteriorJudge[Named]()
    assert judge.believe(many, population, rows).mean > judge.believe(few, population, rows).mean > 0


def test_a_small_gain_on_every_row_of_a_graded_metric_is_adopted() -> None:
    theirs = [row / 30 for row in range(24)]
    assert ruling([score + 0.02 for score in theirs], theirs).decision == "adopt"
    assert ruling([score - 0.02 for score in theirs], theirs).decision == "drop"


def test_a_gain_must_pay_for_the_calls_that_it_takes() -> None:
    scores = pairs_of(8, 2, 14)
    assert ruling(*scores).decision == "adopt"
    assert ruling(*scores, extra=30.0).decision != "adopt"


def test_a_cheaper_program_that_hardly_loses_is_taken_once_all_rows_were_run_and_a_worse_one_is_not() -> None:
    equal, worse = pairs_of(1, 1, 38), pairs_of(1, 5, 34)
    tight = Belief(0.0, 0.06)
    verdict = ruling(*equal, prior=tight, extra=-2.0)
    assert (verdict.decision, verdict.rule) == ("adopt", "cheaper")
    assert ruling(*equal, prior=tight).decision == "set aside"
    assert ruling(*worse, prior=tight, extra=-2.0).decision != "adopt"
    candidate, population, rows = judged(*equal, tight)
    judge = PosteriorJudge[Named]()
    early = judge.ruling(candidate, population, [*rows, "further"], -2.0, last=True)
    assert early.decision != "adopt"


GRADES = st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), min_size=6, max_size=40)


@settings(max_examples=150, derandomize=True)
@given(grades=GRADES, mean=st.floats(-0.1, 0.1), binary=st.booleans())
def test_scores_of_a_tenth_are_judged_alike(grades: list[tuple[int, int]], mean: float, binary: bool) -> None:
    grades = [(a // 5 * 8, b // 5 * 8) for a, b in grades] if binary else grades
    mine, theirs = [a / 8 for a, _ in grades], [b / 8 for _, b in grades]
    scale = max(mine + theirs) - min(mine + theirs) or 1.0
    whole = ruling(mine, theirs, Belief(mean * scale, PRIOR_SPREAD * scale))
    if scale == 1.0 and mine == theirs:
        return  # all scores are alike: there is no scale
    small = Belief(mean * scale / 10, PRIOR_SPREAD * scale / 10)
    tenth = ruling([a / 10 for a in mine], [b / 10 for b in theirs], small)
    assert tenth.p == pytest.approx(whole.p, abs=1e-6)
    if min(abs(whole.p - bar) for bar in (0.3, 0.8, 0.9)) > 1e-6 and abs(whole.belief.mean) > 1e-6:
        assert tenth.decision == whole.decision


def test_rows_that_the_author_was_shown_are_no_evidence() -> None:
    mine, theirs = [1.0] * 6 + [0.0, 1.0] * 9, [0.0] * 6 + [0.0, 1.0] * 9
    memorised, population, rows = judged(mine, theirs, NEUTRAL, shown=[str(row) for row in range(6)])
    judge = PosteriorJudge[Named]()
    assert judge.ruling(memorised, population, rows, 0.0).decision == "set aside"
    assert judge.ruling(memorised, population, rows, 0.0).belief.mean == 0.0
    assert ruling(mine, theirs).decision == "adopt"


def test_where_nothing_works_a_run_comes_to_believe_less() -> None:
    mine, theirs = pairs_of(5, 1, 12)
    candidate, population, rows = judged(mine, theirs, NEUTRAL)
    before = PosteriorJudge[Named]().believe(candidate, population, rows)
    for each in range(12):
        other = Candidate(f"o{each}", Named(f"o{each}"), population.start, Arm(kind="change"), NEUTRAL)
        population.add(other)
        for place, (row, score) in enumerate(zip(rows, theirs, strict=True)):
            population.record(
                other.program.hash, row, Outcome(1 - score if place > 5 and place // 2 % 3 == each % 3 else score)
            )
        population.close(other, "dropped")
    after = PosteriorJudge[Named]().believe(candidate, population, rows)
    assert 0 < after.mean < before.mean
    assert after.above() < before.above()


def adopted(seed: int, discordant: float, gain: float, prior: Belief) -> bool:
    """Whether a change of that true gain is adopted by some block of six of 40 rows."""
    rng = Random(seed)
    mine: list[float] = []
    theirs: list[float] = []
    for _ in range(40):
        flips = rng.random()
        up = flips < (discordant + gain) / 2
        tie = float(rng.random() < 0.5)
        mine.append(1.0 if up else 0.0 if flips < discordant else tie)
        theirs.append(0.0 if up else 1.0 if flips < discordant else tie)
    candidate, population, rows = judged([], [], prior)
    judge = PosteriorJudge[Named]()
    rows = [str(row) for row in range(40)]
    for begin in range(0, 40, 6):
        for row in range(begin, min(40, begin + 6)):
            population.record("changed", str(row), Outcome(mine[row]))
            population.record("start", str(row), Outcome(theirs[row]))
        decision = judge.ruling(candidate, population, rows, 0.0).decision
        if decision:
            return decision == "adopt"
    raise AssertionError("no verdict at the end of the rows")


@pytest.mark.parametrize("discordant", [0.15, 0.3])
def test_a_gain_of_twenty_points_is_mostly_adopted(discordant: float) -> None:
    prior = Belief(-0.02, PRIOR_SPREAD)
    share = sum(adopted(seed, discordant + 0.1, 0.2, prior) for seed in range(100)) / 100
    assert share >= 0.6


@pytest.mark.parametrize("mean", [-0.9, 0.9])
@pytest.mark.parametrize("last", [False, True])
def test_without_a_pair_nothing_is_adopted_or_dropped(mean: float, *, last: bool) -> None:
    candidate, population, rows = judged([1.0, 0.0], [0.0, 1.0], Belief(mean, 0.05), shown=["0", "1"])
    found = PosteriorJudge[Named]().ruling(candidate, population, rows, -1.0, last=last)
    assert (found.decision, len(found.pairs)) == ("set aside", 0)


@pytest.mark.parametrize(("pairs", "decision"), [(5, "set aside"), (6, "adopt")])
def test_where_calls_end_a_sure_prior_and_a_pair_or_two_do_not_adopt(pairs: int, decision: str) -> None:
    candidate, population, rows = judged([1.0] * pairs, [0.0] * pairs, Belief(0.3, 0.05))
    found = PosteriorJudge[Named]().ruling(candidate, population, [*rows, "further"], 0.0, last=True)
    assert found.decision == decision
