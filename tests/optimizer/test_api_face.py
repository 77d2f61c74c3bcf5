"""`fb.optimize` and `fb.evaluate`: in plain code, inside a running loop, interrupted, watched; the same call goes on."""

from __future__ import annotations

import asyncio
import signal
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import flowbot as fb
from flowbot.runtime.blocking import blocking
from flowbot.workflow.starts import single_call


@pytest.fixture
def small(orders: fb.Task) -> fb.Task:
    return replace(orders, splits={split: rows[:10] for split, rows in orders.splits.items()})


@pytest.fixture
def given(tmp_path: Path) -> dict[str, Any]:
    return {"lm": "fake/counter", "effort": "low", "run_dir": tmp_path / "run", "cache_dir": tmp_path / "cache"}


def start_of(task: fb.Task) -> fb.Workflow:
    return single_call(task.inputs, task.outputs, task.goal, reasoning=True)


async def test_inside_a_running_loop_waiting_or_not_it_gives_the_same(small: fb.Task, given: dict[str, Any]) -> None:
    waited = await fb.optimize_async(small, **given)
    plain = fb.optimize(small, **given)  # the loop of this test is running
    assert (plain.status, plain.now.calls) == ("done", 0)
    assert plain.to_json()["scores"] == waited.to_json()["scores"]


def test_a_task_may_be_its_file(given: dict[str, Any]) -> None:
    file = Path(__file__).parents[2] / "examples" / "orders" / "task.yaml"
    result = fb.optimize(file, method="none", **given)
    assert result.status == "done"
    assert result.run_id.startswith("orders-")


def test_events_tell_what_happened_in_order(small: fb.Task, given: dict[str, Any]) -> None:
    events: list[fb.ProgressEvent] = []
    result = fb.optimize(small, progress=events.append, **given)
    phases = list(dict.fromkeys(event.phase for event in events))
    assert phases == ["start", "search", "validation", "test"]
    calls = [event.calls for event in events]
    assert calls == sorted(calls)
    assert calls[-1] == sum(result.calls.values()) == events[-1].planned <= events[0].planned
    assert len({event.planned for event in events[:-1]}) == 1
    assert [event.text for event in events if event.what == "ended"] == [result.verdict] == [events[-1].text]
    scored = [event for event in events if event.what == "scored"]
    assert [event.score for event in scored[-2:]] == [result.start_scores.test.mean, result.final_scores.test.mean]  # pyright: ignore[reportOptionalMemberAccess]
    best = [event.best for event in events if event.best is not None]
    assert best == sorted(best)
    validated = [each.val.mean for each in (result.start_scores, result.final_scores) if each.val is not None]
    assert best[-1:] == sorted(validated)[-1:]
    assert {event.what for event in events} & {"kept", "rejected"}
    assert all(0 <= event.done <= event.total for event in events)


@pytest.mark.parametrize("phase", ["start", "search", "test"])
def test_an_error_in_the_callback_pauses_with_its_words_and_loses_nothing(
    small: fb.Task, given: dict[str, Any], tmp_path: Path, phase: str
) -> None:
    def broken(event: fb.ProgressEvent) -> None:
        if event.phase == phase and event.done > 2:
            raise KeyError("no such widget")

    undisturbed = fb.optimize(small, **{**given, "run_dir": tmp_path / "u", "cache_dir": tmp_path / "u-cache"})
    paused = fb.optimize(small, progress=broken, **given)
    assert (paused.status, paused.stopped_by) == ("paused", "callback")
    assert "the progress callback raised KeyError: 'no such widget'" in paused.reason
    resumed = fb.optimize(small, **given)
    assert resumed.status == "done"
    assert paused.spent.calls + resumed.now.calls == undisturbed.spent.calls
    assert resumed.to_json()["scores"] == undisturbed.to_json()["scores"]


