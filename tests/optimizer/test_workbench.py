"""Runs side by side on one workbench: each counts for itself, together they keep within one budget and one limit."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import flowbot as fb
from flowbot.fields import Paused, UserError
from flowbot.lm.client import Message, Patience, Reply, Request
from flowbot.lm.connections import Connections, Turns
from flowbot.lm.lm import LM
from flowbot.lm.session import Session
from flowbot.optimizer.evaluate import evaluate_async
from flowbot.optimizer.run import optimize_async
from flowbot.runtime.workbench import Workbench
from flowbot.store import Store
from flowbot.task import Task
from flowbot.testing.fake import FakeClient

MODEL = "fake/counter"
SAME = ("workflow", "scores", "calls", "nodes", "kept_from")


@pytest.fixture
def small(orders: Task) -> Task:
    """A dozen examples of each split."""
    return replace(orders, splits={split: rows[:12] for split, rows in orders.splits.items()})


async def run(task: Task, folder: Path, **given: Any) -> fb.RunResult:
    return await optimize_async(task, **{"lm": MODEL, "effort": "low", "run_dir": folder, **given})


def facts(result: fb.RunResult) -> dict[str, Any]:
    found = result.to_json()
    return {key: found[key] for key in SAME if key != "workflow"} | {"workflow": result.workflow.hash}


async def test_runs_at_once_on_a_workbench_find_what_they_find_apart_and_pay_once(small: Task, tmp_path: Path) -> None:
    apart = [
        await run(small, tmp_path / f"apart{seed}", seed=seed, cache_dir=tmp_path / f"cache{seed}") for seed in (0, 1)
    ]
    async with Workbench(cache_dir=tmp_path / "cache") as bench:
        together = await asyncio.gather(
            *(run(small, tmp_path / f"run{seed}", seed=seed, workbench=bench) for seed in (0, 1))
        )
    assert [facts(each) for each in together] == [facts(each) for each in apart]
    paid = [sum(each.now.calls for each in runs) for runs in (apart, together)]
    assert paid[1] < paid[0]  # what both ask, as of the start, is sent once
    distinct = Store.open(tmp_path / "cache" / "store.sqlite")
    assert paid[1] == len(await distinct.items("lm"))
    await distinct.close()


async def test_runs_at_once_stay_together_within_the_budget_of_the_workbench(small: Task, tmp_path: Path) -> None:
    budget = fb.Budget(calls=170)
    async with Workbench(cache_dir=tmp_path, budget=budget) as bench:
        results = await asyncio.gather(
            *(
                run(small, tmp_path / f"run{seed}", seed=seed, workbench=bench, budget=fb.Budget(calls=most))
                for seed, most in ((0, 160), (1, 80))
            )
        )
    took = [sum(each.calls.values()) for each in results]
    assert sum(took) == budget.used["calls"] <= 170
    assert took[1] <= 80
    assert [each.stopped_by for each in results] == ["budget", "budget"], took
    assert not any(each.passed for each in results)


async def test_a_run_that_is_refused_leaves_its_room_in_the_workbenchs_budget_to_others(
    small: Task, tmp_path: Path
) -> None:
    (tmp_path / "taken").write_text("a file")
    async with Workbench(cache_dir=tmp_path / "cache", budget=fb.Budget(calls=170)) as bench:
        with pytest.raises(UserError, match="taken"):
            await run(small, tmp_path / "taken", workbench=bench)
        assert bench.budget is not None
        assert bench.budget.left == {"calls": 170}


async def test_what_an_earlier_run_fetched_is_not_taken_from_the_seconds_of_a_later_one(
    small: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeClient, "fetch_seconds", 1000.0, raising=False)
    result = await run(small, tmp_path / "run", method="none+none", cache_dir=tmp_path / "cache")
    assert result.seconds > 0


async def test_a_wish_to_stop_of_the_workbench_pauses_all_and_one_of_a_run_that_run(
    small: Task, tmp_path: Path
) -> None:
    async with Workbench(cache_dir=tmp_path) as bench:
        own = fb.StopSignal()
        own.set("enough")
        one, other = await asyncio.gather(
            run(small, tmp_path / "a", workbench=bench, stop=own), run(small, tmp_path / "b", workbench=bench, seed=1)
        )
        assert (one.status, other.status) == ("paused", "done")
        bench.stop.set("all of you")
        with pytest.raises(Paused, match="all of you"):
            await evaluate_async(other.workflow, small, lm="fake/counter?seed=9", workbench=bench)


def test_in_plain_code_runs_work_on_the_workbenchs_own_loop(small: Task, tmp_path: Path) -> None:
    with fb.Workbench(cache_dir=tmp_path) as bench:
        start = fb.optimize(
            small, lm=MODEL, method="none+none", effort="low", run_dir=tmp_path / "run", workbench=bench
        ).workflow
        first = fb.evaluate(start, small, split="val", lm=MODEL, workbench=bench)
        again = fb.evaluate(start, small, split="val", lm=MODEL, workbench=bench)
    assert (first.mean, first.calls) == (again.mean, again.calls)
    assert again.spent.calls == 0


@pytest.mark.parametrize(("setting", "value"), [("cache_dir", "here"), ("executor", "processes"), ("sandbox", "monty")])
async def test_a_setting_of_the_workbench_is_refused_beside_it(
    small: Task, tmp_path: Path, setting: str, value: str
) -> None:
    async with Workbench(cache_dir=tmp_path) as bench:
        with pytest.raises(UserError, match=f"{setting}.*which has its own"):
            await run(small, tmp_path, workbench=bench, **{setting: value})


async def test_a_workbench_that_is_not_open_here_is_refused_in_a_line(small: Task, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not open"):
        await run(small, tmp_path, workbench=Workbench(cache_dir=tmp_path))
    async with Workbench(cache_dir=tmp_path) as bench:
        with pytest.raises(UserError, match="await"):
            fb.evaluate("single", small, lm=MODEL, workbench=bench)


class Slow(FakeClient):
    """Counts what it is sent, and answers when it is let."""

    def __init__(self) -> None:
        super().__init__(lambda request: "yes")
        self.sent: Counter[str] = Counter()
        self.go = asyncio.Event()

    async def complete(self, request: Request, patience: Patience | None = None) -> Reply:
        self.sent[request.messages[0].content] += 1
        await self.go.wait()
        return await super().complete(request, patience)


def question(text: str) -> Request:
    return Request((Message("user", text),), 50, 0.0)


async def test_a_call_that_two_runs_want_at_once_is_sent_once_and_counted_by_both() -> None:
    client, store = Slow(), Store.memory()
    connections = Connections(store)
    lms = [LM(client, Session(store, fb.Budget(calls=5), connections=connections)) for _ in range(2)]
    asked = [asyncio.create_task(lm.ask(question("same"), purpose="t")) for lm in lms]
    for _ in range(50):
        await asyncio.sleep(0)
    client.go.set()
    assert {(await each).text for each in asked} == {"yes"}
    assert client.sent["same"] == 1
    assert [lm.session.ledger.logical.calls for lm in lms] == [1, 1]
    assert [lm.session.ledger.spent.calls for lm in lms] == [1, 0]
    assert [lm.session.budget.used["calls"] for lm in lms] == [1, 1]


async def test_who_sends_it_gives_up_and_the_other_run_sends_it() -> None:
    client, store = Slow(), Store.memory()
    connections = Connections(store)
    first, second = (LM(client, Session(store, connections=connections)) for _ in range(2))
    one = asyncio.create_task(first.ask(question("same"), purpose="t"))
    for _ in range(50):
        await asyncio.sleep(0)
    other = asyncio.create_task(second.ask(question("same"), purpose="t"))
    for _ in range(50):
        await asyncio.sleep(0)
    assert client.sent["same"] == 1
    first.session.stop.set()
    first.session.flights.cut(Paused("now", stopped_by="signal"), sent=True)
    with pytest.raises(Paused):
        await one
    client.go.set()
    assert (await other).text == "yes"
    assert client.sent["same"] == 2


async def test_runs_that_want_the_same_calls_under_one_narrow_budget_do_not_wait_for_each_other_for_ever() -> None:
    store, client = Store.memory(), FakeClient(lambda request: "" if client.calls % 2 else "yes")
    connections, whole = Connections(store), fb.Budget(calls=30)
    lms = [LM(client, Session(store, whole.child(), connections=connections)) for _ in range(3)]

    async def ask(lm: LM, number: int) -> bool:
        try:
            await lm.ask(question(str(number)), purpose="t")
        except fb.BudgetExceeded:
            return False
        return True

    went = await asyncio.wait_for(asyncio.gather(*(ask(lm, n) for n in range(12) for lm in lms)), 30)
    assert any(went)
    assert whole.used["calls"] <= 30
    assert whole.used["calls"] == sum(lm.session.budget.used["calls"] for lm in lms)


async def test_a_run_that_waits_for_what_others_have_of_a_budget_can_be_stopped() -> None:
    client, store, whole = Slow(), Store.memory(), fb.Budget(calls=1)
    connections = Connections(store)
    first, second = (LM(client, Session(store, whole.child(), connections=connections)) for _ in range(2))
    one = asyncio.create_task(first.ask(question("one"), purpose="t"))
    other = asyncio.create_task(second.ask(question("other"), purpose="t"))
    for _ in range(50):
        await asyncio.sleep(0)
    second.session.stop.set("enough")
    for _ in range(50):
        await asyncio.sleep(0)
    stopped = other.done()
    client.go.set()
    assert (await one).text == "yes"
    with pytest.raises(Paused if stopped else fb.BudgetExceeded):
        await other
    assert stopped


async def test_closing_a_model_waits_for_what_was_asked_within_a_part_of_the_budget() -> None:
    client, store = Slow(), Store.memory()
    lm = LM(client, Session(store, fb.Budget(calls=5)))
    part = lm.within(lm.session.budget.child())
    asked = asyncio.create_task(part.ask(question("a"), purpose="t"))
    for _ in range(50):
        await asyncio.sleep(0)
    closing = asyncio.create_task(lm.close())
    for _ in range(50):
        await asyncio.sleep(0)
    assert not closing.done()
    client.go.set()
    await closing
    assert (await asked).text == "yes"


class Stubborn(FakeClient):
    """Cannot be closed the first time."""

    def __init__(self, fault: str = "") -> None:
        super().__init__(lambda request: "yes")
        self.fault = fault
        self.closed = 0

    async def close(self) -> None:
        self.closed += 1
        if self.fault:
            raise OSError(self.fault)


async def test_all_clients_are_closed_also_where_one_cannot_be_and_none_twice() -> None:
    connections, clients = Connections(Store.memory(), keep=True), [Stubborn(), Stubborn("no"), Stubborn()]
    for number, client in enumerate(clients):
        connections.share(str(number), lambda _, client=client: client)
    with pytest.raises(OSError, match="no"):
        await connections.close()
    await connections.close()
    await connections.release("0")  # by a run that ends later
    assert [each.closed for each in clients] == [1, 1, 1]


async def test_calls_counted_in_a_part_of_a_runs_budget_count_in_the_run() -> None:
    lm = LM(FakeClient(lambda request: "yes"), Session(Store.memory(), fb.Budget(calls=5)))
    part = lm.session.budget.child(calls=1, name="structure")
    inside = lm.within(part)
    await inside.ask(question("a"), purpose="proposals")
    with pytest.raises(fb.BudgetExceeded, match="structure") as caught:
        await inside.ask(question("b"), purpose="proposals")
    assert caught.value.budget is part
    await lm.ask(question("b"), purpose="proposals")
    await inside.ask(question("b"), purpose="proposals")  # the run has counted it
    assert lm.session.ledger.calls == {"proposals": 2}
    assert lm.session.budget.used["calls"] == 2


async def test_the_turn_goes_to_one_after_the_other() -> None:
    turns, order = Turns(), list[int]()

    async def one(number: int) -> None:
        who = object()
        await turns.take("k", who)
        await turns.take("k", who)
        assert not turns.busy("k", who)
        order.append(number)
        await asyncio.sleep(0)
        order.append(number)
        turns.leave("k", object())
        turns.leave("k", who)

    await asyncio.gather(*map(one, range(4)))
    assert order == [0, 0, 1, 1, 2, 2, 3, 3]


class Held(FakeClient):
    """Answers as `fake/counter` once it is let."""

    go: asyncio.Event
    asked: asyncio.Event

    async def complete(self, request: Request, patience: Patience | None = None) -> Reply:
        self.asked.set()
        await self.go.wait()
        return await super().complete(request, patience)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> type[Held]:
    """All fake models wait with their answers until `Held.go` is set."""
    Held.go, Held.asked = asyncio.Event(), asyncio.Event()
    monkeypatch.setattr("flowbot.testing.fake.FakeClient", Held)
    return Held


async def test_who_leaves_a_workbench_waits_for_its_runs_and_no_other_begins(
    small: Task, tmp_path: Path, held: type[Held]
) -> None:
    bench = Workbench(cache_dir=tmp_path / "cache")
    await bench.__aenter__()
    running = asyncio.create_task(run(small, tmp_path / "run", method="none+none", workbench=bench))
    await held.asked.wait()
    closing = asyncio.create_task(bench.close())
    await asyncio.sleep(0.05)
    assert not closing.done()
    with pytest.raises(UserError, match="being closed"):
        await evaluate_async("chain-of-thought", small, lm=MODEL, workbench=bench)
    held.go.set()
    await closing
    assert (await running).status == "done"


async def test_an_error_inside_a_workbench_pauses_its_runs_and_the_same_call_goes_on(
    small: Task, tmp_path: Path, held: type[Held]
) -> None:
    given: dict[str, Any] = {"method": "none+none"}
    begun: list[asyncio.Task[fb.RunResult]] = []

    async def failing() -> None:
        async with Workbench(cache_dir=tmp_path / "cache") as bench:
            begun.append(asyncio.create_task(run(small, tmp_path / "run", workbench=bench, **given)))
            await held.asked.wait()
            asyncio.get_running_loop().call_later(0.05, held.go.set)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await failing()
    paused = await begun[0]
    assert (paused.status, paused.stopped_by, paused.reason) == ("paused", "signal", "the workbench is closed")
    assert paused.now.calls > 0
    done = await run(small, tmp_path / "run", cache_dir=tmp_path / "cache", **given)
    assert done.status == "done"
    assert done.spent.calls == sum(done.calls.values())
