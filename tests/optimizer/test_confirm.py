"""What is returned: the incumbent where unseen rows confirm it, else the start, and no more of those rows than that takes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pool_world import Lookup, Named

from flowbot.optimizer.belief import Belief
from flowbot.optimizer.confirm import BLOCK, Confirm
from flowbot.optimizer.population import Candidate, Outcome
from flowbot.run.events import Arm


async def chosen(
    score: Callable[[str, int], float], *, planned: float = 200, name: str = "new", gain: float = 0.1
) -> tuple[str, Lookup]:
    context = Lookup(score, 40, planned)
    population = context.population
    winner = Candidate("p1", Named(name), population.start, Arm(kind="k"), Belief(gain, 0.05))
    population.add(winner)
    population.incumbent = winner
    return (await Confirm[Named]().choose(context)).program.hash, context


def better(program: str, row: int) -> float:
    return float(program != "start" or row % 2)


async def test_a_clear_gain_is_confirmed_by_few_rows() -> None:
    found, context = await chosen(better)
    assert found == "new"
    assert context.spent == 2 * BLOCK
    (verdict,) = context.events
    assert (verdict.event, verdict.event == "verdict" and verdict.decision) == ("verdict", "confirm")


async def test_only_rows_of_validation_are_run() -> None:
    _, context = await chosen(better)
    assert set(context.population.outcomes(Named("new"))) <= set(context.validation)


async def test_what_unseen_rows_do_not_bear_out_is_not_returned() -> None:
    found, context = await chosen(lambda program, row: float(row % 2 if program == "start" else row % 4 == 1))
    assert found == "start"
    assert context.events[-1].event == "verdict"
    assert context.events[-1].decision == "refute"
    assert (await chosen(lambda program, row: float(row % 2), gain=0.02))[0] == "start"


async def test_what_training_says_of_the_start_counts_in_validation_too() -> None:
    """Three wins where the start is wrong on half of few rows weigh more where it is wrong on most of all rows."""

    def score(program: str, row: int) -> float:
        return float(row % 10 < 5 or (program != "start" and row % 10 == 5))

    p: list[float] = []
    for mistakes in (0, 40):
        context = Lookup(score, 40, 200)
        population = context.population
        winner = Candidate("p1", Named("new"), population.start, Arm(kind="k"), Belief(0.05, 0.05))
        population.add(winner)
        population.incumbent = winner
        for row in context.rows:
            population.record("start", row, Outcome(float(int(row) >= mistakes)))
        await Confirm[Named]().choose(context)
        (verdict,) = context.events
        assert verdict.event == "verdict"
        p.append(verdict.p)
    assert p[0] < p[1]


async def test_a_gain_must_pay_for_its_calls_and_a_cheaper_program_need_not_gain() -> None:
    small = lambda program, row: float(row % 2 or (program != "start" and row % 10 == 0))  # noqa: E731
    assert (await chosen(small, gain=0.1))[0] == "new"
    assert (await chosen(small, name="new" + 30 * "!", planned=10_000))[0] == "start"


@pytest.mark.parametrize("planned", [0, 7, 20, 31])
async def test_no_call_goes_past_what_was_planned(planned: int) -> None:
    _, context = await chosen(better, planned=planned, name="new!")
    assert context.spent <= planned


async def test_the_start_needs_no_confirmation() -> None:
    context = Lookup(better, 40, 100)
    assert (await Confirm[Named]().choose(context)) is context.population.start
    assert (context.spent, context.events) == (0, [])


def test_what_is_set_aside_for_it_is_a_share_of_the_calls_or_what_all_rows_take() -> None:
    assert Confirm[Named]().room(200, 40, 1) == 50
    assert Confirm[Named]().room(1000, 40, 1) == 100