def test_an_error_in_the_callback_at_the_very_end_costs_nothing(
    small: fb.Task, given: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    def broken(event: fb.ProgressEvent) -> None:
        if event.what == "ended":
            raise ValueError("too late")

    assert fb.optimize(small, progress=broken, **given).status == "done"
    assert "the progress callback raised ValueError: too late" in caplog.text


def interrupt() -> None:
    """What a notebook's stop button does to the main thread."""
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


def test_the_stop_button_pauses_and_the_same_call_goes_on(small: fb.Task, given: dict[str, Any]) -> None:
    pressed = threading.Event()

    def press(event: fb.ProgressEvent) -> None:
        if event.phase == "search" and event.done == 3 and not pressed.is_set():
            pressed.set()
            interrupt()

    with pytest.raises(KeyboardInterrupt, match="the same call goes on from there"):
        fb.optimize(small, progress=press, **given)
    assert (given["run_dir"] / "result.json").exists()  # the run came to its pause before that was raised
    resumed = fb.optimize(small, **given)
    assert resumed.status == "done"
    assert 0 < resumed.now.calls < sum(resumed.calls.values())


def test_pressing_it_twice_leaves_without_waiting() -> None:
    go = threading.Event()
    done = threading.Event()

    async def stubborn(*, stop: fb.StopSignal | None = None) -> None:
        interrupt()
        assert stop is not None
        with pytest.raises(fb.Paused):
            await stop.unless(asyncio.sleep(60))
        interrupt()
        await asyncio.to_thread(go.wait)
        done.set()

    with pytest.raises(KeyboardInterrupt):
        blocking(stubborn, "stubborn")()
    assert not done.is_set()
    go.set()
    assert done.wait(10)


async def test_a_cancelled_run_resumes(small: fb.Task, given: dict[str, Any]) -> None:
    begun = asyncio.Event()

    def note(event: fb.ProgressEvent) -> None:
        if event.phase == "search" and event.done == 3:
            begun.set()

    running = asyncio.create_task(fb.optimize_async(small, progress=note, **given))
    await begun.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    resumed = await fb.optimize_async(small, **given)
    assert resumed.status == "done"
    assert resumed.now.calls < sum(resumed.calls.values())


def test_a_stop_of_the_users_own_is_the_one_that_counts(small: fb.Task, given: dict[str, Any]) -> None:
    stop = fb.StopSignal()
    stop.set("enough for today")
    paused = fb.optimize(small, stop=stop, **given)
    assert (paused.status, paused.stopped_by, paused.reason) == ("paused", "signal", "enough for today")


def test_context_variables_reach_the_run(small: fb.Task, tmp_path: Path) -> None:
    import contextvars

    cell = contextvars.ContextVar("cell", default="none")
    cell.set("cell 7")
    seen: set[str] = set()
    fb.evaluate(start_of(small), small, lm="fake/counter", cache_dir=tmp_path, progress=lambda _: seen.add(cell.get()))
    assert seen == {"cell 7"}


async def test_evaluation_gives_rows_interval_cost_and_is_free_the_second_time(small: fb.Task, tmp_path: Path) -> None:
    events: list[fb.ProgressEvent] = []
    start = start_of(small)
    found = await fb.evaluate_async(
        start, small, lm="fake/counter", cache_dir=tmp_path, progress=events.append, split="val"
    )
    assert [row.example.id for row in found.rows] == [example.id for example in small.val]
    assert found.mean == pytest.approx(sum(row.score.value for row in found.rows) / 10)
    assert found.low <= found.mean <= found.high
    assert found.calls == found.spent.calls == 10
    assert {row.example.id for row in found.failures} == {row.example.id for row in found.rows if row.score.value < 1}
    assert found.rows[0].trace is not None
    assert found.rows[0].trace.outputs == found.rows[0].outputs
    assert {event.phase for event in events} == {"evaluation"}
    assert (events[-2].done, events[-2].total, events[-2].planned) == (10, 10, 10)
    assert (events[-1].what, events[-1].text) == ("ended", str(found))
    start.save(tmp_path / "start.flow.yaml")
    again = fb.evaluate(tmp_path / "start.flow.yaml", small, lm="fake/counter", cache_dir=tmp_path, traces=False)
    assert (again.spent.calls, again.calls, again.mean) == (0, 10, found.mean)
    assert again.rows[0].trace is None


def test_a_flow_brings_its_model(small: fb.Task, tmp_path: Path) -> None:
    with fb.Flow(start_of(small), lm="fake/counter") as flow:
        found = fb.evaluate(flow, small, split="train", cache_dir=tmp_path)
    assert (found.lm, found.estimate.n) == ("fake/counter", 10)


def test_an_evaluation_that_is_stopped_raises_and_goes_on_later(small: fb.Task, tmp_path: Path) -> None:
    common: dict[str, Any] = {"lm": "fake/counter", "cache_dir": tmp_path}

    def broken(event: fb.ProgressEvent) -> None:
        if event.done == 4:
            raise ValueError("no")

    with pytest.raises(fb.Paused, match="the progress callback raised ValueError: no"):
        fb.evaluate(start_of(small), small, progress=broken, **common)
    found = fb.evaluate(start_of(small), small, **common)
    assert (len(found.rows), found.calls) == (10, 10)
    with pytest.raises(fb.BudgetExceeded):
        fb.evaluate(start_of(small), small, split="test", budget=fb.Budget(calls=2), **common)


def test_a_failed_step_is_a_row_with_its_error(small: fb.Task, tmp_path: Path) -> None:
    def twice(example: fb.Example, outputs: Any) -> float:
        return 1.0

    task = replace(small, metric=fb.Metric.of(twice))
    found = fb.evaluate(start_of(small), task, lm="fake/counter?garbage=0&refuse=0.3&seed=1", cache_dir=tmp_path)
    assert found.dropped
    assert len(found.rows) + len(found.dropped) == 10
    assert set(found.dropped).isdisjoint(row.example.id for row in found.rows)


def test_what_cannot_pause_is_cancelled_by_the_stop_button() -> None:
    ended = threading.Event()

    async def endless() -> None:
        interrupt()
        try:
            await asyncio.sleep(600)
        finally:
            ended.set()

    with pytest.raises(KeyboardInterrupt):
        blocking(endless, "endless")()
    assert ended.is_set()
