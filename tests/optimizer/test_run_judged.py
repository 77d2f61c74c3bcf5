"""Whole searches with a judge: without labels, resumed, under ceilings; what is told of the judge."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flowbot.fields import UserError
from flowbot.lm.budget import Budget
from flowbot.optimizer.estimate import estimate
from flowbot.optimizer.run import optimize_async
from flowbot.task import Judge, Metric, Part, Parts, Task
from flowbot.workflow.starts import single_call

MODEL = "fake/counter"
JUDGE = "fake/judge"


def judged(orders: Task, metric: Any, *, labels: bool, size: int = 12) -> Task:
    """A little of the demo's task with another metric, with or without its labels."""
    splits = {
        split: [each if labels else replace(each, expected={}) for each in rows[:size]]
        for split, rows in orders.splits.items()
    }
    return replace(orders, splits=splits, metric=Metric.of(metric))


async def run(task: Task, folder: Path, **given: Any) -> Any:
    options = {"lm": MODEL, "judge_lm": JUDGE, "effort": "low", "cache_dir": folder / "cache", **given}
    return await optimize_async(task, **{"run_dir": folder / "run", **options})


async def test_a_task_without_labels_is_served_by_a_judge_and_replays_without_a_call(
    orders: Task, tmp_path: Path
) -> None:
    task = judged(orders, Judge("Is the total right?", repeats=2), labels=False)
    first = await run(task, tmp_path)
    assert first.status == "done"
    assert first.difference.test is not None
    facts = first.to_json()["judge"]
    assert facts["model"] == JUDGE
    assert facts["calls"] == first.calls["judge"] > 0
    assert facts["tokens"] > 0
    assert facts["usd"] == 0
    assert 0 < facts["spread"] < 1
    assert first.models["judge"] == JUDGE
    again = await run(task, tmp_path)
    assert again.now.calls == 0
    same = ("workflow", "scores", "calls", "nodes", "judge")
    assert {key: first.to_json()[key] for key in same} == {key: again.to_json()[key] for key in same}


async def test_no_prompt_of_a_search_without_labels_pretends_that_there_are_some(orders: Task, tmp_path: Path) -> None:
    task = judged(orders, Judge("Is the total right?"), labels=False, size=8)
    await run(task, tmp_path, method="flowbot+blame")
    events = [json.loads(line) for line in (tmp_path / "run" / "journal.jsonl").read_text().splitlines()]
    assert [each for each in events if each["event"] == "feedback"]


@pytest.mark.parametrize("method", ["paper", "random", "flowbot+layerwise"])
async def test_every_method_takes_a_judge_without_labels(orders: Task, tmp_path: Path, method: str) -> None:
    task = judged(orders, Judge(["Is it a number?", "Is the total right?"]), labels=False, size=5)
    result = await run(task, tmp_path, method=method)
    assert result.status == "done"
    assert result.calls["judge"] > 0


async def test_a_users_function_scores_a_task_without_labels(orders: Task, tmp_path: Path) -> None:
    def short(example: Any, outputs: Any) -> tuple[float, str]:
        return float(next(iter(outputs.values())) < 10), "too much"

    result = await run(judged(orders, short, labels=False, size=6), tmp_path)
    assert result.status == "done"
    assert result.judge is None
    assert "judge" not in result.calls


def test_a_comparison_without_labels_is_refused_at_once(orders: Task) -> None:
    with pytest.raises(UserError, match=r"metric numeric; without labels, a judge"):
        judged(orders, "numeric", labels=False)


async def test_a_judge_among_parts_with_labels(orders: Task, tmp_path: Path) -> None:
    output = orders.outputs[0].name
    parts = Parts({"total": Part("numeric", on=output, weight=3), "sound": Judge("Is it right?")})
    result = await run(judged(orders, parts, labels=True), tmp_path)
    assert result.status == "done"
    lines = (tmp_path / "run" / "examples.jsonl").read_text().splitlines()
    tested = [each["start"] for each in map(json.loads, lines) if each["split"] == "test"]
    assert len(tested) == 12
    assert all(set(each["parts"]) == {"total", "sound"} for each in tested)


