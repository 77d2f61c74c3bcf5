"""The simulated world: the tasks are those that the figures rest on, and its promises hold."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulate.world import WORLDS, Phi, Program, Task

SEEDS = st.integers(0, 10**6)
STEPS = st.lists(st.sampled_from(["ballot", "remove", "instruct", "demos"]), max_size=8)


def walk(task: Task, steps: list[str], shown: tuple[int, ...] = ()) -> list[Program]:
    """The start, and the programs that these steps lead through."""
    rng = Random("walk")
    programs = [task.start]
    for step in steps:
        last = programs[-1]
        options = [kind for kind in task.kinds if kind not in last.structure]
        if step == "ballot" and options:
            programs.append(task.apply(last, task.ballot(last, options, rng)))
        elif step == "remove" and last.structure:
            programs.append(task.apply(last, "-" + rng.choice(sorted(last.structure))))
        elif step == "instruct":
            programs.append(task.instruct(last, rng, shown))
        elif step == "demos":
            programs.append(task.demos(last, rng))
    return programs


# Accuracy, the first 40 scores and the next ballot, by an independent implementation.
KNOWN = {
    "base": (0.520257592, "1101011000111101001010111111101111011110", "each"),
    "flat": (0.237185428, "1001000000111100000010011111001110011010", "use"),
    "null": (0.067708673, "0000000000000000000010001000001100000000", "each"),
    "half": (0.286032501, "0001000000111100001010011111001111011010", "each"),
    "prompts": (0.116200667, "0000000000000000000010011111001100000000", "each"),
    "structure": (0.414717091, "0001011000111101001010111111001111011010", "use"),
}


@pytest.mark.parametrize("world", WORLDS)
def test_a_task_is_the_one_that_the_figures_rest_on(world: str) -> None:
    task = Task(4, 40, 0.5, world)
    rng = Random(1)
    program = task.apply(task.apply(task.start, "compute"), "vote")
    program = task.demos(task.instruct(program, rng, [0, 1, 2]), rng)
    p, rows, ballot = KNOWN[world]
    assert program.p == pytest.approx(p, abs=1e-8)
    assert "".join(map(str, task.rows(program)[:40])) == rows
    assert task.ballot(program, [kind for kind in task.kinds if kind not in program.structure], rng) == ballot


@settings(max_examples=40, derandomize=True)
@given(seed=SEEDS, world=st.sampled_from(sorted(WORLDS)), steps=STEPS)
def test_accuracy_is_phi_of_m_and_the_share_of_rows_that_are_right(seed: int, world: str, steps: list[str]) -> None:
    n = 1000
    task = Task(seed, n, 0.5, world)
    program = walk(task, steps)[-1]
    assert program.p == Phi(program.m)
    assert sum(task.rows(program)) / (2 * n) == pytest.approx(program.p, abs=4.5 * (0.25 / (2 * n)) ** 0.5)


@given(seed=SEEDS, steps=STEPS)
def test_in_the_flat_world_every_program_is_as_good_as_the_start(seed: int, steps: list[str]) -> None:
    task = Task(seed, 10, 0.5, "flat")
    assert {program.p for program in walk(task, steps)} == {task.start.p}


@given(seed=SEEDS, world=st.sampled_from(["null", "prompts", "structure"]), steps=STEPS)
def test_what_a_world_says_does_not_help_does_not(seed: int, world: str, steps: list[str]) -> None:
    idle = {"null": {"demos"}, "prompts": {"instruct", "demos"}, "structure": {"ballot", "remove", "demos"}}[world]
    task = Task(seed, 10, 0.5, world)
    assert max(program.m for program in walk(task, [step for step in steps if step not in idle])) == task.start.m


@given(seed=SEEDS, steps=STEPS)
def test_effects_are_halved_in_the_half_world_and_the_start_is_the_same_in_all(seed: int, steps: list[str]) -> None:
    structure = walk(Task(seed, 10, 0.5), steps)[-1].structure
    base, half = Task(seed, 10, 0.5), Task(seed, 10, 0.5, "half")
    assert half.structure_effect(structure) == pytest.approx(0.5 * base.structure_effect(structure))
    assert half.headroom(structure) == pytest.approx(0.5 * base.headroom(structure))
    assert {Task(seed, 10, 0.5, world).start for world in WORLDS} == {base.start}


@given(seed=SEEDS, steps=STEPS)
def test_a_critic_that_is_always_right_names_the_best_change_and_never_rewrites_for_the_worse(
    seed: int, steps: list[str]
) -> None:
    task = Task(seed, 10, 1.0)
    for program in walk(task, steps):
        best = task.best_change(program)
        if best is not None:
            options = [kind for kind in task.kinds if kind not in program.structure]
            assert task.ballot(program, options, Random(0)) == best
            assert task.apply(program, best).m == max(task.apply(program, kind).m for kind in options)
        now, headroom = program.instruction.effect, task.headroom(program.structure)
        assert now <= task.instruct(program, Random(0)).instruction.effect <= max(now, headroom)


@given(seed=SEEDS, steps=STEPS)
def test_scores_depend_on_the_program_alone_and_a_rewrite_harms_no_row_that_it_was_shown(
    seed: int, steps: list[str]
) -> None:
    task, again = Task(seed, 10, 0.5, "flat"), Task(seed, 10, 0.5, "flat")
    programs = walk(task, steps, shown=(0, 1, 2))
    rows = [task.rows(program) for program in programs]
    walk(again, steps, shown=(0, 1, 2))
    assert [again.rows(program) for program in reversed(programs)] == rows[::-1]
    for program in programs:
        text = program.instruction
        unmended = task.program(program.structure, text._replace(mends=()), program.demonstrations)
        fresh = Task(seed, 10, 0.5, "flat").rows(unmended)
        changed = [i for i, (a, b) in enumerate(zip(task.rows(program), fresh, strict=True)) if a != b]
        assert set(changed) <= set(text.mends)
        assert all(task.rows(program)[i] for i in changed)


def test_costs_are_the_calls_an_example() -> None:
    task = Task(4, 10, 0.5)
    program = task.apply(task.apply(task.start, "vote"), "compute")
    assert (task.start.cost, program.cost, task.apply(program, "-vote").cost) == (1, 3, 1)
