"""Ceilings of every kind at a priced endpoint: what is set aside goes by replies seen, and the test shrinks before it is refused."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from endpoint_help import Body, Endpoint, chat, serving
from search_help import searching

from flowbot.fields import BudgetExceeded, RefusedError, UserError, stable_hash
from flowbot.lm import gate
from flowbot.lm.budget import Budget
from flowbot.lm.client import Message, Request
from flowbot.optimizer import course
from flowbot.optimizer.belief import Belief
from flowbot.optimizer.ceilings import FEWEST, Cost, ceiling_outlooks, require_room
from flowbot.optimizer.confirm import AsAdopted, Confirm
from flowbot.optimizer.course import run_in_blocks
from flowbot.optimizer.estimate import estimate
from flowbot.optimizer.pool_method import PoolMethod
from flowbot.optimizer.population import Candidate
from flowbot.optimizer.reserve import Reserve
from flowbot.optimizer.run import optimize_async
from flowbot.optimizer.seams import Context
from flowbot.optimizer.search import Search
from flowbot.run.events import Arm
from flowbot.run.result import ClosingTest, CostEstimate
from flowbot.runtime.program import WorkflowProgram
from flowbot.task import Task
from flowbot.testing.fake_behaviours import counter
from flowbot.workflow.calls import usual_calls
from flowbot.workflow.starts import find_start, fit, single_call
from flowbot.workflow.workflow import Workflow

MODEL = "openai/priced"
PRICE = (4.0, 16.0)


def answer(body: Body, _: int) -> web.Response:
    messages = tuple(Message(each["role"], each["content"]) for each in body["messages"])
    schema = body.get("response_format", {}).get("json_schema", {}).get("schema")
    said = counter(Request(messages, 400, schema=schema), stable_hash(body))
    text = said if isinstance(said, str) else json.dumps(said)
    read = sum(len(each.content) for each in messages) // 4
    return chat(text, usage={"prompt_tokens": read, "completion_tokens": 2 + len(text) // 4 + len(text) % 7})


@pytest.fixture
async def priced(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Endpoint]:
    """An endpoint that answers as `fake/counter` and counts tokens; `PRICE` is its price. However busy the machine, no call is asked twice."""
    monkeypatch.setattr(gate, "SHORTEST", 60.0)
    async with serving() as endpoint:
        endpoint.answer = answer
        monkeypatch.setenv("OPENAI_BASE_URL", str(endpoint.server.make_url("/v1")))
        monkeypatch.setenv("OPENAI_API_KEY", "sk-rooms-0123456789")
        yield endpoint


@pytest.fixture
def small(orders: Task) -> Task:
    """24 examples in every split."""
    return replace(orders, splits={split: rows[:24] for split, rows in orders.splits.items()})


async def run(task: Task, folder: Path, **given: Any) -> Any:
    options = {"lm": MODEL, "effort": "low", "price": PRICE, "run_dir": folder / "run", "cache_dir": folder / "cache"}
    return await optimize_async(task, **{**options, **given})


def start_of(task: Task) -> Any:
    return single_call(task.inputs, task.outputs, task.goal, reasoning=True)


async def test_a_ceiling_of_what_the_run_takes_lets_it_end_although_the_estimate_is_higher(
    priced: Endpoint, small: Task, tmp_path: Path
) -> None:
    free = await run(small, tmp_path / "free")
    planned = estimate(small, lm=MODEL, effort="low", start=start_of(small), price=PRICE).usd
    assert planned is not None
    budget = Budget(usd=0.8 * planned)
    bound = await run(small, tmp_path / "bound", budget=budget)
    assert bound.stopped_by == "finished"
    assert bound.tested == ClosingTest(run=24, of=24)
    assert bound.to_json()["scores"] == free.to_json()["scores"]


@pytest.mark.parametrize("share", [0.5, 0.65, 0.8])
@pytest.mark.parametrize("kind", ["usd", "tokens", "calls"])
async def test_below_that_the_test_shrinks_the_ceiling_holds_and_the_replay_ends_where_the_run_did(
    priced: Endpoint, small: Task, tmp_path: Path, kind: str, share: float
) -> None:
    free = await run(small, tmp_path / "free")
    took = {"usd": free.spent.usd, "tokens": free.spent.tokens, "calls": sum(free.calls.values())}[kind]
    ceiling = share * took if kind == "usd" else int(share * took)
    news: list[str] = []
    ends: list[Any] = []
    for _ in range(2):
        budget = Budget(**{kind: ceiling})
        ends.append(await run(small, tmp_path, budget=budget, progress=lambda event: news.append(event.text)))
        assert budget.used[kind] <= ceiling
    first, again = (each.to_json() for each in ends)
    assert first["status"] == "done"
    assert first["scores"]["final"]["test"]["n"] == first["tested"]["run"] >= min(FEWEST, 24)
    assert first["scores"]["start"]["test"]["n"] == first["tested"]["run"]
    shrunk = first["tested"]["run"] < 24
    assert any("left room to test on" in line for line in news) == shrunk
    same = ("scores", "calls", "tested", "stopped_by", "kept_from")
    assert {name: again[name] for name in same} == {name: first[name] for name in same}
    assert ends[1].replayed_events > 0


async def test_at_some_ceiling_the_test_is_smaller(priced: Endpoint, orders: Task, tmp_path: Path) -> None:
    free = await run(orders, tmp_path)
    bound = await run(orders, tmp_path / "bound", cache_dir=tmp_path / "cache", budget=Budget(usd=0.5 * free.spent.usd))
    assert FEWEST <= bound.tested.run < bound.tested.of
    assert bound.difference.test is not None
    assert bound.difference.test.n == bound.tested.run


async def test_a_winner_is_validated_in_whole_blocks_beside_the_start_on_as_many_as_a_ceiling_allows(
    priced: Endpoint, orders: Task, tmp_path: Path
) -> None:
    validated: list[int] = []
    for seed in range(4):
        budget = Budget(calls=700)
        bound = await run(orders, tmp_path / f"{seed}", cache_dir=tmp_path, effort=2000, seed=seed, budget=budget)
        assert bound.stopped_by == "budget"
        assert bound.start_scores.test is not None
        if bound.workflow.hash == bound.start.hash:
            continue
        assert bound.start_scores.val.n == bound.final_scores.val.n
        validated.append(bound.final_scores.val.n)
    assert validated
    assert all(number >= 10 and number % 10 == 0 for number in validated)


@pytest.mark.parametrize("share", [0.66, 0.84])
async def test_the_order_in_which_answers_come_decides_nothing_under_a_ceiling(
    monkeypatch: pytest.MonkeyPatch, priced: Endpoint, small: Task, tmp_path: Path, share: float
) -> None:
    start = fit(find_start("plan-and-solve"), small.inputs, small.outputs, small.goal)
    free = await run(small, tmp_path / "free", start=start)
    ends: list[dict[str, Any]] = []
    left: list[float] = []
    give_up = Reserve.give_up_rest
    for number in range(3):
        budget = Budget(usd=share * free.spent.usd)

        async def late(body: Body, count: int, number: int = number) -> web.Response:
            await asyncio.sleep(int(stable_hash([number, body])[:4], 16) / 65536 / 30)
            return answer(body, count)

        def noted(rooms: Reserve, budget: Budget = budget) -> None:
            give_up(rooms)
            left.append(budget.left["usd"])

        priced.answer = late
        monkeypatch.setattr(Reserve, "give_up_rest", noted)
        ends.append((await run(small, tmp_path / str(number), start=start, budget=budget)).to_json())
    same = ("scores", "tested", "stopped_by", "kept_from")
    first, *others = [{name: end[name] for name in same} for end in ends]
    assert others == [first, first]
    # Where calls in flight met the ceiling nothing but what is set aside is counted on, for what they left over is by chance.
    assert left == pytest.approx([0.0] * len(left), abs=1e-9)
    assert len(left) >= len(ends)


@pytest.mark.parametrize("kind", ["calls", "tokens", "usd"])
def test_a_refusal_names_the_smallest_ceiling_that_is_taken_and_the_estimate(small: Task, kind: str) -> None:
    start, models = start_of(small), (MODEL, None)
    planned = estimate(small, lm=MODEL, start=start, price=PRICE)
    low = ceiling_outlooks(Budget(**{kind: 1}) if kind != "usd" else Budget(usd=0.001), small, start, models, PRICE)[0]
    with pytest.raises(
        UserError, match=rf"the ceiling of {kind}: found .*; expected at least .* closing test of 10"
    ) as told:
        require_room(low, small, planned)
    named = str(told.value).partition("at least ")[2].partition(", to score")[0].strip("$").split()[0].replace(",", "")
    enough = float(named) if kind == "usd" else int(named)
    require_room(ceiling_outlooks(Budget(**{kind: enough}), small, start, models, PRICE)[0], small, planned)
    assert low[0].least <= enough <= 1.1 * low[0].least


def test_two_dollars_are_enough_for_an_ordinary_task_and_a_large_model(orders: Task) -> None:
    long = {
        split: [replace(row, inputs={"note": row.inputs["note"] * 60}) for row in rows]
        for split, rows in orders.splits.items()
    }
    task = replace(orders, splits=long)
    (found,), _ = ceiling_outlooks(Budget(usd=2), task, start_of(task), ("openai/gpt-4.1", None), None)
    assert found.rows > FEWEST
    assert found.given > found.enough


def test_by_batches_half_a_ceiling_is_enough(orders: Task) -> None:
    asked = (Budget(usd=2), orders, start_of(orders), ("openai/gpt-4.1", None), None)
    ((usual,), least), ((half,), half_least) = ceiling_outlooks(*asked), ceiling_outlooks(*asked, batch=True)
    assert half.least == pytest.approx(usual.least / 2)
    assert (half_least.usd, half_least.calls) == (pytest.approx(least.usd / 2), least.calls)


def test_a_start_with_high_bounds_is_not_refused_for_its_bounds(orders: Task) -> None:
    loop = {
        "kind": "loop", "max": 10, "carry": {"draft": {"type": "str", "start": "note", "next": "revise.draft"}},
        "nodes": {"revise": {"kind": "llm", "in": {"draft": "draft"}, "out": {"draft": "str"}}},
    }  # fmt: skip
    answer = {"kind": "llm", "in": {"draft": "again.draft"}, "out": {"total": "int"}}
    start = Workflow.from_data(
        {
            "flowbot": 1, "inputs": {"note": "str"}, "outputs": {"total": "answer.total"},
            "nodes": {"again": loop, "answer": answer},
            "parameters": {"again/revise": {"instruction": "Again."}, "answer": {"instruction": "Say."}},
        }
    )  # fmt: skip
    assert usual_calls(start) == 2
    (found,), _ = ceiling_outlooks(Budget(calls=150), orders, start, (MODEL, None), None)
    assert found.least <= 150


def test_what_fits_is_told_by_the_tightest_of_the_ceilings_that_there_are() -> None:
    room = Cost(calls=2, tokens=300, usd=0.01)
    assert room.times_in({"calls": 9}, 50) == 4
    assert room.times_in({"calls": 9, "tokens": 899}, 50) == 2
    assert room.times_in({"usd": -0.5}, 50) == 0
    assert room.times_in({}, 50) == 50


async def test_the_blocks_before_the_one_that_a_ceiling_cut_short_stand(small: Task, tmp_path: Path) -> None:
    start = start_of(small)
    async with searching(small, start, lambda request: counter(request, ""), tmp_path) as search:
        search.session.budget = Budget(calls=19)
        tested = await run_in_blocks(search, {"the start": search.start}, "test", None)
        search.settle()
        assert len(tested) == 16
        assert len(search.recorded(search.start, tested)) == 16


async def test_validation_blocks_before_the_one_that_a_ceiling_cut_short_stand(small: Task, tmp_path: Path) -> None:
    start = start_of(small)
    async with searching(small, start, lambda request: counter(request, ""), tmp_path) as search:
        found = WorkflowProgram(single_call(small.inputs, small.outputs, small.goal, reasoning=False))
        population = search.population
        winner = Candidate("p1", found, population.start, Arm(kind="change"), Belief(0.1, 0.05))
        population.add(winner)
        population.incumbent = winner
        search.session.budget = Budget(calls=33)
        await Confirm[WorkflowProgram]().choose(search)
        search.settle()
        assert [len(search.recorded(each, search.validation)) for each in (search.start, found)] == [10, 10]


class Whole(AsAdopted[WorkflowProgram]):
    """Runs the start on all of validation, whatever is left."""

    async def choose(self, context: Context[WorkflowProgram]) -> Candidate[WorkflowProgram]:
        with suppress(BudgetExceeded):
            await context.run(context.population.start.program, context.validation, "val")
        return context.population.start


async def test_what_a_ceiling_met_in_validation_left_over_is_not_for_the_test(
    monkeypatch: pytest.MonkeyPatch, small: Task, tmp_path: Path
) -> None:
    given_up: list[float] = []
    give_up = Reserve.give_up_rest
    budget = Budget(calls=50)

    def noted(rooms: Reserve) -> None:
        given_up.append(budget.left["calls"])
        give_up(rooms)

    monkeypatch.setattr(Reserve, "give_up_rest", noted)
    method = PoolMethod("whole", closing=Whole)
    result = await run(small, tmp_path, lm="fake/counter", price=None, effort=1, method=method, budget=budget)
    assert result.status == "done"
    assert len(given_up) == 1
    assert result.tested.run >= FEWEST


class Through(AsAdopted[WorkflowProgram]):
    """Runs the start on all of validation and knows nothing of ceilings."""

    async def choose(self, context: Context[WorkflowProgram]) -> Candidate[WorkflowProgram]:
        await context.run(context.population.start.program, context.validation, "val")
        return context.population.incumbent


async def test_a_closing_that_lets_a_ceiling_through_ends_the_run_as_at_a_ceiling(small: Task, tmp_path: Path) -> None:
    method, budget = PoolMethod("through", closing=Through), Budget(calls=50)
    result = await run(small, tmp_path, lm="fake/counter", price=None, effort=200, method=method, budget=budget)
    assert (result.status, result.stopped_by, result.kept) == ("done", "budget", "start")
    assert result.stopped_because == "the ceiling of calls is reached"
    assert result.tested.run >= FEWEST


async def test_what_a_ceiling_met_on_the_starts_first_rows_left_over_is_not_for_the_test(
    monkeypatch: pytest.MonkeyPatch, small: Task, tmp_path: Path
) -> None:
    given_up: list[float] = []
    budget = Budget(calls=40)
    hold_rest = budget.hold_rest

    async def opened(search: Search, *_: object) -> None:
        for number in range(9):  # each time another program, so that none of it is stored
            program = WorkflowProgram(single_call(small.inputs, small.outputs, f"{number}", reasoning=False))
            await search.run(program, search.training, "train")

    def noted() -> object:
        given_up.append(budget.left["calls"])
        return hold_rest()

    monkeypatch.setattr(course, "_open", opened)
    monkeypatch.setattr(budget, "hold_rest", noted)
    result = await run(small, tmp_path, lm="fake/counter", price=None, effort=1, budget=budget)
    assert (result.status, result.stopped_by) == ("done", "budget")
    assert len(given_up) == 1
    assert result.tested.run >= FEWEST


async def test_a_row_that_was_refused_in_what_a_ceiling_cut_short_is_a_row_again(small: Task, tmp_path: Path) -> None:
    def refused(request: Request) -> str:
        raise RefusedError("no")

    async with searching(small, start_of(small), refused, tmp_path) as search:
        row = search.training[0]
        await search.run(search.start, [row], "train")
        assert search.dropped == {row}
        search.cut_short()
        search.settle()
        assert (search.dropped, search.training[0]) == (set(), row)


def test_a_refusal_comes_before_any_call_and_nothing_is_written(orders: Task, tmp_path: Path) -> None:
    planned = CostEstimate(calls=659, tokens=150_000, usd=None, by_purpose={})
    with pytest.raises(UserError, match="up to 659 calls"):
        require_room(
            ceiling_outlooks(Budget(calls=35), orders, start_of(orders), (MODEL, None), None)[0], orders, planned
        )
    require_room(ceiling_outlooks(Budget(calls=36), orders, start_of(orders), (MODEL, None), None)[0], orders, planned)
