"""The product's own search in simulated tasks: bounds that a broken judge, planner or closing misses, with few seeds."""

from __future__ import annotations

import asyncio
from statistics import fmean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulate.methods import METHODS
from simulate.product import BY_CHANCE, Settings, Simulated, search, searched
from simulate.table import Cell
from simulate.world import Task


@pytest.mark.parametrize(("budget", "points"), [(200, 3.5), (500, 9.5), (1000, 12.0)])
def test_it_gains_at_every_budget(budget: int, points: float) -> None:
    line = Cell("flowbot", "base", 40, 0.5, budget, 50).line()
    assert line["gain"] >= points
    assert line["worse"] <= 4


def test_validation_of_many_rows_does_not_eat_the_calls_of_the_search() -> None:
    assert Cell("flowbot", "base", 300, 0.5, 500, 20).line()["gain"] >= 7


@pytest.mark.parametrize(("budget", "changes"), [(200, 0.1), (500, 0.2)])
def test_where_nothing_changes_anything_the_start_is_mostly_returned_and_few_candidates_are_adopted(
    budget: int, changes: float
) -> None:
    changed, adopted, run = 0, 0, 0
    for seed in range(150):
        context = Simulated(Task(seed, 40, 0.5, "flat"), budget, seed)
        changed += asyncio.run(searched(context)) != context.task.start
        adopted += sum(event.event == "verdict" and event.decision == "adopt" for event in context.events)
        population = context.population
        run += sum(bool(population.outcomes(each.program)) for each in population.members[1:])
    assert changed <= changes * 150
    assert adopted <= 0.09 * run


def test_chance_alone_finds_less() -> None:
    gains = {
        chosen: fmean(search(task := Task(seed, 40, 0.9), 500, seed, chosen)[0].p - task.start.p for seed in range(40))
        for chosen in (Settings(), BY_CHANCE)
    }
    assert gains[Settings()] > gains[BY_CHANCE]


def test_of_few_rows_validation_joins_the_search() -> None:
    context = Simulated(Task(4, 20, 0.5), 500, 4)
    asyncio.run(searched(context))
    assert len(context.rows) == 40
    assert not any(event.event == "verdict" and event.rule == "validation" for event in context.events)


@settings(max_examples=60, derandomize=True)
@given(
    method=st.sampled_from(["flowbot", "flowbot-open", "random"]),
    seed=st.integers(0, 10**6),
    budget=st.integers(0, 300),
    n=st.integers(6, 45),
)
def test_no_call_goes_past_the_budget_and_a_seed_is_a_run(method: str, seed: int, budget: int, n: int) -> None:
    program, spent = METHODS[method](Task(seed, n, 0.5), budget, seed)
    assert spent <= budget
    assert METHODS[method](Task(seed, n, 0.5), budget, seed) == (program, spent)
