"""A whole optimisation with the fake model: what it finds, that it replays, and that its ceilings hold."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowbot.fields import UserError
from flowbot.lm.budget import Budget
from flowbot.lm.stop import StopSignal
from flowbot.optimizer.estimate import estimate
from flowbot.optimizer.methods import INNERS, OUTERS
from flowbot.optimizer.recipes import INNER
from flowbot.optimizer.run import optimize_async
from flowbot.report.advice import advice
from flowbot.run.events import Feedback, Measured, Noted, Verdict
from flowbot.run.journal import read_events
from flowbot.run.view import read_run
from flowbot.task import Judge, Metric, Task
from flowbot.workflow.calls import usual_calls
from flowbot.workflow.starts import find_start, fit, single_call
from flowbot.workflow.workflow import Workflow

MODEL = "fake/counter"


async def run(task: Task, folder: Path, **given: Any) -> Any:
    options = {"lm": MODEL, "effort": "low", "run_dir": folder / "run", "cache_dir": folder / "cache", **given}
    return await optimize_async(task, **options)


async def test_the_search_finds_the_computing_structure_and_says_where_it_came_from(
    orders: Task, tmp_path: Path
) -> None:
    result = await run(orders, tmp_path, effort="high")  # of seeds 0 to 7 six find it
    assert result.status == "done"
    assert result.difference.test is not None
    assert result.difference.test.low > 0
    assert any("compute the answer in Python" in line for line in result.kept_from)
    assert {node.kind for node in result.workflow.sketch.nodes.values()} >= {"llm", "code"}
    assert Workflow.load(result.workflow_path).hash == result.workflow.hash


async def test_the_same_command_again_replays_without_a_call(orders: Task, tmp_path: Path) -> None:
    first = await run(orders, tmp_path)
    again = await run(orders, tmp_path)
    assert again.now.calls == 0
    assert again.replayed_events > 5
    same = ("workflow", "scores", "calls", "spent", "seconds", "sessions", "nodes", "kept_from")
    assert {key: first.to_json()[key] for key in same} == {key: again.to_json()[key] for key in same}


async def test_another_seed_looks_at_other_examples(orders: Task, tmp_path: Path) -> None:
    one = await run(orders, tmp_path, run_dir=tmp_path / "a")
    other = await run(orders, tmp_path, run_dir=tmp_path / "b", seed=1)
    assert one.run_id != other.run_id
    journals = [(folder / "journal.jsonl").read_text() for folder in (one.run_dir, other.run_dir)]
    assert journals[0] != journals[1]


@pytest.mark.parametrize("inner", INNERS)
@pytest.mark.parametrize("outer", OUTERS)
async def test_every_outer_optimiser_works_with_every_inner_one(
    orders: Task, tmp_path: Path, outer: str, inner: str
) -> None:
    if not all(find_spec(module) for module in INNER[inner].needs):
        pytest.skip(f"{inner} is not installed")
    method = f"{outer}+{inner}"
    small = replace(orders, splits={split: rows[:10] for split, rows in orders.splits.items()})
    result = await run(small, tmp_path, method=method, effort=150)
    assert result.status == "done"
    assert result.method == method
    if method == "none+none":
        assert result.workflow.hash == result.start.hash
        assert result.calls.keys() == {"val", "test"}


async def test_the_paper_protocol_is_one_epoch_of_batches_of_five(orders: Task, tmp_path: Path) -> None:
    small = replace(orders, splits={split: rows[:10] for split, rows in orders.splits.items()})
    result = await run(small, tmp_path, method="paper")
    events = read_events(result.run_dir / "journal.jsonl")
    stopped = next(at for at, each in enumerate(events) if isinstance(each, Noted) and each.about == "stopped")
    validated = [each for each in events[:stopped] if isinstance(each, Measured) and each.split == "val"]
    structure = [each for each in events if isinstance(each, Feedback) and not each.place]
    assert len(validated) == 1 + 2, "the start, and what stands after each batch"
    assert len(structure) == 2 * 2 * 5
    assert {each.rule for each in events if isinstance(each, Verdict)} <= {"always"}


async def test_a_ceiling_ends_the_search_and_the_best_so_far_is_tested(orders: Task, tmp_path: Path) -> None:
    small = replace(orders, splits={split: rows[:10] for split, rows in orders.splits.items()})
    budget = Budget(calls=95)
    result = await run(small, tmp_path, budget=budget)
    assert result.status == "done"
    assert result.stopped_by == "budget"
    assert budget.used["calls"] <= 95
    assert result.final_scores.test is not None


@given(st.integers(30, 220))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_the_ceiling_it_is_never_passed_and_the_run_ends_done(orders: Task, calls: int) -> None:
    small = replace(orders, splits={split: rows[:10] for split, rows in orders.splits.items()})
    budget = Budget(calls=calls)
    with tempfile.TemporaryDirectory() as folder:
        result = asyncio.run(run(small, Path(folder), budget=budget))
    assert result.status == "done"
    assert budget.used["calls"] <= calls
    assert result.difference.test is not None


async def test_a_directory_of_another_run_is_refused(orders: Task, tmp_path: Path) -> None:
    await run(orders, tmp_path)
    with pytest.raises(UserError, match="another run"):
        await run(orders, tmp_path, seed=1)
    anew = await run(orders, tmp_path, seed=1, fresh=True)
    assert anew.status == "done"
    assert (tmp_path / "run.1" / "result.json").exists()


async def test_a_folder_that_is_no_runs_is_not_moved_aside_and_nothing_is_left_in_it(
    orders: Task, tmp_path: Path
) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "letter.txt").write_text("mine")
    with pytest.raises(UserError, match="or another --run-dir"):
        await run(orders, tmp_path, fresh=True)
    assert [each.name for each in (tmp_path / "run").iterdir()] == ["letter.txt"]


async def test_a_meta_model_that_refuses_costs_its_proposals_and_not_the_run(orders: Task, tmp_path: Path) -> None:
    result = await run(orders, tmp_path, meta_lm="fake/counter?refuse=1")
    assert result.status == "done"


@pytest.mark.parametrize(("model", "told"), [("fake/counter?pempty=1", True), ("fake/counter?pempty=0.5", False)])
async def test_a_start_that_answers_nowhere_is_told_and_not_taken_for_one_that_is_wrong(
    orders: Task, tmp_path: Path, model: str, told: bool
) -> None:
    news: list[str] = []
    await run(orders, tmp_path, lm=model, method="none", progress=lambda event: news.append(event.text))
    said = [line for line in news if "gave no answer on any of 16 rows; most often: answer: " in line]
    assert bool(said) == told


async def test_a_ceiling_without_room_for_the_closing_test_is_refused_before_any_call(
    orders: Task, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="closing test"):
        await run(orders, tmp_path, budget=Budget(calls=35))


async def test_a_signal_pauses_and_the_same_command_ends_it(orders: Task, tmp_path: Path) -> None:
    stop = StopSignal()
    undisturbed = await run(orders, tmp_path, run_dir=tmp_path / "u", cache_dir=tmp_path / "u-cache")
    paused = await run(
        orders,
        tmp_path,
        stop=stop,
        progress=lambda event: stop.set() if event.phase == "search" and event.done > 3 else None,
    )
    assert paused.status == "paused"
    assert paused.stopped_by == "signal"
    resumed = await run(orders, tmp_path)
    assert resumed.status == "done"
    assert resumed.to_json()["scores"] == undisturbed.to_json()["scores"]
    assert paused.spent.calls + resumed.now.calls == undisturbed.spent.calls
    assert resumed.spent == undisturbed.spent
    assert [each.status for each in resumed.sessions] == ["paused", "done"]


async def test_a_dead_endpoint_pauses_and_is_never_a_score(orders: Task, tmp_path: Path) -> None:
    result = await run(orders, tmp_path, lm="fake/counter?p500=1")
    assert result.status == "paused"
    assert result.stopped_by == "infrastructure"
    assert "measured" not in (result.run_dir / "journal.jsonl").read_text()


async def test_faults_change_no_score(orders: Task, tmp_path: Path) -> None:
    calm = await run(orders, tmp_path, method="none+none", run_dir=tmp_path / "calm")
    rough = await run(
        orders, tmp_path, method="none+none", run_dir=tmp_path / "rough", lm="fake/counter?p429=0.2&p500=0.1"
    )
    assert rough.status == "done"
    assert rough.to_json()["scores"] == calm.to_json()["scores"]


@pytest.mark.parametrize(
    ("given", "words"),
    [({"method": "allflow"}, "allflow"), ({"effort": "huge"}, "huge"), ({"lm": "nobody/x"}, "nobody")],
)
async def test_wrong_options_are_one_clear_error(
    orders: Task, tmp_path: Path, given: dict[str, Any], words: str
) -> None:
    with pytest.raises(UserError, match=words):
        await run(orders, tmp_path, **given)


async def test_a_metric_that_raises_is_found_before_the_first_call(orders: Task, tmp_path: Path) -> None:
    def broken(example: object, outputs: object) -> float:
        raise RuntimeError("no such column")

    task = Task(
        goal="x", inputs={"note": "str"}, outputs={"total": "int"}, metric=broken,
        train=[{"note": "a", "total": 1}], val=[{"note": "b", "total": 1}], test=[{"note": "c", "total": 1}],
    )  # fmt: skip
    with pytest.raises(UserError, match="no such column"):
        await run(task, tmp_path)


async def test_a_step_with_an_unknown_model_is_found_before_the_first_call(orders: Task, tmp_path: Path) -> None:
    start = single_call(orders.inputs, orders.outputs, orders.goal, reasoning=True)
    told = start.parameter("answer").model_copy(update={"model": "nobody/x"})
    with pytest.raises(UserError, match="nobody"):
        await run(orders, tmp_path, start=start.with_parameter("answer", told))


async def test_a_ceiling_far_away_changes_nothing_even_for_workflows_of_many_calls(
    orders: Task, tmp_path: Path
) -> None:
    nodes: dict[str, Any] = {
        "plan": {"kind": "llm", "in": {"note": "note"}, "out": {"plan": "str"}, "frozen": True},
        "more": {"kind": "llm", "in": {"plan": "plan.plan"}, "out": {"plan": "str"}, "frozen": True},
        "answer": {"kind": "llm", "in": {"note": "note", "plan": "more.plan"}, "out": {"total": "int"}},
    }
    told = {name: {"instruction": orders.goal} for name in nodes}
    start = Workflow.from_data(
        {
            "flowbot": 1,
            "inputs": {"note": "str"},
            "outputs": {"total": "answer.total"},
            "nodes": nodes,
            "parameters": told,
        }
    )
    free = await run(orders, tmp_path / "free", start=start, effort="high")
    bound = await run(orders, tmp_path / "bound", start=start, effort="high", budget=Budget(calls=1_000_000))
    assert bound.workflow.hash == free.workflow.hash
    assert bound.calls == free.calls
    assert bound.stopped_by == "finished"


async def test_far_below_the_plan_something_is_found_validated_and_tested(orders: Task, tmp_path: Path) -> None:
    rows = orders.splits["test"]  # on those of "val" the fake model's lots give the computing step 17 against 15 %
    task = replace(orders, splits={**orders.splits, "val": rows[:40], "test": rows[40:]})
    found = [
        await run(
            task,
            tmp_path,
            run_dir=tmp_path / f"{seed}",
            method="flowbot",
            effort=2000,
            seed=seed,
            budget=Budget(calls=600),
        )
        for seed in range(3)
    ]
    assert {each.stopped_by for each in found} == {"budget"}
    better = [each for each in found if each.workflow.hash != each.start.hash]
    assert better
    for each in better:
        assert each.final_scores.val is not None
        assert each.final_scores.val.n % 10 == 0, "validated in whole blocks"
        assert each.difference.test is not None


METHODS = (
    "flowbot", "random", "none+blame", "flowbot+layerwise", "flowbot+none", "random+none", "none+none", "paper", "paper+none",
    "paper+blame", "none+layerwise", "none+autodiff", "flowbot+autodiff", "none+textgrad", "flowbot+textgrad",
)  # fmt: skip


async def kept_to_its_estimate(task: Task, folder: Path, **given: Any) -> None:
    """A search takes no more than it is estimated at, and most of it unless it says that nothing is left."""
    start = given.pop("start", None) or single_call(task.inputs, task.outputs, task.goal, reasoning=True)
    options = {each: given[each] for each in ("method", "effort", "judge_lm") if each in given}
    planned = estimate(task, lm=MODEL, start=start, **options)
    result = await run(task, folder, start=start, **given)
    judging = sum(each.repeats for each in task.metric.judges.values())
    tested = result.tested.run * len({result.start.hash, result.workflow.hash}) * judging
    searched = sum(calls for purpose, calls in result.calls.items() if purpose != "test") - tested
    expected = planned.calls - planned.by_purpose["test"] // usual_calls(start) * (usual_calls(start) + judging)
    assert searched <= expected
    if result.stopped_because == "the planned calls are used":
        assert searched >= 0.7 * expected


@pytest.mark.parametrize("method", METHODS)
async def test_a_search_takes_no_more_than_its_estimate_and_most_of_it(
    orders: Task, tmp_path: Path, method: str
) -> None:
    small = replace(orders, splits={split: rows[:24] for split, rows in orders.splits.items()})
    for seed, effort in ((0, 100), (1, 200), (2, 500)):
        await kept_to_its_estimate(
            small, tmp_path, run_dir=tmp_path / f"{seed}", method=method, effort=effort, seed=seed
        )


@pytest.mark.parametrize("method", ["flowbot", "paper"])
async def test_estimates_hold_with_judges_and_with_a_start_of_several_steps(
    orders: Task, tmp_path: Path, method: str
) -> None:
    small = replace(orders, splits={split: rows[:16] for split, rows in orders.splits.items()})
    judged = replace(small, metric=Metric.of(Judge("Is the total right?", repeats=2)))
    start = fit(find_start("plan-and-solve"), small.inputs, small.outputs, small.goal)
    await kept_to_its_estimate(small, tmp_path, run_dir=tmp_path / "steps", method=method, effort=200, start=start)
    await kept_to_its_estimate(
        judged, tmp_path, run_dir=tmp_path / "judged", method=method, effort=200, judge_lm="fake/judge"
    )


async def test_who_searched_with_a_method_that_tries_nothing_is_not_told_to_search_longer(
    orders: Task, tmp_path: Path
) -> None:
    result = await optimize_async(
        orders, lm=MODEL, method="none+none", effort="low", run_dir=tmp_path / "run", cache_dir=tmp_path
    )
    told = " ".join(advice(read_run(result.run_dir)))
    assert "`--effort" not in told
    assert "--meta-model" not in told
    assert "try another `--method`" in told