async def test_the_judge_is_a_part_of_what_a_run_is(orders: Task, tmp_path: Path) -> None:
    task = judged(orders, Judge("Is it right?"), labels=False, size=4)
    runs = [
        await run(each, tmp_path, method="none+none", judge_lm=judge, run_dir=tmp_path / str(number))
        for number, (each, judge) in enumerate(
            [
                (task, JUDGE),
                (task, "fake/judge?seed=1"),
                (task, None),
                (judged(orders, Judge("Is it so?"), labels=False, size=4), JUDGE),
            ]
        )
    ]
    assert len({each.run_id for each in runs}) == len(runs)
    assert runs[2].models["judge"] == MODEL


async def test_the_judge_is_the_meta_model_unless_another_is_named(orders: Task, tmp_path: Path) -> None:
    task = judged(orders, Judge("Is it right?"), labels=False, size=4)
    result = await run(task, tmp_path, method="none+none", judge_lm=None, meta_lm="fake/judge?seed=3")
    assert result.judge.model == "fake/judge?seed=3"


@pytest.mark.parametrize("calls", [60, 90, 160])
async def test_a_ceiling_in_calls_is_kept_with_a_judge_and_the_test_is_still_made(
    orders: Task, tmp_path: Path, calls: int
) -> None:
    task = judged(orders, Judge("Is it right?", repeats=2), labels=True, size=6)
    result = await run(task, tmp_path, budget=Budget(calls=calls))
    assert result.status == "done"
    assert sum(result.calls.values()) <= calls
    assert result.start_scores.test is not None
    assert result.final_scores.test is not None


async def test_a_ceiling_without_room_for_the_judge_of_the_closing_test_is_refused_at_once(
    orders: Task, tmp_path: Path
) -> None:
    task = judged(orders, Judge("Is it right?", repeats=4), labels=True, size=6)
    with pytest.raises(UserError, match=r"expected at least 90 calls, .* a closing test of 6;"):
        await run(task, tmp_path, budget=Budget(calls=65))


def test_the_estimate_counts_the_judge(orders: Task) -> None:
    plain = judged(orders, "numeric", labels=True)
    once, thrice = (judged(orders, Judge("Right?", repeats=n), labels=True) for n in (1, 3))
    found = [estimate(task, lm=MODEL, effort="low") for task in (plain, once, thrice)]
    assert "judge" not in found[0].by_purpose
    assert found[2].by_purpose["judge"] > found[1].by_purpose["judge"] > 0
    assert found[2].by_purpose["judge"] % 3 == 0
    for each in found:
        assert each.calls == sum(each.by_purpose.values())
    assert found[0].tokens < found[1].tokens < found[2].tokens
    assert estimate(once, lm=MODEL, judge_lm="openai/unknown-model").usd is None
    assert found[1].usd == 0


async def test_the_estimate_is_not_below_what_a_search_takes(orders: Task, tmp_path: Path) -> None:
    task = judged(orders, Judge("Is it right?"), labels=False)
    start = single_call(task.inputs, task.outputs, task.goal, reasoning=True)
    expected = estimate(task, lm=MODEL, judge_lm=JUDGE, effort="low", start=start)
    result = await run(task, tmp_path, start=start)
    assert result.calls["judge"] <= expected.by_purpose["judge"]


async def test_a_judge_that_gives_no_verdict_at_all_pauses_and_says_what_to_do(orders: Task, tmp_path: Path) -> None:
    task = judged(orders, Judge("Is it right?"), labels=False, size=4)
    result = await run(task, tmp_path, judge_lm="fake/judge?pempty=1")
    assert (result.status, result.stopped_by) == ("paused", "metric")
    assert "no verdict on any of 4 examples" in result.reason
