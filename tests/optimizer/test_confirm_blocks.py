"""Validation is spent ten rows at a time, never beyond its end, and a ceiling makes no claim."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pool_world import Lookup, Named

from flowbot.fields import BudgetExceeded
from flowbot.optimizer.belief import Belief
from flowbot.optimizer.confirm import BELIEVED, BLOCK, CERTAIN, FEW_CALLS, FEW_ROWS, REFUTED, AsAdopted, Confirm, few
from flowbot.optimizer.population import Candidate
from flowbot.optimizer.seams import PlanUsed
from flowbot.run.events import Arm, Event, Verdict


class Validation(Lookup):
    """Notes how many rows each call to `run` asks for; `ceiling` calls are let through in all, and what they cut short is forgotten."""

    def __init__(
        self,
        score: Callable[[str, int], float],
        rows: int,
        *,
        ceiling: float = 10_000,
        planned: float = 10_000,
        error: type[BudgetExceeded] = BudgetExceeded,
    ) -> None:
        super().__init__(score, rows, planned)
        self.ceiling, self.error = ceiling, error
        self.asked: list[tuple[str, list[str]]] = []
        self.unsettled: list[tuple[str, str]] = []
        self.cut = False

    async def run(self, program: Named, rows: Sequence[str], why: str) -> None:
        self.asked.append((program.hash, list(rows)))
        assert why == "val"
        for row in rows:
            await asyncio.sleep(0)
            if self.spent + self.calls_of(program) > self.ceiling:
                self.cut = True
                raise self.error("met", ceiling="calls")
            await super().run(program, [row], why)
            self.unsettled.append((program.hash, row))

    def settle(self) -> None:
        if self.cut:
            for program, row in self.unsettled:
                self.population.forget(program, row)
        self.cut = False
        self.unsettled.clear()

    def record(self, event: Event) -> None:
        self.settle()
        super().record(event)


def winner(context: Lookup, name: str = "new", gain: float = 0.1) -> Candidate[Named]:
    population = context.population
    found = Candidate("p1", Named(name), population.start, Arm(kind="k"), Belief(gain, 0.05))
    population.add(found)
    population.incumbent = found
    return found


def verdicts(context: Lookup) -> list[Verdict]:
    return [each for each in context.events if isinstance(each, Verdict)]


def even(program: str, row: int) -> float:
    """Neither is better: the answer stays open to the last row."""
    return float((row + (program == "start")) % 2)


@pytest.mark.parametrize("rows", [1, 9, 10, 11, 25, 40])
async def test_rows_are_run_in_blocks_of_ten_and_no_more_than_there_are(rows: int) -> None:
    context = Validation(even, rows)
    winner(context, gain=0.1)
    await Confirm[Named]().choose(context)
    ran = [len(asked) for program, asked in context.asked if program == "new"]
    assert ran == [BLOCK] * (rows // BLOCK) + ([rows % BLOCK] if rows % BLOCK else [])
    assert {program: [row for name, asked in context.asked if name == program for row in asked] for program in ("new", "start")} == {
        "new": context.validation, "start": context.validation,
    }  # fmt: skip
    assert not set(context.rows) & {row for _, asked in context.asked for row in asked}
    (verdict,) = verdicts(context)
    assert verdict.n == rows


SCORES = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=45)


@settings(max_examples=100)
@given(scores=SCORES, gain=st.floats(-0.1, 0.3))
def test_it_stops_at_the_first_block_that_is_certain_and_only_there(
    scores: list[tuple[bool, bool]], gain: float
) -> None:
    context = Validation(lambda program, row: float(scores[row - len(scores)][program == "start"]), len(scores))
    found = winner(context, gain=gain)
    returned = asyncio.run(Confirm[Named]().choose(context))
    (verdict,) = verdicts(context)
    ran = len(context.population.outcomes(Named("new")))
    assert verdict.n == ran == len(context.population.outcomes(context.population.start.program))
    assert ran == len(scores) or ran % BLOCK == 0
    certain = not REFUTED < Belief(verdict.gain, verdict.spread).above() < CERTAIN
    assert certain or ran == len(scores)
    assert (returned is found) == (verdict.decision == "confirm")
    assert (verdict.mine, verdict.theirs) == pytest.approx(
        tuple(sum(each[side] for each in scores[:ran]) / ran for side in (False, True))
    )


@pytest.mark.parametrize(("better", "gain"), [("new", 0.2), ("start", -0.1)])
async def test_where_the_answer_is_plain_most_of_validation_is_not_paid_for(better: str, gain: float) -> None:
    context = Validation(lambda program, row: float(program == better), 100)
    winner(context, gain=gain)
    await Confirm[Named]().choose(context)
    (verdict,) = verdicts(context)
    assert verdict.decision == ("confirm" if better == "new" else "refute")
    assert verdict.n <= 2 * BLOCK


@pytest.mark.parametrize("error", [BudgetExceeded, PlanUsed])
@pytest.mark.parametrize("ceiling", range(0, 61, 7))
async def test_at_a_ceiling_whole_blocks_decide_and_without_one_nothing_is_claimed(
    ceiling: int, error: type[BudgetExceeded]
) -> None:
    context = Validation(even, 40, ceiling=ceiling, error=error)
    winner(context, gain=0.1)
    returned = await Confirm[Named]().choose(context)
    blocks = ceiling // (2 * BLOCK)
    if not blocks:
        assert returned is context.population.start, "nothing that the search did not see speaks for it"
        assert verdicts(context) == []
        return
    (verdict,) = verdicts(context)
    assert verdict.n == blocks * BLOCK


@pytest.mark.parametrize("planned", [0, 1, 2, 19, 20, 45, 60, 200])
async def test_the_last_block_has_the_rows_that_the_plan_surely_allows(planned: int) -> None:
    context = Validation(even, 40, planned=planned)
    winner(context, gain=0.1)
    await Confirm[Named]().choose(context)
    rows = min(40, planned // 2)
    assert context.spent == 2 * rows
    assert [each.n for each in verdicts(context)] == [rows] * (rows > 0)


async def test_rows_that_one_side_was_run_on_already_take_the_other_side_alone() -> None:
    context = Validation(even, 40, planned=25)
    winner(context, gain=0.1)
    await context.run(context.population.start.program, context.validation[:15], "val")
    context.settle()
    await Confirm[Named]().choose(context)
    assert [each.n for each in verdicts(context)] == [10], "the ten calls that are left pay for ten rows of the winner"


async def test_half_of_what_the_search_believes_counts_and_along_the_whole_lineage() -> None:
    found: list[float] = []
    for gains in ((0.2,), (0.1, 0.1), (0.3, -0.1)):
        context = Validation(lambda program, row: float(row % 2), 1)
        parent = context.population.start
        for number, gain in enumerate(gains):
            parent = Candidate(f"p{number}", Named(f"c{number}"), parent, Arm(kind="k"), Belief(gain, 0.05))
            context.population.add(parent)
        context.population.incumbent = parent
        await Confirm[Named]().choose(context)
        found.append(verdicts(context)[0].gain)
    assert found == pytest.approx([found[0]] * 3)
    assert 0 < found[0] < BELIEVED * 0.2, "one row on which both are alike draws it towards nothing"


async def test_rows_that_were_run_before_are_not_paid_for_again() -> None:
    context = Validation(even, 20)
    winner(context, gain=0.1)
    await context.run(context.population.start.program, context.validation[:15], "val")
    context.settle()
    await Confirm[Named]().choose(context)
    assert context.spent == 2 * 20


async def test_as_adopted_runs_nothing_and_returns_the_incumbent() -> None:
    context = Validation(even, 20)
    found = winner(context)
    assert await AsAdopted[Named]().choose(context) is found
    assert (context.spent, context.events, AsAdopted[Named]().room(500, 40, 1)) == (0, [], 0.0)


@given(rows=st.integers(0, 500), calls=st.integers(0, 5000))
def test_validation_joins_where_it_is_small_or_little_is_planned(rows: int, calls: int) -> None:
    assert few(rows, calls) == (rows < FEW_ROWS or calls < FEW_CALLS)


@given(calls=st.integers(1, 5000), rows=st.integers(0, 500), each=st.integers(1, 5))
def test_what_is_set_aside_is_at_most_a_share_and_never_more_than_all_rows_take(
    calls: int, rows: int, each: int
) -> None:
    confirm = Confirm[Named]()
    room = confirm.room(calls, rows, each)
    assert 0 <= room <= confirm.share * calls
    assert room <= 2.5 * rows * each
