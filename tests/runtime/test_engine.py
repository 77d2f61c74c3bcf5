from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from runtime_help import code, echo, engine_on, llm, single, workflow_of

from flowbot.fields import BudgetExceeded, InfrastructureError, RefusedError, UserError
from flowbot.lm.budget import Budget
from flowbot.lm.client import Request
from flowbot.runtime.sandbox.monty import MontySandbox
from flowbot.runtime.trace import Trace
from flowbot.store import Store
from flowbot.task import tool_of
from flowbot.testing.fake import FakeClient, Faults
from flowbot.workflow.workflow import Workflow

ADD = "def run(items):\n    return {'total': sum(i['n'] for i in items)}"


def list_and_add() -> Workflow:
    return workflow_of(
        {"note": "str"},
        {"total": "add.total"},
        {
            "list": llm({"note": "note"}, {"items": "list[{n: int}]"}),
            "add": code({"items": "list.items"}, {"total": "int"}),
        },
        {"list": {"instruction": "List."}, "add": {"code": ADD}},
    )


async def test_values_flow_from_node_to_node_and_the_trace_tells_what_each_got_and_gave() -> None:
    async with engine_on(lambda _: {"items": [{"n": 2}, {"n": 3}]}) as engine:
        trace = await engine.run(list_and_add(), {"note": "two and three"}, example="e1", purpose="train")
    assert trace.outputs == {"total": 5}
    assert (trace.example, trace.inputs, trace.error) == ("e1", {"note": "two and three"}, "")
    first, second = trace.steps
    assert (first.address, first.kind, first.outputs) == ("list", "llm", {"items": [{"n": 2}, {"n": 3}]})
    assert first.messages[-1].content == "two and three"
    assert json.loads(first.reply) == first.outputs
    assert (second.address, second.kind, second.inputs) == ("add", "code", {"items": [{"n": 2}, {"n": 3}]})
    assert trace.usage == first.usage
    assert trace.usage.calls == 1


async def test_a_trace_survives_json() -> None:
    async with engine_on(FakeClient(lambda _: {"items": [{"n": 2}]}, latency=1)) as engine:
        trace = await engine.run(list_and_add(), {"note": "x"}, purpose="train")
    assert trace.seconds > 0
    assert Trace.load(json.loads(json.dumps(trace.dump()))) == trace


async def test_purposes_are_charged() -> None:
    async with engine_on() as engine:
        await engine.run(single(), {"note": "x"}, purpose="val")
        assert engine.session.ledger.calls == {"val": 1}


async def test_a_reply_of_no_use_is_a_failed_step_with_its_reply_and_cost_and_nothing_after_it_runs() -> None:
    async with engine_on(lambda _: "no idea") as engine:
        trace = await engine.run(list_and_add(), {"note": "x"}, purpose="train")
    assert trace.outputs is None
    assert trace.error.startswith("list: ")
    (step,) = trace.steps
    assert step.outputs is None
    assert "JSON" in step.error
    assert step.reply == "no idea"
    assert step.usage.calls == 2  # asked again once
    assert step.messages


async def test_half_a_surrogate_pair_in_a_reply_fails_its_step_and_not_the_run() -> None:
    async with engine_on(lambda _: '{"items": [], "text": "\\ud800"}') as engine:
        workflow = workflow_of(
            {"note": "str"},
            {"text": "b.text"},
            {
                "a": llm({"note": "note"}, {"items": "list[int]", "text": "str"}),
                "b": llm({"x": "a.text"}, {"text": "str"}),
            },
            {"a": {"instruction": "A"}, "b": {"instruction": "B"}},
        )
        trace = await engine.run(workflow, {"note": "x"}, purpose="train")
    assert "Unicode" in trace.error


async def test_code_that_fails_is_a_failed_step() -> None:
    async with engine_on(lambda _: {"items": []}) as engine:
        broken = "def run(items):\n    return {'total': items[0]['n']}"
        workflow = list_and_add().with_parameter(
            "add", list_and_add().parameter("add").model_copy(update={"code": broken})
        )
        trace = await engine.run(workflow, {"note": "x"}, purpose="train")
    assert trace.error.startswith("add: IndexError")
    assert "items[0]['n']" in trace.error


@pytest.mark.parametrize(
    ("returned", "told"),
    [("{'sum': 1}", "total is missing; found sum"), ("{'total': 'many'}", 'total: found "many"'), ("None", "total")],
)
async def test_code_must_give_what_its_node_declares(returned: str, told: str) -> None:
    workflow = workflow_of(
        {"n": "int"},
        {"total": "add.total"},
        {"add": code({"n": "n"}, {"total": "int"})},
        {"add": {"code": f"def run(n):\n    return {returned}"}},
    )
    async with engine_on() as engine:
        trace = await engine.run(workflow, {"n": 1}, purpose="train")
    assert trace.outputs is None
    assert told in trace.error


