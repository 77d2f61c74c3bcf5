from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from runtime_help import echo, engine_on, llm, single, workflow_of

from flowbot.fields import BudgetExceeded, InfrastructureError, Paused, RefusedError, Score
from flowbot.lm.budget import Budget
from flowbot.lm.client import Patience, Reply, Request
from flowbot.runtime.evaluation import Evaluation, evaluate
from flowbot.store import Store
from flowbot.task import Example, MetricError, Task
from flowbot.testing.fake import FakeClient, Faults


def task_of(rows: int = 20, metric: Any = "exact") -> Task:
    train = [{"id": f"e{n}", "note": f"note {n}", "text": f"note {n}" if n % 2 else "other"} for n in range(rows)]
    return Task(goal="Say it.", inputs={"note": "str"}, outputs={"text": "str"}, metric=metric, train=train)


def by_note(request: Request) -> str:
    return request.messages[-1].content


async def test_rows_come_in_the_order_of_the_examples_with_their_scores() -> None:
    task = task_of()
    seen: list[tuple[int, int]] = []
    async with engine_on(FakeClient(by_note, latency=1.0), concurrency=3) as engine:
        evaluation = await evaluate(
            engine, single(), task, task.train, purpose="train", progress=lambda *at: seen.append(at)
        )
    assert [row.example for row in evaluation.rows] == list(task.train)
    assert evaluation.values == [0.0, 1.0] * 10
    assert evaluation.mean == 0.5
    assert evaluation.usage.calls == 20
    assert seen == [(n, 20) for n in range(1, 21)]


async def test_a_failed_run_is_scored_and_a_refused_one_is_dropped() -> None:
    class Picky(FakeClient):
        async def complete(self, request: Request, patience: Patience | None = None) -> Reply:
            if "note 3" in request.messages[-1].content:
                raise RefusedError("not that one")
            return await super().complete(request)

    workflow = workflow_of(
        {"note": "str"},
        {"text": "s.text"},
        {
            "n": llm({"note": "note"}, {"n": "int"}),
            "s": llm({"n": "n.n"}, {"text": "str"}),
        },
        {"n": {"instruction": "N"}, "s": {"instruction": "S"}},
    )
    task = task_of(4)
    async with engine_on(Picky(echo)) as engine:
        evaluation = await evaluate(engine, workflow, task, task.train, purpose="train")
    assert [row.example.id for row in evaluation.rows] == ["e0", "e1", "e2"]
    assert evaluation.dropped == ("e3",)
    assert evaluation.values == [0.0] * 3
    assert all(row.trace.outputs is None and row.trace.error for row in evaluation.rows)


async def test_an_evaluation_of_nothing_is_empty() -> None:
    async with engine_on() as engine:
        evaluation = await evaluate(engine, single(), task_of(), [], purpose="train")
    assert evaluation == Evaluation(())
    assert evaluation.mean == 0.0


class Failing(FakeClient):
    """Answers the first calls and fails from then on."""

    def __init__(self, good: int, **more: Any) -> None:
        super().__init__(by_note, **more)
        self.good = good

    async def complete(self, request: Request, patience: Patience | None = None) -> Reply:
        if self.calls >= self.good:
            self.calls += 1
            await self.clock.sleep(1.0)
            raise InfrastructureError("HTTP 503", kind="server")
        return await super().complete(request)


async def test_a_fault_of_the_infrastructure_pauses_and_what_was_paid_for_is_stored() -> None:
    store, task, client = Store.memory(), task_of(100), Failing(10, latency=1.0)
    async with engine_on(client, store=store, concurrency=4, tries=1) as engine:
        with pytest.raises(Paused, match="503") as caught:
            await evaluate(engine, single(), task, task.train, purpose="train")
        assert caught.value.stopped_by == "infrastructure"
        assert len(await store.items("lm")) == 10
        assert client.calls <= 10 + 2 * 4  # of those waiting for their turn hardly any was sent
        assert asyncio.all_tasks() == {asyncio.current_task()}
    client.good = 1000
    async with engine_on(client, store=store, concurrency=4) as engine:
        sent = client.calls
        evaluation = await evaluate(engine, single(), task, task.train, purpose="train")
        assert client.calls - sent == 90
    assert len(evaluation.rows) == 100


async def test_a_signal_lets_calls_in_flight_finish_and_sends_no_other() -> None:
    store, task = Store.memory(), task_of(100)
    client = FakeClient(by_note, latency=1.0)
    async with engine_on(client, store=store, concurrency=4) as engine:

        def stop(done: int, _: int) -> None:
            if done == 3:
                engine.session.stop.set()

        with pytest.raises(Paused) as caught:
            await evaluate(engine, single(), task, task.train, purpose="train", progress=stop)
        assert caught.value.stopped_by == "signal"
        assert len(await store.items("lm")) == client.calls < 10


async def test_a_ceiling_ends_it_and_no_more_than_it_is_called() -> None:
    task, client = task_of(50), FakeClient(by_note, latency=1.0)
    async with engine_on(client, budget=Budget(calls=7)) as engine:
        with pytest.raises(BudgetExceeded):
            await evaluate(engine, single(), task, task.train, purpose="train")
    assert client.calls <= 7


async def test_faults_that_pass_change_nothing() -> None:
    task = task_of(30)
    async with engine_on(FakeClient(by_note, latency=1.0)) as engine:
        undisturbed = await evaluate(engine, single(), task, task.train, purpose="train")
    faults = Faults(p429=0.2, p500=0.2, preset=0.1, phang=0.05)
    async with engine_on(FakeClient(by_note, latency=1.0, faults=faults), tries=50, concurrency=5) as engine:
        disturbed = await evaluate(engine, single(), task, task.train, purpose="train")
    assert disturbed == undisturbed


async def test_a_metric_that_raises_names_the_example() -> None:
    def metric(example: Example, outputs: Any) -> float:
        if example.id == "e7":
            raise KeyError("answer")
        return 1.0

    task, store = task_of(20, metric), Store.memory()
    async with engine_on(by_note, store=store) as engine:
        with pytest.raises(MetricError, match="e7") as caught:
            await evaluate(engine, single(), task, task.train, purpose="train")
        assert caught.value.example == "e7"


async def test_a_users_metric_is_asked_once_for_the_same_and_never_by_two_at_a_time() -> None:
    inside, most, asked = 0, 0, []

    def metric(example: Example, outputs: Any) -> Score:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        asked.append((example.id, threading.current_thread() is threading.main_thread()))
        outputs["text"] = "spoiled"
        inside -= 1
        return Score(0.25, "a quarter", {"part": 0.5})

    task, store = task_of(10, metric), Store.memory()
    for _ in range(2):
        async with engine_on(by_note, store=store) as engine:
            evaluation = await evaluate(engine, single(), task, task.train, purpose="train")
        assert [row.score for row in evaluation.rows] == [Score(0.25, "a quarter", {"part": 0.5})] * 10
        assert [row.trace.outputs for row in evaluation.rows] == [{"text": f"note {n}"} for n in range(10)]
    assert sorted(asked) == sorted((f"e{n}", False) for n in range(10))
    assert most == 1
