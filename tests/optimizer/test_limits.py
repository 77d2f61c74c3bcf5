"""What no program may pass and what nothing may change, in whole runs; and the front that a run leaves."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from proposer_help import task_of
from search_help import searching

import flowbot.optimizer.search as searched
from flowbot.fields import UserError
from flowbot.optimizer.admission import Admissions, within
from flowbot.optimizer.belief import Belief
from flowbot.optimizer.demands import frozen
from flowbot.optimizer.methods import PoolMethod
from flowbot.optimizer.objective import Limits
from flowbot.optimizer.parameters.settings import Settings, samples
from flowbot.optimizer.progress import ProgressEvent
from flowbot.optimizer.run import optimize_async, planned
from flowbot.optimizer.seams import Focus, Option, Pick, Proposal
from flowbot.optimizer.search import Search
from flowbot.optimizer.structure.catalogue_changes import CatalogueChanges
from flowbot.report.commands import again
from flowbot.report.report import render
from flowbot.run.comparisons import compare
from flowbot.run.events import Arm, Noted, Started, Verdict
from flowbot.run.events import Proposal as Proposed
from flowbot.run.journal import read_events
from flowbot.run.result import RunResult
from flowbot.run.view import read_run
from flowbot.runtime.program import WorkflowProgram
from flowbot.task import Task
from flowbot.workflow.nodes import node_at, walk
from flowbot.workflow.workflow import Workflow

TWO_STEPS = Workflow.from_data(
    {
        "flowbot": 1,
        "inputs": {"note": "str"},
        "outputs": {"total": "answer.total"},
        "nodes": {
            "list": {"kind": "llm", "in": {"note": "note"}, "out": {"items": "str"}},
            "answer": {"kind": "llm", "in": {"note": "note", "items": "list.items"}, "out": {"total": "int"}},
        },
        "parameters": {
            "list": {"instruction": "List what is ordered."},
            "answer": {"instruction": "Count how many items the customer orders in all."},
        },
    }
)


@pytest.fixture
def few(orders: Task) -> Task:
    return replace(orders, splits={split: rows[:12] for split, rows in orders.splits.items()})


async def run(task: Task, folder: Path, name: str = "run", **given: Any) -> RunResult:
    options: dict[str, Any] = {"lm": "fake/counter?latency=0.001", "effort": 120, "meta_mode": "small", **given}
    return await optimize_async(task, run_dir=folder / name, cache_dir=folder / "cache", **options)


def events_of(result: RunResult, kind: type[Any]) -> list[Any]:
    return [each for each in read_events(result.run_dir / "journal.jsonl") if isinstance(each, kind)]


def ran(monkeypatch: pytest.MonkeyPatch) -> list[Workflow]:
    """Every workflow that a search runs from now on."""
    seen: list[Workflow] = []
    evaluate = searched.evaluate

    async def noted(engine: Any, workflow: Workflow, *given: Any, **named: Any) -> Any:
        seen.append(workflow)
        return await evaluate(engine, workflow, *given, **named)

    monkeypatch.setattr(searched, "evaluate", noted)
    return seen


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    calls=st.integers(2, 4) | st.none(),
    nodes=st.integers(2, 3) | st.none(),
    seed=st.integers(0, 99),
    method=st.sampled_from(("random", "flowbot", "paper+none")),
)
def test_no_program_that_passes_a_limit_is_ever_run_nor_one_that_changes_a_frozen_step(
    few: Task, tmp_path_factory: pytest.TempPathFactory, calls: int | None, nodes: int | None, seed: int, method: str
) -> None:
    limits = {"max_calls_per_example": calls, "max_nodes": nodes}
    with pytest.MonkeyPatch.context() as patch:
        seen = ran(patch)
        asyncio.run(
            run(
                few,
                tmp_path_factory.mktemp("limits"),
                start=TWO_STEPS,
                method=method,
                seed=seed,
                effort=60,
                freeze=["list"],
                **limits,
            )
        )
    assert seen
    for workflow in seen:
        assert calls is None or WorkflowProgram(workflow).most_calls <= calls
        assert nodes is None or len(list(walk(workflow.sketch))) <= nodes
        assert workflow.sketch.nodes["list"] == TWO_STEPS.sketch.nodes["list"].model_copy(update={"frozen": True})
        assert workflow.parameter("list") == TWO_STEPS.parameter("list")


@pytest.mark.parametrize(
    "method", ["none+blame", "none+layerwise", "none+autodiff", "none+textgrad", "flowbot+autodiff"]
)
async def test_no_inner_loop_changes_a_frozen_step(
    few: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    seen = ran(monkeypatch)
    result = await run(few, tmp_path, start=TWO_STEPS, method=method, freeze=["list"], effort=60)
    assert {json.dumps(each.parameter("list").model_dump(mode="json")) for each in seen} == {
        json.dumps(TWO_STEPS.parameter("list").model_dump(mode="json"))
    }
    assert result.workflow.sketch.nodes["list"].frozen
    assert "--start" in again(read_run(result.run_dir)), "what makes it again begins at the frozen step"


LOOP: dict[str, Any] = {
    "flowbot": 1,
    "inputs": {"q": "str"},
    "outputs": {"a": "refine.a"},
    "nodes": {
        "refine": {
            "kind": "loop",
            "max": 3,
            "until": {"ref": "critic.ok", "op": "==", "value": True},
            "carry": {"a": {"type": "str", "start": "q", "next": "revise.a"}},
            "nodes": {
                "revise": {"kind": "llm", "in": {"a": "a"}, "out": {"a": "str"}},
                "critic": {"kind": "llm", "in": {"a": "revise.a"}, "out": {"ok": "bool"}},
            },
        }
    },
}


def test_a_step_in_a_body_is_frozen_alone_and_one_that_is_none_is_named_with_the_nearest() -> None:
    flow = Workflow.from_data(LOOP)
    inner = frozen(flow, ["refine/critic"])
    assert [path for path, node in walk(inner.sketch) if node.frozen] == ["refine/critic"]
    assert node_at(inner.sketch, "refine/revise") == node_at(flow.sketch, "refine/revise")
    assert Workflow.from_data(inner.dump()).hash == inner.hash
    assert frozen(flow, []).hash == flow.hash
    with pytest.raises(UserError, match=r"freeze: found 'refine/critik'; expected .*did you mean 'refine/critic'"):
        frozen(flow, ["refine/critik"])


def test_limits_count_every_way_and_step_and_say_which_was_passed() -> None:
    loop = WorkflowProgram(Workflow.from_data(LOOP))
    for limits, said in (
        (
            Limits(max_calls_per_example=5),
            "up to 6 model calls an example, more than the 5 that `max_calls_per_example`",
        ),
        (Limits(max_nodes=2), "3 steps, more than the 2 that `max_nodes` allows"),
        (Limits(6, 3), ""),
        (Limits(), ""),
    ):
        assert limits.fault(loop).startswith(said)
        assert bool(limits.fault(loop)) is bool(said)
    assert Limits(1, 1).fault("no workflow") == ""


SAMPLED = Workflow.from_data(
    {
        "flowbot": 1,
        "inputs": {"q": "str"},
        "outputs": {"a": "vote.a"},
        "nodes": {
            "answer": {"kind": "llm", "in": {"q": "q"}, "out": {"a": "int"}},
            "vote": {"kind": "merge", "how": "vote", "in": ["answer.a"], "out": {"a": "int"}},
        },
    }
)


async def test_what_would_surely_pass_a_limit_is_not_offered_and_what_a_strategy_hands_in_all_the_same_has_its_fault(
    tmp_path: Path,
) -> None:
    task = task_of([{"q": f"q{row}", "a": "x"} for row in range(3)])

    def kinds(search: Search, proposer: Any) -> dict[str, Any]:
        return {each.arm.kind: each for each in proposer.options(search.population.start, search)}

    async with searching(task, SAMPLED, lambda request: "x", tmp_path) as search:
        free, more = kinds(search, CatalogueChanges()), kinds(search, Settings(samples))["samples"].most
    with_limit = Limits(max_calls_per_example=3, max_nodes=2)
    async with searching(task, SAMPLED, lambda request: "x", tmp_path / "..", limits=with_limit) as search:
        held = kinds(search, CatalogueChanges())
        assert (more, kinds(search, Settings(samples))["samples"].most) == (2, 1)
        assert set(held) < set(free)
        large = WorkflowProgram(Workflow.from_data({**LOOP}))
        proposal = within(search, Proposal(large, "a loop", "meta", faults=("before",)))
        assert proposal.program is None
        assert proposal.faults[0] == "before"
        assert "up to 6 model calls" in proposal.faults[1]
        start = Proposal(search.start, "the start", "meta")
        assert within(search, start) is start


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"max_calls_per_example": 1}, "start: found up to 2 model calls an example, more than the 1 that"),
        ({"max_nodes": 1}, "start: found 2 steps, more than the 1 that"),
        ({"max_nodes": True}, "max_nodes: found True; expected a whole number above 0"),
        ({"max_calls_per_example": 2.5}, "max_calls_per_example: found 2.5; expected a whole number above 0"),
        ({"max_latency": 0}, "max_latency: found 0; expected a number of seconds above 0"),
        ({"max_latency": float("nan")}, "max_latency: found nan"),
        ({"freeze": "list"}, "freeze: found 'list'; expected a list of names"),
        ({"freeze": ["lst"]}, "freeze: found 'lst'; expected a step of the start, one of list, answer"),
        ({"objective": "cheap"}, "objective: found 'cheap'"),
        ({"objective": "cost", "method": "none+autodiff"}, "objective: found cost with method none.autodiff"),
        (
            {"objective": {"usd": 1}, "lm": "openai/nobody-knows"},
            "no known price of openai/nobody-knows; give it by --price",
        ),
    ],
)
async def test_what_cannot_be_is_one_error_before_anything_is_paid_for(
    few: Task, tmp_path: Path, given: dict[str, Any], said: str
) -> None:
    options: dict[str, Any] = {"lm": "fake/counter", **given}
    with pytest.raises(UserError, match=said):
        async with planned(few, start=TWO_STEPS, cache_dir=tmp_path, **options):
            pass


async def test_a_price_of_the_users_own_serves_weights_and_a_free_model_needs_none(few: Task, tmp_path: Path) -> None:
    own: dict[str, Any]
    for own in ({"lm": "openai/nobody-knows", "price": (1.0, 2.0)}, {"lm": "fake/counter"}):
        said: list[ProgressEvent] = []
        async with planned(few, cache_dir=tmp_path, objective={"usd": 1.0}, progress=said.append, **own) as plan:
            assert plan.objective.name == "score=1,usd=1"
        assert any("decides nothing" in each.text for each in said) == ("price" not in own)


async def test_the_objective_of_score_is_what_there_was_before_and_each_other_one_is_another_run(
    few: Task, tmp_path: Path
) -> None:
    plain, said = [await run(few, tmp_path, name, **own) for name, own in (("a", {}), ("b", {"objective": "score"}))]
    journals = [(each.run_dir / "journal.jsonl").read_bytes() for each in (plain, said)]
    assert journals[0] == journals[1]
    assert plain.run_id == said.run_id
    names = {plain.run_id}
    own: dict[str, Any]
    for place, own in enumerate(
        [
            {"objective": "cost"},
            {"objective": "cost", "price": {"fake/counter": (1.0, 2.0)}},
            {"objective": "score=1,tokens=0.01"},
            {"max_nodes": 4},
            {"max_calls_per_example": 4},
            {"max_latency": 9.0},
            {"freeze": ["answer"]},
        ]
    ):
        result = await run(few, tmp_path, f"c{place}", method="none+none", **own)
        (started,) = events_of(result, Started)
        limits = {name: value for name, value in own.items() if name.startswith("max_")}
        assert dict(started.limits) == limits == dict(RunResult.load(result.run_dir).limits)
        assert started.objective == own.get("objective", "score") == result.objective
        command = again(read_run(result.run_dir))
        assert all(f"--{name.replace('_', '-')} {value:g}" in command for name, value in limits.items())
        assert ("--objective" in command) == ("objective" in own)
        assert ("--price fake/counter=1,2" in command) == ("price" in own)
        names.add(result.run_id)
    assert len(names) == 8


async def test_where_ten_tokens_are_worth_a_whole_score_no_run_ends_with_more_of_them(
    few: Task, tmp_path: Path
) -> None:
    result = await run(few, tmp_path, objective="score=1,tokens=100", effort=300, method="random")
    took = {each.program: each.tokens for each in read_run(result.run_dir).ran}
    assert len(took) > 3
    assert took[result.workflow.hash] < took[result.start.hash] + 10


async def test_what_waits_too_long_is_dropped_by_stored_seconds_and_a_slow_start_is_told_of(
    few: Task, tmp_path: Path
) -> None:
    slow: dict[str, Any] = {"lm": "fake/counter?latency=0.02&clock=virtual", "effort": 300, "method": "random"}
    limited = await run(few, tmp_path, "limited", **slow, max_latency=0.025)
    decided = {each.decision for each in events_of(limited, Verdict) if each.rule == "latency"}
    assert "drop" in decided
    assert not decided & {"adopt", "confirm"}
    took = {each.program: each.seconds for each in read_run(limited.run_dir).ran}
    assert max(took.values()) > 0.025 >= took[limited.workflow.hash]
    strict = await run(few, tmp_path, "strict", **slow, max_latency=0.001)
    told = [each.text for each in events_of(strict, Noted) if each.about == "start"]
    assert len(told) == 1
    assert "longer than max_latency allows" in told[0]


async def test_the_front_stands_in_result_file_page_and_comparison_each_with_its_workflow(
    few: Task, tmp_path: Path
) -> None:
    result = await run(few, tmp_path, effort=300, method="random")
    assert result.front
    stored = json.loads((result.run_dir / "result.json").read_text())
    assert [each["program"] for each in stored["front"]] == [each.program for each in result.front]
    assert set(stored["front"][0]) == {
        "program", "title", "role", "score", "calls", "tokens", "usd", "seconds", "workflow"
    }  # fmt: skip
    loaded = RunResult.load(result.run_dir)
    assert loaded.front == result.front == read_run(result.run_dir).front
    for each, line in zip(loaded.front, stored["front"], strict=True):
        assert loaded.workflow_of(each).hash == each.program == Workflow.load(line["workflow"]).hash
    page = render(read_run(result.run_dir))
    assert 'id="front"' in page
    assert page.count('class="diamond"') == 2 * sum(each.role == "tried" for each in result.front)
    old = result.run_dir / "front" / f"{'0' * 12}.flow.yaml"
    old.write_text("of an earlier course")
    await run(few, tmp_path, effort=300, method="random")
    assert {each.file(result.run_dir) for each in result.front} == set(old.parent.iterdir())
    other = await run(few, tmp_path, "other", effort=40, seed=1)
    dumped: Sequence[Any] = compare(result.run_dir, other.run_dir).dump()["runs"]
    assert [each["program"] for each in dumped[0]["front"]] == [each.program for each in result.front]


async def test_a_proposal_beyond_a_limit_is_told_of_in_the_journal(few: Task, tmp_path: Path) -> None:
    class Large:
        def options(self, parent: Any, context: Any) -> Any:
            return [Option(Arm(kind="large"), f"large {parent.program.hash}", "more steps", Belief(0.1, 0.1))]

        async def propose(self, parent: Any, focus: Any, want: int, context: Any) -> Any:
            return [Proposal(WorkflowProgram(TWO_STEPS), "two steps", "prior")]

        def learn(self, outcomes: Any) -> None:
            """Nothing."""

    method = PoolMethod("large", proposers=lambda: [Large()], critic=None)
    result = await run(few, tmp_path, method=method, max_nodes=1, effort=40)
    (made,) = events_of(result, Proposed)
    assert made.program is None
    assert made.faults == ("2 steps, more than the 1 that `max_nodes` allows",)
    assert result.unchanged


class Fixed:
    """A search of one try, which is returned whatever it scores: one more step than the start."""

    name = "fixed"

    def __init__(self) -> None:
        self.made: list[Any] = []

    def calls(self, sizes: Any) -> Any:
        return {"train": 100}

    def loop(self, sizes: Any) -> Any:
        return self

    def opening(self, context: Any) -> Sequence[str]:
        return context.rows

    async def search(self, context: Any) -> str:
        option = Option(Arm(kind="large"), "large", "more steps", Belief(0.1, 0.1))
        pick = Pick(context.population.start, cast("Any", None), Focus(option, 0, option.prior, option.prior))
        proposal = Proposal(WorkflowProgram(TWO_STEPS), "two steps", "prior")
        self.made.append(Admissions().admitted(context, pick, proposal))
        for each in filter(None, self.made):
            await context.run(each.program, context.rows, "train")
        return "it was tried"

    async def choose(self, context: Any) -> Any:
        return self.made[0] or context.population.start


async def test_a_loop_that_takes_what_is_proposed_is_held_to_the_limits_and_what_it_returns_to_that_of_latency(
    few: Task, tmp_path: Path
) -> None:
    slow: dict[str, Any] = {"lm": "fake/counter?latency=0.02&clock=virtual"}
    free = await run(few, tmp_path, "free", method=Fixed(), **slow)
    assert free.workflow.hash == TWO_STEPS.hash
    small = Fixed()
    held = await run(few, tmp_path, "held", method=small, max_nodes=1, **slow)
    assert small.made == [None]
    (made,) = events_of(held, Proposed)
    assert made.faults == ("2 steps, more than the 1 that `max_nodes` allows",)
    quick = await run(few, tmp_path, "quick", method=Fixed(), max_latency=0.03, **slow)
    assert quick.unchanged
    told = [each.text for each in events_of(quick, Noted) if each.about == "left out"]
    assert told == ["It takes longer than max_latency allows, as seen at last: two steps"]