def fallback(how: str) -> Workflow:
    kind = "list[int]" if how == "concat" else "int"
    value = "[n]" if how == "concat" else "n"
    return workflow_of(
        {"n": "int"},
        {"n": "m.n"},
        {
            "bad": code({"n": "n"}, {"n": kind}),
            "good": code({"n": "n"}, {"n": kind}),
            "m": {"kind": "merge", "how": how, "in": ["bad.n", "good.n"], "out": {"n": kind}},
        },
        {
            "bad": {"code": "def run(n):\n    return {'n': 1 // 0}"},
            "good": {"code": f"def run(n):\n    return {{'n': {value}}}"},
        },
    )


@pytest.mark.parametrize("how", ["first", "vote"])
async def test_a_merge_of_alternatives_goes_on_without_the_one_that_failed(how: str) -> None:
    async with engine_on() as engine:
        trace = await engine.run(fallback(how), {"n": 7}, purpose="train")
    assert trace.outputs == {"n": 7}
    assert trace.error == ""
    assert [(step.address, bool(step.error)) for step in trace.steps] == [("bad", True), ("good", False), ("m", False)]
    assert trace.steps[-1].inputs == {"good.n": 7}


async def test_a_concatenation_needs_all_its_parts() -> None:
    async with engine_on() as engine:
        trace = await engine.run(fallback("concat"), {"n": 7}, purpose="train")
    assert trace.outputs is None
    assert [step.address for step in trace.steps] == ["bad", "good"]


async def test_nodes_run_side_by_side_and_seconds_follow_the_critical_path() -> None:
    nodes = {name: llm({"note": "note"}, {"text": "str"}) for name in ("a", "b", "c")}
    nodes["z"] = llm({"x": "a.text", "y": "b.text", "w": "c.text"}, {"text": "str"})
    workflow = workflow_of({"note": "str"}, {"text": "z.text"}, nodes, {name: {"instruction": name} for name in nodes})
    client = FakeClient(lambda request: request.messages[0].content, latency=1.0)
    async with engine_on(client) as engine:
        trace = await engine.run(workflow, {"note": "x"}, purpose="train")
    first, last = [step.seconds for step in trace.steps[:3]], trace.steps[3].seconds
    assert trace.seconds == pytest.approx(max(first) + last)
    assert client.clock.now() == pytest.approx(trace.seconds)
    assert trace.usage.seconds == pytest.approx(sum(first) + last)


async def test_the_second_run_calls_nobody_and_gives_the_same_trace() -> None:
    store, client = Store.memory(), FakeClient(lambda _: {"items": [{"n": 2}]}, latency=1)
    async with engine_on(client, store=store) as engine:
        first = await engine.run(list_and_add(), {"note": "x"}, purpose="train")
    calls = client.calls

    class Unused(MontySandbox):
        async def run(self, *_: Any, **__: Any) -> Any:
            raise AssertionError("stored results are not made again")

    async with engine_on(client, store=store, sandbox=Unused()) as engine:
        assert await engine.run(list_and_add(), {"note": "x"}, purpose="train") == first
    assert client.calls == calls


async def test_demonstrations_of_the_example_are_not_shown_to_it() -> None:
    shown = [{"inputs": {"note": "n1"}, "outputs": {"text": "t1"}, "example": "e1"}]
    async with engine_on() as engine:
        own = await engine.run(single(demonstrations=shown), {"note": "x"}, example="e1", purpose="train")
        other = await engine.run(single(demonstrations=shown), {"note": "x"}, example="e2", purpose="train")
    assert [message.content for message in own.steps[0].messages] == ["Say.", "x"]
    assert [message.content for message in other.steps[0].messages] == ["Say.", "n1", "t1", "x"]


async def test_samples_differ_by_draw_above_temperature_zero_only() -> None:
    seeds: list[int | None] = []

    def reply(request: Request) -> str:
        seeds.append(request.seed)
        return "x"

    def pair(temperature: float) -> Workflow:
        nodes = {name: llm({"note": "note"}, {"text": "str"}) for name in ("a", "b")}
        nodes["m"] = {"kind": "merge", "how": "vote", "in": ["a.text", "b.text"], "out": {"text": "str"}}
        told = {"instruction": "Say.", "temperature": temperature}
        return workflow_of({"note": "str"}, {"text": "m.text"}, nodes, {"a": told, "b": told})

    async with engine_on(reply) as engine:
        for replicate in (0, 1, 1):
            await engine.run(pair(1.0), {"note": "x"}, purpose="train", replicate=replicate)
        assert len(seeds) == len(set(seeds)) == 4
        seeds.clear()
        for replicate in (0, 1):
            await engine.run(pair(0.0), {"note": "x"}, purpose="train", replicate=replicate)
        assert seeds == [None]


