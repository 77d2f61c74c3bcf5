"""The re-implemented procedures: their known results, their bounds."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulate.methods import METHODS
from simulate.rivals.today import p_better
from simulate.world import Task

# Computed once by an independent implementation, on which the published comparison rests: n = 40, q = 0.5, 500 calls.
KNOWN = [
    ("today-low", 4, "compute/0/0", 0.604339555, 203),
    ("today-low", 11, "think/0/0", 0.642085639, 163),
    ("today-medium", 4, "compute/2/0", 0.679715547, 335),
    ("today-medium", 11, "think/3/1", 0.728385679, 331),
    ("today-high", 4, "compute/2/0", 0.679715547, 500),
    ("today-high", 11, "think/0/0", 0.642085639, 500),
    ("random-medium", 4, "tool/2/3", 0.474655147, 500),
    ("random-medium", 11, "/0/0", 0.406804771, 261),
    ("random-high", 4, "tool/0/0", 0.336910258, 499),
    ("random-high", 11, "think/2/0", 0.711469829, 499),
    ("gepa", 4, "/10/0", 0.338594868, 500),
    ("gepa", 11, "/15/0", 0.516729252, 500),
    ("gepa+structure", 4, "compute/5/0", 0.772193395, 500),
    ("gepa+structure", 11, "think/3/0", 0.72063871, 500),
    ("mipro", 4, "/5/6", 0.341042762, 500),
    ("mipro", 11, "/3/7", 0.590412837, 500),
    ("aflow", 4, "compute/1/0", 0.679715547, 500),
    ("aflow", 11, "think/2/0", 0.726663249, 500),
    ("paper", 4, "compute+vote/10/0", 0.71717661, 498),
    ("paper", 11, "/0/0", 0.406804771, 485),
    ("halving", 4, "compute/0/0", 0.604339555, 500),
    ("halving", 11, "think/4/0", 0.776129486, 499),
    ("pool", 4, "compute/3/0", 0.796333017, 500),
    ("pool", 11, "think/7/0", 0.789023072, 500),
    ("pool-safe", 4, "compute/3/0", 0.796333017, 500),
    ("pool-safe", 11, "think/0/8", 0.712410903, 500),
    ("final-open", 4, "compute/0/0", 0.604339555, 500),
    ("final-open", 11, "think/10/0", 0.79325485, 500),
    ("final-gate", 4, "compute/5/0", 0.78347737, 419),
    ("final-gate", 11, "think/9/0", 0.783117149, 420),
]
# The same, n = 20, q = 0.2, 1000 calls, seed 4.
KNOWN_IN_WORLDS = [
    ("base", "today-medium", "compute/2/0", 0.798481127, 263),
    ("base", "final-gate", "compute/0/0", 0.604339555, 457),
    ("flat", "today-medium", "each/0/0", 0.237185428, 356),
    ("flat", "final-gate", "/0/0", 0.237185428, 1000),
    ("null", "today-medium", "/0/0", 0.237185428, 302),
    ("null", "final-gate", "/0/0", 0.237185428, 659),
    ("half", "today-medium", "compute/2/0", 0.524086001, 255),
    ("half", "final-gate", "compute+vote/0/3", 0.345079138, 998),
    ("prompts", "today-medium", "/0/0", 0.237185428, 278),
    ("prompts", "final-gate", "/0/0", 0.237185428, 832),
    ("structure", "today-medium", "compute+tool/2/0", 0.784762174, 316),
    ("structure", "final-gate", "compute/0/0", 0.701808996, 556),
]


@pytest.mark.parametrize(("method", "seed", "key", "p", "calls"), KNOWN)
def test_a_procedure_finds_what_it_is_known_to_find(method: str, seed: int, key: str, p: float, calls: int) -> None:
    program, spent = METHODS[method](Task(seed, 40, 0.5), 500, seed)
    assert (program.hash, program.p, spent) == (key, pytest.approx(p, abs=1e-8), calls)


@pytest.mark.parametrize(("world", "method", "key", "p", "calls"), KNOWN_IN_WORLDS)
def test_a_procedure_in_another_world(world: str, method: str, key: str, p: float, calls: int) -> None:
    program, spent = METHODS[method](Task(4, 20, 0.2, world), 1000, 4)
    assert (program.hash, program.p, spent) == (key, pytest.approx(p, abs=1e-8), calls)


@settings(max_examples=60)
@given(
    method=st.sampled_from(sorted(METHODS)),
    seed=st.integers(0, 10**6),
    budget=st.integers(0, 300),
    n=st.integers(6, 25),
)
def test_no_procedure_passes_its_budget_and_all_repeat_themselves(method: str, seed: int, budget: int, n: int) -> None:
    program, spent = METHODS[method](Task(seed, n, 0.5), budget, seed)
    assert 0 <= spent <= budget
    assert METHODS[method](Task(seed, n, 0.5), budget, seed) == (program, spent)


def test_the_race_of_0_1_keeps_one_win_in_24_and_not_ten_against_seven() -> None:
    assert p_better(1, 0) >= 0.8 > p_better(10, 7)
    assert p_better(0, 1) <= 0.2
