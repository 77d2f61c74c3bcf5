"""What is kept of programs: pairs, means, and the two fronts."""

from __future__ import annotations

import pytest
from pool_world import START, Named, judged

from flowbot.optimizer.belief import Belief
from flowbot.optimizer.population import Candidate, Outcome, Population
from flowbot.run.events import Arm


def member(population: Population[Named], name: str, scores: str, *, calls: float = 1.0, seconds: float = 0.0) -> None:
    population.add(Candidate(name, Named(name), population.start, Arm(kind="k"), Belief(0.0, 0.1)))
    fill(population, name, scores, calls, seconds)


def fill(population: Population[Named], name: str, scores: str, calls: float = 1.0, seconds: float = 0.0) -> None:
    for row, score in enumerate(scores):
        if score != " ":
            population.record(name, str(row), Outcome(int(score) / 9, calls, seconds=seconds))


def test_pairs_are_the_rows_that_both_were_run_on_in_the_order_of_the_run() -> None:
    candidate, population, _ = judged([1.0, 0.0, 1.0], [0.0, 0.0, 1.0], Belief(0.0, 0.1), shown=["1"])
    population.record("changed", "7", Outcome(1.0))
    pairs = population.pairs(candidate, ["2", "7", "1", "0"])
    assert (pairs.rows, pairs.mine, pairs.theirs, pairs.differences) == (["2", "0"], [1.0, 1.0], [1.0, 0.0], [0.0, 1.0])
    assert population.missing(START, ["7", "0"]) == ["7"]


def test_the_scale_is_the_range_of_all_scores() -> None:
    population = Population(START)
    assert population.scale == 1.0
    fill(population, "start", "33")
    assert population.scale == 1.0
    fill(population, "other", "6")
    assert population.scale == pytest.approx(1 / 3)


def test_what_is_forgotten_leaves_the_scale_as_it_was() -> None:
    population = Population(START)
    for row, score in enumerate((0.2, 0.4)):
        population.record("start", str(row), Outcome(score))
    population.record("new", "0", Outcome(1.0))
    population.forget("new", "0")
    assert population.scale == pytest.approx(0.2)
    for row in "01":
        population.forget("start", row)
    assert population.scale == 1.0


def test_the_instance_front_is_who_is_best_on_some_row_and_not_only_beside_another() -> None:
    population = Population(START)
    fill(population, "start", "9000")
    member(population, "a", "0990")
    member(population, "b", "0900")  # best on row 1 only together with a
    member(population, "c", "0009")
    member(population, "unrun", "")
    assert dict(population.instance_front([str(row) for row in range(4)])) == {"start": 1, "a": 2, "c": 1}


def test_means_are_over_the_rows_that_were_run() -> None:
    population = Population(START)
    fill(population, "start", "90", seconds=2.0)
    assert population.mean(START, "score") == 0.5
    assert population.mean(START, "seconds") == 2.0
    assert population.mean(Named("unknown"), "score") is None


def test_what_is_closed_is_open_no_more_and_lineages_lead_to_the_start() -> None:
    population = Population(START)
    member(population, "a", "9")
    a = population.open[0]
    version = population.version
    population.close(a, "adopted")
    assert (population.open, population.version) == ([], version + 1)
    child = Candidate("b", Named("b"), a, Arm(kind="k"), Belief(0.1, 0.1))
    assert [each.id for each in child.lineage] == ["start", "a", "b"]
    assert child.belief == Belief(0.1, 0.1)


def test_extra_calls_are_those_on_the_same_rows_and_a_reply_asked_for_again_is_none() -> None:
    population: Population[Named] = Population(START)
    candidate = Candidate("p1", Named("c"), population.start, Arm(kind="a"), Belief(0.0, 0.1))
    for row in range(20):
        population.record(START.hash, f"r{row}", Outcome(1.0, calls=1 if row else 2))
    population.record("c", "r1", Outcome(1.0, calls=1))
    assert population.extra_calls(candidate) == 0.0, "row 0, which took two calls, is no common row"
    for row in range(20):
        population.record("c", f"r{row}", Outcome(1.0, calls=1))
    assert population.extra_calls(candidate) == 0.0, "one repeated reply in twenty rows"
    for row in range(20):
        population.record("c", f"r{row}", Outcome(1.0, calls=3))
    assert population.extra_calls(candidate) == pytest.approx(1.95)