async def test_a_tool_gets_checked_arguments_and_gives_its_outputs() -> None:
    def lookup(name: str, count: int = 1) -> int:
        """How many there are."""
        return len(name) * count

    nodes = {"t": {"kind": "tool", "tool": "lookup", "in": {"name": "name"}, "out": {"result": "int"}}}
    workflow = workflow_of({"name": "str"}, {"n": "t.result"}, nodes)
    async with engine_on(tools=[lookup]) as engine:
        trace = await engine.run(workflow, {"name": "pear"}, purpose="train")
    assert trace.outputs == {"n": 4}


async def test_a_node_may_name_a_model_of_the_users_list_alone() -> None:
    opened: list[str] = []

    async with engine_on(lambda _: "other") as other:

        def open_model(name: str) -> Any:
            opened.append(name)
            return other.lm

        async with engine_on(open_model=open_model, models=["fake/other"]) as engine:
            trace = await engine.run(single(model="fake/other"), {"note": "x"}, purpose="train")
            assert trace.outputs == {"text": "other"}
            with pytest.raises(UserError, match="'fake/other\\?seed=1'; expected a model that you name"):
                await engine.run(single(model="fake/other?seed=1"), {"note": "x"}, purpose="train")
        assert opened == ["fake/other"]
    async with engine_on(models=["fake/other"]) as engine:
        with pytest.raises(UserError, match="fake/other"):
            await engine.run(single(model="fake/other"), {"note": "x"}, purpose="train")


@pytest.mark.parametrize(
    "inputs", [{}, {"note": "x", "more": 1}, {"note": ["x"]}, {"note": float("nan")}, {"note": "\ud800"}]
)
async def test_wrong_inputs_are_told_before_any_call(inputs: dict[str, Any]) -> None:
    client = FakeClient(echo)
    async with engine_on(client) as engine:
        with pytest.raises(UserError, match="inputs"):
            await engine.run(single(), inputs, purpose="train")
    assert client.calls == 0


@pytest.mark.parametrize(
    ("faults", "budget", "error"),
    [
        (Faults(p500=1.0), None, InfrastructureError),
        (Faults(refuse=1.0), None, RefusedError),
        (None, Budget(calls=1), BudgetExceeded),
    ],
)
async def test_what_is_nobodys_result_is_raised(
    faults: Faults | None, budget: Budget | None, error: type[Exception]
) -> None:
    nodes = {name: llm({"note": "note"}, {"text": "str"}) for name in ("a", "b")}
    nodes["m"] = {"kind": "merge", "how": "first", "in": ["a.text", "b.text"], "out": {"text": "str"}}
    workflow = workflow_of(
        {"note": "str"}, {"text": "m.text"}, nodes, {"a": {"instruction": "A"}, "b": {"instruction": "B"}}
    )
    async with engine_on(FakeClient(echo, faults=faults), budget=budget) as engine:
        with pytest.raises(error):
            await engine.run(workflow, {"note": "x"}, purpose="train")


async def test_hundreds_of_runs_side_by_side_share_identical_calls() -> None:
    client = FakeClient(lambda _: {"items": [{"n": 1}]}, latency=0.5)
    async with engine_on(client, concurrency=8) as engine:
        notes = [{"note": str(n % 150)} for n in range(300)]
        traces = await asyncio.gather(*(engine.run(list_and_add(), note, purpose="train") for note in notes))
    assert [trace.inputs for trace in traces] == notes
    assert client.calls == 150


async def test_a_cancelled_run_leaves_no_task_behind() -> None:
    async with engine_on(FakeClient(echo, latency=10)) as engine:
        run = asyncio.create_task(engine.run(single(), {"note": "x"}, purpose="train"))
        await asyncio.sleep(0)
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
        await engine.settle()
        assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_writing_tool_without_stand_in_is_refused_at_the_start() -> None:
    def refund(order: str) -> str:
        """Pay back."""
        return order

    with pytest.raises(UserError, match="simulate"):
        async with engine_on(tools=[tool_of(refund, effects="writes")]):
            pass
