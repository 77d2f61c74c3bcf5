"""The course of a run at its ceilings: what is set aside for the test passes from hand to hand, and what is found is tested if it can be."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

import flowbot as fb
from flowbot.fields import Usage
from flowbot.lm.budget import Reservation
from flowbot.optimizer.belief import Belief
from flowbot.optimizer.ceilings import FEWEST
from flowbot.optimizer.methods import Sizes
from flowbot.optimizer.population import Candidate
from flowbot.optimizer.progress import ProgressEvent
from flowbot.optimizer.run import optimize_async
from flowbot.optimizer.seams import Context
from flowbot.run.events import Arm, Measured, Noted
from flowbot.run.journal import read_events
from flowbot.runtime.program import WorkflowProgram
from flowbot.runtime.workbench import Workbench
from flowbot.task import Task
from flowbot.workflow.edits.applying import applied
from flowbot.workflow.edits.patterns import Ensemble
from flowbot.workflow.starts import single_call

CALL = Usage(calls=1)
OPENING = 6
Program = WorkflowProgram
Searched = Callable[[Context[Program]], Any]


@dataclass
class Scripted:
    """A method whose search finds `found` and whose choice is that, whatever the scores are; `during` happens in the search."""

    found: Program | None = None
    seen: int = 10
    during: Searched | None = None
    planned: int = 1000
    name: str = "scripted"
    contexts: list[Any] = field(default_factory=list[Any])

    def calls(self, sizes: Sizes) -> Mapping[str, int]:
        return {"train": self.planned}

    def loop(self, sizes: Sizes) -> Scripted:
        return self

    def opening(self, context: Context[Program]) -> Sequence[str]:
        return context.rows[:OPENING]

    async def search(self, context: Context[Program]) -> str:
        self.contexts.append(context)
        if self.during is not None:
            await self.during(context)
        if self.found is not None:
            population = context.population
            each = Candidate("p1", self.found, population.start, Arm(kind="vote"), Belief(0.1, 0.05), title="vote")
            population.add(each)
            await context.run(self.found, context.rows[: self.seen], "train")
            population.close(each, "adopted")
            population.incumbent = each
        return "it is found"

    async def choose(self, context: Context[Program]) -> Candidate[Program]:
        return context.population.incumbent


@pytest.fixture
def small(orders: Task) -> Task:
    """24 examples in every split."""
    return replace(orders, splits={split: rows[:24] for split, rows in orders.splits.items()})


def start_of(task: Task) -> fb.Workflow:
    return single_call(task.inputs, task.outputs, task.goal, reasoning=True)


def voted(task: Task, samples: int = 3) -> Program:
    """The start asked several times: so many calls an example."""
    return Program(applied(start_of(task), [Ensemble(id="answer", samples=samples, temperature=0.7)]).after)


async def run(task: Task, folder: Path, **given: Any) -> fb.RunResult:
    return await optimize_async(
        task, **{"lm": "fake/counter", "run_dir": folder / "run", "start": start_of(task), **given}
    )


@pytest.mark.parametrize("calls", [84, 90, 100, 110, 130])
async def test_what_is_found_is_tested_wherever_its_test_fits_into_what_is_left(
    small: Task, tmp_path: Path, calls: int
) -> None:
    """Six rows of the start and ten of the found one, three calls each, are paid for: the rest is for the test, four calls a row."""
    news: list[str] = []
    budget = fb.Budget(calls=calls)
    result = await run(
        small, tmp_path, cache_dir=tmp_path, method=Scripted(voted(small)), budget=budget,
        progress=lambda event: news.append(event.text),
    )  # fmt: skip
    left = (calls - OPENING - 30) // 4
    assert not [line for line in news if line.startswith("Left out")]
    assert result.workflow.hash == voted(small).hash
    assert min(left, 24) // 8 * 8 <= result.tested.run <= min(left, 24)
    assert budget.used["calls"] <= calls


@pytest.mark.parametrize(("calls", "fits"), [(100, False), (119, False), (120, True)])
async def test_what_no_test_fits_for_is_left_out_and_said(
    small: Task, tmp_path: Path, calls: int, *, fits: bool
) -> None:
    """Nine calls a row of the test, and thirty are spent before it."""
    news: list[str] = []
    found = voted(small, 8)
    result = await run(
        small, tmp_path, cache_dir=tmp_path, method=Scripted(found, seen=3), budget=fb.Budget(calls=calls),
        progress=lambda event: news.append(event.text),
    )  # fmt: skip
    assert ("Left out, since a ceiling leaves no room to test it: vote" in news) is not fits
    assert result.workflow.hash == (found.hash if fits else result.start.hash)
    assert (result.stopped_by == "budget") == (result.tested.run < 24 or not fits)
    assert result.tested.run >= (8 if fits else 24)


async def test_a_run_keeps_the_room_for_its_test_when_others_wait_for_the_budget_that_they_share(
    small: Task, tmp_path: Path
) -> None:
    """When the start's rows are in, the room that was held by an estimate is exchanged for one by the replies seen: a rival that
    takes all that is free, and waits for more, gets none of it."""
    whole = fb.Budget(calls=80)
    held: list[Reservation] = []
    waiting: list[asyncio.Task[Reservation]] = []

    def crowd(event: ProgressEvent) -> None:
        if event.phase == "start" and event.done == OPENING and not waiting:
            while (taken := whole.try_reserve(CALL)) is not None:
                held.append(taken)
            waiting.extend(asyncio.ensure_future(whole.reserve(CALL)) for _ in range(80))

    seen: list[tuple[int, int]] = []

    async def leave(context: Context[Program]) -> None:
        for _ in range(20):
            await asyncio.sleep(0)
        seen.append((len(held), sum(each.done() for each in waiting)))
        for each in waiting:
            each.cancel()
        for each in held:
            each.cancel()

    async with Workbench(cache_dir=tmp_path, budget=whole) as bench:
        result = await run(small, tmp_path, method=Scripted(during=leave), workbench=bench, progress=crowd)
    assert seen == [(54, 2 * FEWEST % 3)], (
        "54 were free; of the twenty that were held whole rows of three calls are held again"
    )
    assert result.status == "done"
    assert result.tested.run >= FEWEST


async def test_the_room_for_the_test_is_free_for_it_when_the_search_has_met_the_ceiling(
    small: Task, tmp_path: Path
) -> None:
    async def greedy(context: Context[Program]) -> None:
        for samples in range(2, 12):
            await context.run(voted(small, samples), context.rows, "train")

    budget = fb.Budget(calls=120)
    result = await run(small, tmp_path, cache_dir=tmp_path, method=Scripted(during=greedy), budget=budget)
    assert (result.status, result.stopped_by) == ("done", "budget")
    assert result.stopped_because == "the ceiling of calls is reached"
    assert result.tested.run >= FEWEST
    assert budget.used["calls"] <= 120


async def test_a_loop_of_ones_own_that_passes_its_plan_ends_finished_and_says_why(small: Task, tmp_path: Path) -> None:
    async def greedy(context: Context[Program]) -> None:
        for samples in range(2, 12):
            await context.run(voted(small, samples), context.rows, "train")
            context.settle()

    method = Scripted(during=greedy, planned=100)
    result = await run(small, tmp_path, cache_dir=tmp_path, method=method)
    assert (result.stopped_by, result.stopped_because) == ("finished", "the planned calls are used")
    assert sum(calls for purpose, calls in result.calls.items() if purpose != "test") <= 100
    assert result.tested.run == 24
    (stopped,) = [
        each
        for each in read_events(tmp_path / "run" / "journal.jsonl")
        if isinstance(each, Noted) and each.about == "stopped"
    ]
    assert stopped.text == "the planned calls are used"
    assert stopped.spent == OPENING + 24 * 3, (
        "two samples and a third; of the fourth, which was cut short, nothing counts"
    )


@pytest.mark.parametrize("planned", [0, OPENING - 1])
async def test_a_plan_that_is_too_small_for_the_starts_rows_ends_with_a_test_all_the_same(
    small: Task, tmp_path: Path, planned: int
) -> None:
    result = await run(small, tmp_path, cache_dir=tmp_path, method=Scripted(planned=planned))
    assert result.status == "done"
    assert result.calls == {"test": 24} or result.calls["train"] <= planned
    assert result.tested.run == 24


async def test_what_is_searched_and_what_is_tested_are_counted_apart(small: Task, tmp_path: Path) -> None:
    method = Scripted(voted(small), planned=OPENING + 30)
    result = await run(small, tmp_path, cache_dir=tmp_path, method=method)
    assert result.calls == {"train": OPENING + 30, "test": 24 * 4}
    (context,) = method.contexts
    assert context.left == -24 * 4, "the plan is over when the test begins"


@dataclass
class Greedy(Scripted):
    """Its choice runs the start on some validation rows, and then something dear on all of them."""

    async def choose(self, context: Context[Program]) -> Candidate[Program]:
        await context.run(context.population.start.program, context.validation[:10], "val")
        assert self.found is not None
        await context.run(self.found, context.validation, "val")
        return context.population.incumbent


async def test_of_a_choice_that_a_ceiling_cuts_short_nothing_counts(small: Task, tmp_path: Path) -> None:
    method = Greedy(voted(small), seen=3)
    result = await run(small, tmp_path, cache_dir=tmp_path, method=method, budget=fb.Budget(calls=100))
    assert (result.stopped_by, result.workflow.hash) == ("budget", result.start.hash)
    assert (result.start_scores.val, result.final_scores.val) == (None, None)
    journal = read_events(tmp_path / "run" / "journal.jsonl")
    assert not [each for each in journal if isinstance(each, Measured) and each.split == "val"]


async def test_a_choice_that_passes_the_plan_leaves_the_start_and_is_no_ceiling_of_the_users(
    small: Task, tmp_path: Path
) -> None:
    news: list[str] = []
    result = await run(
        small, tmp_path, cache_dir=tmp_path, method=Greedy(voted(small), seen=3, planned=60),
        progress=lambda event: news.append(event.text),
    )  # fmt: skip
    assert (result.stopped_by, result.stopped_because) == ("finished", "it is found")
    assert result.workflow.hash == result.start.hash
    assert (result.start_scores.val, result.tested.run) == (None, 24)
    assert "The planned calls did not allow to choose: the start is returned" in news
