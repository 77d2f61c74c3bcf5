"""The plan of a search is hard: replies that must be asked for again do not take it beyond its estimate, whatever the method."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from search_help import searching

import flowbot as fb
from flowbot.fields import BudgetExceeded
from flowbot.lm.client import Request
from flowbot.optimizer.estimate import estimate, sizes_of
from flowbot.optimizer.methods import find_method
from flowbot.optimizer.packages.gepa import Gepa
from flowbot.optimizer.packages.mipro import Mipro
from flowbot.optimizer.packages.tuning import PackageLoop
from flowbot.optimizer.recipes import OwnProtocol
from flowbot.optimizer.run import optimize_async
from flowbot.optimizer.seams import PlanUsed
from flowbot.run.events import CutShort, Measured
from flowbot.run.journal import read_events
from flowbot.runtime.together import all_of
from flowbot.task import Task
from flowbot.testing.fake_behaviours import BEHAVIOURS, ReplyContent, counter
from flowbot.workflow.starts import single_call
from flowbot.workflow.workflow import Workflow

METHODS = (
    "flowbot", "random", "flowbot+layerwise", "none+none", "paper", "paper+blame", "none+layerwise", "none+autodiff",
    "flowbot+autodiff", "none+textgrad", "paper+textgrad", "aflow", "aflow+blame",
    "autoflow", "autoflow-words+blame",
)  # fmt: skip
UNREADABLE = "I would rather not say."


def asked_again(request: Request) -> bool:
    return any(message.content.startswith("That reply is of no use") for message in request.messages)


def stammers(request: Request, key: str) -> ReplyContent:
    """Counts; but each question has to be asked twice."""
    if asked_again(request):
        return counter(request, key)
    return UNREADABLE if request.schema else ""


@pytest.fixture
def small(orders: Task, monkeypatch: pytest.MonkeyPatch) -> Task:
    """A dozen examples in every split, and `fake/stammers`."""
    monkeypatch.setitem(BEHAVIOURS, "stammers", stammers)
    return replace(orders, splits={split: rows[:12] for split, rows in orders.splits.items()})


async def run(task: Task, folder: Path, **given: Any) -> fb.RunResult:
    options = {"lm": "fake/stammers", "run_dir": folder / "run", "cache_dir": folder / "cache", **given}
    return await optimize_async(task, **options)


def searched(result: fb.RunResult) -> int:
    """Logical calls of the search: all but those of the closing test."""
    return sum(calls for purpose, calls in result.calls.items() if purpose != "test")


@pytest.mark.parametrize("effort", [10, 37, 120])
@pytest.mark.parametrize("method", METHODS)
async def test_the_estimate_holds_where_every_second_reply_is_unreadable(
    small: Task, tmp_path: Path, method: str, effort: int
) -> None:
    start = single_call(small.inputs, small.outputs, small.goal, reasoning=True)
    planned = estimate(small, lm="fake/stammers", method=method, effort=effort, start=start)
    result = await run(small, tmp_path, method=method, effort=effort, start=start)
    assert result.status == "done"
    assert result.stopped_by == "finished", "what was planned is no ceiling of the user's"
    assert searched(result) <= planned.calls - planned.by_purpose["test"]
    assert result.final_scores.test is not None
    assert result.final_scores.test.n == 12, "the closing test is no part of the plan"
    if method == "none+none":
        assert result.final_scores.val is not None
        assert result.final_scores.val.n == 12


@pytest.mark.parametrize(
    ("method", "effort"),
    [("flowbot", 92), ("flowbot", 100), ("flowbot", 106), ("random", 37), ("none+textgrad", 83), ("aflow+blame", 83)],
)
async def test_a_run_that_met_the_plan_in_mid_block_replays_and_says_the_same(
    small: Task, tmp_path: Path, method: str, effort: int
) -> None:
    first, again = [await run(small, tmp_path, method=method, effort=effort) for _ in range(2)]
    assert any(isinstance(each, CutShort) for each in read_events(tmp_path / "run" / "journal.jsonl"))
    assert first.stopped_because == "the planned calls are used"
    assert again.now.calls == 0, "the journal says which calls of a block that was cut short were made"
    assert again.replayed_events == len(read_events(tmp_path / "run" / "journal.jsonl"))
    same = ("workflow", "scores", "calls", "nodes", "kept_from", "tested", "stopped_because")
    assert {key: again.to_json()[key] for key in same} == {key: first.to_json()[key] for key in same}


async def test_latency_does_not_decide_what_the_plan_cuts_short(small: Task, tmp_path: Path) -> None:
    runs = [
        await run(small, tmp_path / str(number), effort=101, lm=f"fake/stammers?latency={latency}&seed=3")
        for number, latency in enumerate((0, 2))
    ]
    journals = [
        [
            each.model_copy(update={"seconds": 0.0})
            if isinstance(each, Measured)
            else each.model_copy(
                update={"calls": ()}
            )  # keys of one model's calls, and which of them were made is chance
            if isinstance(each, CutShort)
            else each
            for each in read_events(one.run_dir / "journal.jsonl")[1:]
        ]
        for one in runs
    ]
    assert journals[0] == journals[1]


async def test_a_call_more_than_was_planned_is_refused_and_what_it_was_part_of_is_forgotten(
    small: Task, tmp_path: Path
) -> None:
    start = single_call(small.inputs, small.outputs, small.goal, reasoning=True)
    async with searching(small, start, lambda request: stammers(request, ""), tmp_path, planned=9) as search:
        await search.run(search.start, search.training[:3], "train")
        search.settle()
        assert (search.spent, search.left) == (6, 3)
        with pytest.raises(PlanUsed) as met:
            await search.run(search.start, search.training[3:6], "train")
        assert isinstance(met.value, BudgetExceeded)
        search.settle()
        assert len(search.recorded(search.start, search.training)) == 3
        assert search.spent == 6, "how many of the calls of a block that was cut short were made is chance"
        assert search.left == 0, "and they are not there twice"
        assert sum(search.session.ledger.calls.values()) <= 9


async def test_calls_that_were_let_through_are_made_though_one_more_beside_them_is_refused(
    small: Task, tmp_path: Path
) -> None:
    start = single_call(small.inputs, small.outputs, small.goal, reasoning=True)
    async with searching(small, start, lambda request: "Because.", tmp_path, planned=2) as search:
        with pytest.raises(PlanUsed):
            await all_of(search.ask_text(f"Question {number}?", "gradients") for number in range(3))
        assert sum(search.session.ledger.calls.values()) == 2


async def test_what_is_set_aside_is_left_when_the_rest_is_used(small: Task, tmp_path: Path) -> None:
    start = single_call(small.inputs, small.outputs, small.goal, reasoning=True)
    async with searching(small, start, lambda request: counter(request, ""), tmp_path, planned=9) as search:
        with search.set_aside(4), pytest.raises(PlanUsed):
            await search.run(search.start, search.training[:6], "train")
        search.settle()
        assert search.left == 4
        await search.run(search.start, search.validation[:4], "val")
        search.settle()
        assert search.left == 0
        search.end_plan()
        await search.run(search.start, [each.id for each in search.order("test")], "test")


async def test_a_question_to_the_meta_model_that_meets_the_plan_is_refused_too(small: Task, tmp_path: Path) -> None:
    start = single_call(small.inputs, small.outputs, small.goal, reasoning=True)
    async with searching(small, start, lambda request: stammers(request, ""), tmp_path, planned=3) as search:
        assert await search.ask_text("What is wrong?", "gradients") != ""
        search.settle()
        with pytest.raises(PlanUsed):
            await search.ask_text("And what else?", "gradients")
        assert await search.ask_text("What is wrong?", "gradients") != "", "what was asked before takes no call"


@pytest.mark.parametrize(
    "method",
    [*METHODS, OwnProtocol("gepa", partial(PackageLoop, Gepa())), OwnProtocol("mipro", partial(PackageLoop, Mipro()))],
)
async def test_a_start_that_takes_no_call_is_begun_with_as_any_other(small: Task, tmp_path: Path, method: Any) -> None:
    (name,) = (field.name for field in small.inputs)
    data = {
        "flowbot": 1, "inputs": {name: "str"}, "outputs": {"total": "count.total"},
        "nodes": {"count": {"kind": "code", "in": {name: name}, "out": {"total": "int"}}},
        "parameters": {"count": {"code": f"def run({name}):\n    return {{'total': 1}}"}},
    }  # fmt: skip
    async with searching(small, Workflow.from_data(data), lambda request: "", tmp_path, planned=30) as search:
        loop = find_method(method).loop(sizes_of(small, search.start.workflow, 30))
        rows = loop.opening(search)
        await search.run(search.start, rows, "train")
    assert rows
    assert search.spent == 0
