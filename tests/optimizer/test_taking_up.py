"""Taking up an earlier run: its workflow is made to fit models and rows of now, and both runs stand side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import flowbot as fb
from flowbot.fields import UserError
from flowbot.optimizer.run import optimize_async
from flowbot.optimizer.taking_up import Earlier
from flowbot.report.commands import again
from flowbot.report.report import write_report
from flowbot.run.comparisons import compare
from flowbot.run.examples import read_examples
from flowbot.run.view import read_run
from flowbot.task import Example, Task
from flowbot.workflow.parameters import Demonstration, LLMParameters
from flowbot.workflow.starts import single_call
from flowbot.workflow.workflow import Workflow

OLD, NEW = "fake/counter", "fake/counter?seed=7"
GONE = "openai/gpt-3.5-turbo"


@pytest.fixture
def small(orders: Task) -> Task:
    """A dozen examples in every split."""
    return replace(orders, splits={split: rows[:12] for split, rows in orders.splits.items()})


def with_rows(task: Task, **splits: Sequence[Example]) -> Task:
    return replace(task, splits={**task.splits, **splits})


async def run(task: Task, folder: Path, name: str, **given: Any) -> fb.RunResult:
    options = {"lm": OLD, "method": "none+none", "run_dir": folder / name, "cache_dir": folder / "cache", **given}
    return await optimize_async(task, **options)


def begun(task: Task, *, model: str | None = None, examples: Sequence[Example] = (), pinned: bool = False) -> Workflow:
    """One step, on a model, that is shown rows."""
    flow = single_call(task.inputs, task.outputs, task.goal, reasoning=False).dump()
    flow["nodes"]["answer"] |= {"model": "pinned"} if pinned else {}
    shown = [
        Demonstration(inputs=dict(each.inputs), outputs=dict(each.expected), example=each.id).model_dump()
        for each in examples
    ]
    flow["parameters"]["answer"] |= {"demonstrations": shown, **({"model": model} if model else {})}
    return Workflow.from_data(flow)


def shown(flow: Workflow) -> list[str]:
    told = flow.parameter("answer")
    assert isinstance(told, LLMParameters)
    return [each.example for each in told.demonstrations]


async def test_both_runs_stand_side_by_side_on_the_rows_that_both_have(small: Task, tmp_path: Path) -> None:
    old = await run(small, tmp_path, "old")
    assert old.before is None
    rows = [*small.splits["test"][2:], replace(small.splits["train"][0], id="new")]
    now = with_rows(small, test=rows, train=small.splits["train"][1:])
    new = await run(now, tmp_path, "new", lm=NEW, start=old)
    assert new.start.hash == old.workflow.hash
    assert new.before is not None
    before = new.before
    assert (before.run_id, before.models["task"], before.n) == (old.run_id, OLD, 10)

    def scores(folder: Path) -> list[float]:
        common = {each.id for each in small.splits["test"][2:]}
        sides = [each.final for each in read_examples(folder) if each.split == "test" and each.id in common]
        return [side.score for side in sides if side is not None]

    then, since = scores(old.run_dir), scores(new.run_dir)
    assert then != since, "the model is another"
    assert before.scores.found is not None
    assert before.now.start is not None
    assert before.difference.start is not None
    assert before.scores.found.mean == pytest.approx(sum(then) / 10)
    assert before.now.start.mean == pytest.approx(sum(since) / 10)
    assert before.difference.start.mean == pytest.approx((sum(since) - sum(then)) / 10)
    assert before.notes == (
        "1 test example was training or validation of the earlier run: the start may score too well on them.",
    )
    assert fb.RunResult.load(new.run_dir).before == before
    assert new.to_json()["before"]["n"] == 10
    page = write_report(new.run_dir).read_text(encoding="utf-8")
    assert "Beside the run that it took up" in page
    assert old.run_id in page


async def test_rows_are_told_by_what_they_hold_and_another_metric_is_not_compared(small: Task, tmp_path: Path) -> None:
    old = await run(small, tmp_path, "old")
    named = with_rows(small, test=[replace(each, id=f"other {each.id}") for each in small.splits["test"]])
    new = await run(named, tmp_path, "named", start=old.run_dir)
    assert new.before is not None
    assert new.before.n == 12
    assert new.before.difference.found is not None
    assert new.before.difference.found.mean == 0, "model and rows are the same"
    scored = replace(small, metric=Task(**{**_plain(small), "metric": "exact"}).metric)
    other = await run(scored, tmp_path, "other", start=str(old.run_dir))
    assert other.before is not None
    assert (other.before.n, other.before.scores.found) == (0, None)
    assert "another metric" in other.before.sentences[-1]


def _plain(task: Task) -> dict[str, Any]:
    return {
        "goal": task.goal,
        "inputs": task.inputs,
        "outputs": task.outputs,
        **{k: list(v) for k, v in task.splits.items()},
    }


async def test_a_start_that_is_a_file_takes_up_no_run_and_a_run_is_the_same_search(small: Task, tmp_path: Path) -> None:
    old = await run(small, tmp_path, "old")
    assert (await run(small, tmp_path, "file", start=old.workflow_path)).before is None
    by_file = await run(small, tmp_path, "a", start=old.workflow_path, lm=NEW)
    by_run = await run(small, tmp_path, "b", start=old, lm=NEW)
    assert by_file.run_id == by_run.run_id, "the identity has the start as it is, and no more of the run"


async def test_a_step_on_a_model_that_is_gone_runs_on_the_task_model_unless_it_is_pinned(
    small: Task, tmp_path: Path
) -> None:
    folder = tmp_path / "old"
    folder.mkdir()
    begun(small, model=GONE).save(folder / "found.flow.yaml")
    said: list[str] = []
    new = await run(small, tmp_path, "new", start=folder, progress=lambda event: said.append(event.text))
    assert any(
        f"Step `answer` ran on {GONE}, which is not named now: it runs on the task model." in text for text in said
    )
    assert new.start.hash == begun(small).hash
    assert new.before is None, "nothing is known of the run but its workflow"
    kept, _ = Earlier(None, {}).begin(begun(small, model=GONE), small, {OLD, GONE})
    assert kept.hash == begun(small, model=GONE).hash
    begun(small, model=GONE, pinned=True).save(folder / "found.flow.yaml")
    with pytest.raises(UserError, match="--models"):
        await run(small, tmp_path, "pinned", start=folder)


async def test_worked_examples_whose_rows_are_kept_back_now_are_left_out_and_others_are_named_anew(
    small: Task, tmp_path: Path
) -> None:
    first, second, third, fourth = small.splits["train"][:4]
    written = replace(first, inputs={"note": "as a step before has written it"})
    old = await run(small, tmp_path, "old", start=begun(small, examples=[written, second, third, fourth]))
    now = with_rows(
        small,
        train=[replace(second, id="renamed"), *small.splits["train"][4:]],
        val=[*small.splits["val"][1:], replace(first, id="elsewhere"), replace(small.splits["val"][0], id=third.id)],
    )
    earlier = Earlier.of(old)
    assert earlier is not None
    flow, taken = earlier.begin(old.workflow, now, {OLD})
    assert shown(flow) == ["renamed", "", fourth.id], "in validation; in training; gone, its id another row's; gone"
    assert taken.notes == ("Step `answer` does without 1 worked example: validation or test has the same row now.",)
    same, untouched = earlier.begin(old.workflow, small, {OLD})
    assert (same.hash, untouched.notes) == (old.workflow.hash, ())
    new = await run(now, tmp_path, "new", start=old)
    assert new.start.hash == flow.hash
    assert new.before is not None
    assert taken.notes[0] in new.before.notes


async def test_without_the_old_rows_worked_examples_are_told_by_what_they_show(small: Task) -> None:
    train, val = small.splits["train"][0], small.splits["val"][0]
    leaking = replace(val, id="some old id")
    flow, _ = Earlier(None, {}).begin(begun(small, examples=[train, leaking]), small, {OLD})
    assert shown(flow) == [train.id]


async def test_a_paused_run_knows_what_it_took_up_and_the_reports_command_goes_on(small: Task, tmp_path: Path) -> None:
    old = await run(small, tmp_path, "old")
    paused = await run(small, tmp_path, "new", start=old, lm=NEW, budget=fb.Budget(seconds=1e-6))
    assert paused.status == "paused"
    assert paused.before is not None
    assert (paused.before.run_id, paused.before.n) == (old.run_id, 0)
    assert f"--start {old.run_dir} " in again(read_run(paused.run_dir))
    frozen = await run(small, tmp_path, "frozen", start=old, lm=NEW, freeze=["answer"])
    assert "--freeze answer " in again(read_run(frozen.run_dir)), "what the run that is taken up does not say"


async def test_a_run_does_not_take_up_itself(small: Task, tmp_path: Path) -> None:
    old = await run(small, tmp_path, "old")
    same = await run(small, tmp_path, "old", start=old.run_dir)
    assert (same.run_id, same.before) == (old.run_id, None), "it found what it began with, so the identity is the same"


async def test_compare_says_which_run_took_up_which(small: Task, tmp_path: Path) -> None:
    old = await run(small, tmp_path, "old")
    new = await run(small, tmp_path, "new", start=old, lm=NEW)
    facts = compare(old, new).dump()["runs"]
    assert [each["before"] for each in facts] == [None, old.run_id]


async def test_a_run_that_takes_up_another_replays(small: Task, tmp_path: Path) -> None:
    old = await run(small, tmp_path, "old")
    first, second = [
        await run(small, tmp_path, "new", start=old, lm=NEW, method="flowbot", effort=40) for _ in range(2)
    ]
    assert second.now.calls == 0
    assert second.before == first.before


async def test_a_damaged_run_is_one_error_before_anything_is_paid(small: Task, tmp_path: Path) -> None:
    old = await run(small, tmp_path, "old")
    (old.run_dir / "result.json").write_text("{}", encoding="utf-8")
    with pytest.raises(UserError, match="result"):
        await run(small, tmp_path, "new", start=old.run_dir)
    assert not (tmp_path / "new").exists()
