"""Flows on a workbench: one event loop, one budget, and nothing kept."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

import flowbot as fb
from flowbot.fields import BudgetExceeded, UserError
from flowbot.runtime.live import _Running
from flowbot.runtime.workbench import Workbench
from flowbot.testing.fake import FakeClient
from flowbot.workflow.starts import single_call
from flowbot.workflow.workflow import Workflow


@pytest.fixture
def repeating() -> Workflow:
    """One call that a model answers with what it was asked."""
    return single_call([fb.Field.of("note", "str")], [fb.Field.of("reply", "str")], "Say it again.", reasoning=False)


def test_flows_count_in_the_workbenchs_budget_and_keep_nothing(repeating: Workflow, tmp_path: Path) -> None:
    budget = fb.Budget(calls=3)
    with fb.Workbench(cache_dir=tmp_path, budget=budget) as bench:
        flow = fb.Flow(repeating, lm="fake/echo", workbench=bench)
        with fb.Flow(repeating, lm="fake/echo", workbench=bench) as other:
            assert flow(note="a") == other(note="a")
        assert "a" in flow(note="a")["reply"]
        with pytest.raises(BudgetExceeded):
            flow(note="a")
    assert budget.used["calls"] == 3
    with pytest.raises(UserError, match="not open"):
        flow(note="a")
    flow.close()


def test_a_flow_asks_nothing_that_was_closed_with_its_workbench(
    repeating: Workflow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, closed = list[FakeClient](), list[FakeClient]()
    ask, close = FakeClient.complete, FakeClient.close

    async def asking(self: FakeClient, *args: Any) -> Any:
        asked.append(self)
        return await ask(self, *args)

    async def closing(self: FakeClient) -> None:
        closed.append(self)
        await close(self)

    monkeypatch.setattr(FakeClient, "complete", asking)
    monkeypatch.setattr(FakeClient, "close", closing)
    bench = fb.Workbench(cache_dir=tmp_path)
    with bench:
        flow = fb.Flow(repeating, lm="fake/echo", workbench=bench)
        flow(note="a")
    with bench:
        assert "b" in flow(note="b")["reply"]
        assert asked[0] in closed
        assert asked[1] not in closed
    assert asked[1] in closed
    assert not bench.guests


def test_settings_of_the_workbench_are_refused_beside_it(repeating: Workflow, tmp_path: Path) -> None:
    with (
        fb.Workbench(cache_dir=tmp_path) as bench,
        pytest.raises(UserError, match="pace: found beside a workbench"),
    ):
        fb.Flow(repeating, lm="fake/echo", pace=fb.Pace(concurrency=2), workbench=bench)


async def test_in_async_code_a_flow_is_awaited_and_runs_on_the_loop_of_the_workbench(
    repeating: Workflow, tmp_path: Path
) -> None:
    async with Workbench(cache_dir=tmp_path) as bench:
        flow = fb.Flow(repeating, lm="fake/echo", workbench=bench)
        found = await asyncio.gather(*(flow.acall(note=str(number)) for number in range(5)))
        assert [str(number) in each["reply"] for number, each in enumerate(found)] == [True] * 5
        with pytest.raises(UserError, match="await"):
            flow(note="a")
        flow.close()
        await asyncio.sleep(0)
        assert not (tmp_path / "store.sqlite").exists() or len(await bench.connections.store.items("lm")) == 0


async def test_a_flow_is_closed_in_a_thread_while_the_loop_begins_another_call(
    repeating: Workflow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Workbench(cache_dir=tmp_path) as bench:
        flow = fb.Flow(repeating, lm="fake/echo", workbench=bench)
        await flow.acall(note="a")
        closing, shut = threading.Event(), _Running._shut

        def shutting(running: _Running, loop: asyncio.AbstractEventLoop) -> Coroutine[Any, Any, None]:
            closing.set()
            return shut(running, loop)

        monkeypatch.setattr(_Running, "_shut", shutting)
        thread = threading.Thread(target=flow.close)
        thread.start()
        closing.wait()  # the loop stands still: it cannot have ended the flow yet
        assert "b" in (await flow.acall(note="b"))["reply"]
        await asyncio.to_thread(thread.join)
        assert "c" in (await flow.acall(note="c"))["reply"]
        flow.close()


def test_what_is_under_way_when_a_workbench_ends_is_ended_too(tmp_path: Path) -> None:
    with fb.Workbench(cache_dir=tmp_path) as bench:
        waiting = asyncio.run_coroutine_threadsafe(asyncio.Event().wait(), bench.loop)
    assert waiting.cancelled()


async def test_a_workbench_that_was_never_opened_is_closed_at_once(tmp_path: Path) -> None:
    bench = Workbench(cache_dir=tmp_path)
    async with asyncio.timeout(5):
        await bench.close()
        async with bench:
            pass
        await bench.close()


async def test_a_workbench_is_opened_once(tmp_path: Path) -> None:
    async with Workbench(cache_dir=tmp_path) as bench:
        with pytest.raises(UserError, match="open already"), bench:
            pass
        with pytest.raises(UserError, match="open already"):
            async with bench:
                pass
        assert bench.loop is asyncio.get_running_loop()


async def test_on_the_loop_of_its_workbench_a_flow_takes_no_way_through_a_thread_and_counts_equal_calls_each(
    repeating: Workflow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def elsewhere(*_: Any) -> None:
        raise AssertionError("through another thread")

    budget = fb.Budget(calls=10)
    async with Workbench(cache_dir=tmp_path, budget=budget) as bench:
        flow = fb.Flow(repeating, lm="fake/echo", workbench=bench)
        with monkeypatch.context() as patched:
            patched.setattr(asyncio, "run_coroutine_threadsafe", elsewhere)
            for _ in range(2):
                assert "a" in (await flow.acall(note="a"))["reply"]
        assert budget.used["calls"] == 2
        waiting = asyncio.create_task(flow.acall(note="b"))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert "c" in (await flow.acall(note="c"))["reply"]
        await asyncio.to_thread(flow.close)
