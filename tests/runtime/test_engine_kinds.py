"""Branches, loops, maps, samples and judges: what runs, what costs nothing, what the trace says."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from runtime_help import code, engine_on, llm, workflow_of

from flowbot.fields import RefusedError
from flowbot.lm.client import Request
from flowbot.runtime.trace import Trace
from flowbot.workflow.workflow import Workflow

TASK = {"n": "int"}


class Model:
    """Answers by the first word of the instruction and notes what was asked."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.asked: list[str] = []

    def __call__(self, request: Request) -> str | Mapping[str, Any]:
        step = request.messages[0].content.split()[0]
        said = request.messages[-1].content
        self.asked.append(f"{step} {said}")
        answer = self.answers[step]
        return answer(said) if callable(answer) else answer


async def ran(workflow: Workflow, inputs: dict[str, Any], model: Any = lambda request: "x", **more: Any) -> Trace:
    async with engine_on(model, **more) as engine:
        return await engine.run(workflow, inputs, purpose="test")


def told(*names: str, **more: Any) -> dict[str, Any]:
    return {name: {"instruction": f"{name} it.", **more} for name in names}


def branching(**ways: Any) -> Workflow:
    nodes = {
        "route": {"kind": "branch", "in": {"n": "n"}, "ways": ways or {"many": {"ref": "n", "op": ">", "value": 20}, "few": "else"}},
        "careful": {"when": "route.many", **llm({"n": "n"}, {"a": "str"})},
        "quick": {"when": "route.few", **llm({"n": "n"}, {"a": "str"})},
        "join": {"kind": "merge", "how": "first", "in": ["careful.a", "quick.a"], "out": {"a": "str"}},
    }  # fmt: skip
    return workflow_of(TASK, {"a": "join.a"}, nodes, told("careful", "quick"))


@pytest.mark.parametrize(("n", "way", "step"), [(21, "many", "careful"), (20, "few", "quick")])
async def test_a_branch_takes_one_way_and_the_other_costs_nothing(n: int, way: str, step: str) -> None:
    model = Model(careful="slow", quick="fast")
    trace = await ran(branching(), {"n": n}, model)
    assert trace.outputs == {"a": model.answers[step]}
    assert model.asked == [f"{step} {n}"]
    assert [each.address for each in trace.steps] == ["route", step, "join"]
    assert trace.steps[0].outputs == {"way": way}
    assert trace.steps[1].reads == ("route",)


async def test_a_way_that_reads_a_way_is_not_run_either() -> None:
    nodes = {
        "outer": {"kind": "branch", "in": {"n": "n"}, "ways": {"big": {"ref": "n", "op": ">", "value": 9}, "small": "else"}},
        "inner": {"kind": "branch", "when": "outer.big", "in": {"n": "n"}, "ways": {"even": {"ref": "n", "op": "in", "value": [10, 12]}, "odd": "else"}},
        "even": {"when": "inner.even", **llm({"n": "n"}, {"a": "str"})},
        "odd": {"when": "inner.odd", **llm({"n": "n"}, {"a": "str"})},
        "small": {"when": "outer.small", **llm({"n": "n"}, {"a": "str"})},
        "all": {"kind": "merge", "how": "concat", "in": ["even.a", "odd.a", "small.a"], "out": {"a": "str"}},
    }  # fmt: skip
    flow = workflow_of(TASK, {"a": "all.a"}, nodes, told("even", "odd", "small"))
    model = Model(even="e", odd="o", small="s")
    assert [(await ran(flow, {"n": n}, model)).outputs for n in (12, 11, 3)] == [{"a": "e"}, {"a": "o"}, {"a": "s"}]
    assert model.asked == ["even 12", "odd 11", "small 3"]


async def test_a_model_chooses_among_labels() -> None:
    nodes = {
        "route": {"kind": "branch", "in": {"q": "q"}, "ways": ["sum", "name"]},
        "add": {"when": "route.sum", **llm({"q": "q"}, {"a": "str"})},
        "find": {"when": "route.name", **llm({"q": "q"}, {"a": "str"})},
        "join": {"kind": "merge", "how": "first", "in": ["add.a", "find.a"], "out": {"a": "str"}},
    }
    flow = workflow_of({"q": "str"}, {"a": "join.a"}, nodes, told("route", "add", "find"))
    model = Model(route=lambda said: {"choice": "sum" if "+" in said else "name"}, add="4", find="Ann")
    assert (await ran(flow, {"q": "2+2"}, model)).outputs == {"a": "4"}
    trace = await ran(flow, {"q": "who?"}, model)
    assert trace.outputs == {"a": "Ann"}
    assert trace.steps[0].usage.calls == 1


async def test_a_failed_choice_is_the_models_error_and_nothing_after_it_runs() -> None:
    nodes = {
        "route": {"kind": "branch", "in": {"q": "q"}, "ways": ["sum", "name"]},
        "add": {"when": "route.sum", **llm({"q": "q"}, {"a": "str"})},
        "find": {"when": "route.name", **llm({"q": "q"}, {"a": "str"})},
        "join": {"kind": "merge", "how": "concat", "in": ["add.a", "find.a"], "out": {"a": "str"}},
    }
    flow = workflow_of({"q": "str"}, {"a": "join.a"}, nodes, told("route", "add", "find"))
    trace = await ran(flow, {"q": "?"}, Model(route={"choice": "neither"}, add="4", find="Ann"))
    assert trace.outputs is None
    assert trace.error.startswith("route: ")
    assert [step.address for step in trace.steps] == ["route"]


def counting(**loop: Any) -> Workflow:
    """Adds one to a number in each step."""
    nodes = {
        "up": {
            "kind": "loop", "max": 5, "carry": {"m": {"type": "int", "start": "n", "next": "add.m"}},
            "nodes": {"add": code({"m": "m"}, {"m": "int"})}, **loop,
        }
    }  # fmt: skip
    return workflow_of(TASK, {"m": "up.m"}, nodes, {"up/add": {"code": "def run(m):\n    return {'m': m + 1}"}})


async def test_a_loop_stops_when_its_condition_holds() -> None:
    trace = await ran(counting(until={"ref": "m", "op": ">=", "value": 3}), {"n": 0})
    assert trace.outputs == {"m": 3}
    assert [step.address for step in trace.steps] == ["up", "up/add[1]", "up/add[2]", "up/add[3]"]
    assert trace.steps[0].note == ""
    assert [step.node for step in trace.steps] == ["up", "up/add", "up/add", "up/add"]
    assert [step.reads for step in trace.steps] == [(), (), ("up/add[1]",), ("up/add[2]",)]


async def test_a_loop_stops_at_its_bound_and_says_so() -> None:
    trace = await ran(counting(until={"ref": "add.m", "op": "==", "value": 99}), {"n": 0})
    assert trace.outputs == {"m": 5}
    assert trace.steps[0].note == "stopped at its bound of 5 steps"


async def test_a_loop_without_a_condition_makes_all_its_steps() -> None:
    trace = await ran(counting(max=2), {"n": 7})
    assert trace.outputs == {"m": 9}
    assert trace.steps[0].note == ""


async def test_a_step_of_a_loop_that_fails_ends_it_with_its_address() -> None:
    flow = counting()
    flow = flow.with_parameter(
        "up/add", flow.parameter("up/add").model_copy(update={"code": "def run(m):\n    return {'m': 3 // (3 - m)}"})
    )
    trace = await ran(flow, {"n": 2})
    assert trace.outputs is None
    assert trace.error.startswith("up/add[2]: ZeroDivisionError")
    assert trace.steps[0].error == trace.error


def mapping(limit: int = 10, inner: dict[str, Any] | None = None) -> Workflow:
    nodes = {
        "each": {
            "kind": "map", "over": "words", "limit": limit, "out": {"says": "say.a"},
            "nodes": inner or {"say": llm({"word": "item", "tone": "tone"}, {"a": "str"})},
        }
    }  # fmt: skip
    return workflow_of({"words": "list[str]", "tone": "str"}, {"says": "each.says"}, nodes, told("each/say"))


async def test_a_map_runs_its_body_for_every_item_in_order() -> None:
    def reply(request: Request) -> str:
        return request.messages[-1].content.splitlines()[0].removeprefix("word: ").upper()

    trace = await ran(mapping(), {"words": ["a", "b", "c"], "tone": "loud"}, reply)
    assert trace.outputs == {"says": ["A", "B", "C"]}
    assert [step.address for step in trace.steps] == ["each", "each/say[1]", "each/say[2]", "each/say[3]"]
    assert (await ran(mapping(), {"words": [], "tone": "loud"}, reply)).outputs == {"says": []}


async def test_a_map_goes_over_no_more_than_its_limit_and_says_so() -> None:
    trace = await ran(mapping(limit=2), {"words": list("abcd"), "tone": "t"})
    assert trace.outputs == {"says": ["x", "x"]}
    assert trace.steps[0].note == "only the first 2 of 4 items"


async def test_a_map_in_which_an_item_fails_says_which() -> None:
    def reply(request: Request) -> str:
        return "" if any("word: b" in message.content for message in request.messages) else "x"

    trace = await ran(mapping(), {"words": ["a", "b"], "tone": "t"}, reply)
    assert trace.outputs is None
    assert trace.error.startswith("each/say[2]: ")


async def test_bodies_nest_and_addresses_say_where() -> None:
    inner = {
        "grow": {
            "kind": "loop", "max": 2, "carry": {"text": {"type": "str", "start": "item", "next": "add.text"}},
            "nodes": {"add": code({"text": "text", "tone": "tone"}, {"text": "str"})},
        },
        "say": code({"text": "grow.text"}, {"a": "str"}),
    }  # fmt: skip
    flow = workflow_of(
        {"words": "list[str]", "tone": "str"}, {"says": "each.says"},
        {"each": {"kind": "map", "over": "words", "limit": 9, "out": {"says": "say.a"}, "nodes": inner}},
        {"each/grow/add": {"code": "def run(text, tone):\n    return {'text': text + tone}"},
         "each/say": {"code": "def run(text):\n    return {'a': text.upper()}"}},
    )  # fmt: skip
    trace = await ran(flow, {"words": ["a", "b"], "tone": "!"})
    assert trace.outputs == {"says": ["A!!", "B!!"]}
    assert [step.address for step in trace.steps] == [
        "each",
        *(f"each/{name}" for item in (1, 2) for name in (f"grow[{item}]", f"grow[{item}]/add[1]", f"grow[{item}]/add[2]", f"say[{item}]")),
    ]  # fmt: skip
    assert trace.steps[-1].reads == ("each/grow[2]/add[2]",)


def voting(samples: int = 5, **more: Any) -> Workflow:
    nodes = {
        "solve": llm({"n": "n"}, {"a": "int"}),
        "vote": {"kind": "merge", "how": "vote", "in": ["solve.a"], "out": {"a": "int"}, **more},
    }
    parameters = told("solve", samples=samples, temperature=0.7)
    if more:
        parameters |= told("vote")
    return workflow_of(TASK, {"a": "vote.a"}, nodes, parameters)


async def test_samples_are_drawn_apart_and_a_merge_joins_all_of_them() -> None:
    drawn = iter([1, 7, 2, 7, 3])
    trace = await ran(voting(), {"n": 1}, lambda request: {"a": next(drawn)}, concurrency=1)
    assert trace.outputs == {"a": 7}
    assert [step.address for step in trace.steps] == [*(f"solve#{n}" for n in range(1, 6)), "vote"]
    assert trace.steps[-1].reads == tuple(f"solve#{n}" for n in range(1, 6))
    assert trace.usage.calls == 5


async def test_a_sample_that_fails_leaves_the_others() -> None:
    drawn = iter([{"a": 3}, {"a": 4}, {"a": 4}])
    trace = await ran(
        voting(4), {"n": 1}, lambda request: "none" if len(request.messages) > 2 else next(drawn, "none"), concurrency=1
    )
    assert trace.outputs == {"a": 4}
    assert [bool(step.error) for step in trace.steps] == [False, False, False, True, False]
    assert trace.steps[-1].reads == ("solve#1", "solve#2", "solve#3")


async def test_the_same_samples_come_from_the_store_again() -> None:
    calls: list[int] = []

    def reply(request: Request) -> Mapping[str, Any]:
        calls.append(1)
        return {"a": len(calls)}

    async with engine_on(reply) as engine:
        first = await engine.run(voting(), {"n": 1}, purpose="test")
        again = await engine.run(voting(), {"n": 1}, purpose="test")
        other = await engine.run(voting(), {"n": 1}, purpose="test", replicate=1)
    assert len(calls) == 10
    assert [step.outputs for step in first.steps] == [step.outputs for step in again.steps]
    assert [step.outputs for step in other.steps] != [step.outputs for step in first.steps]


async def test_steps_and_items_draw_apart() -> None:
    """Equal requests in a loop's steps and a map's items are different samples where the temperature is not 0."""
    body = {"guess": llm({"n": "n"}, {"a": "int"})}
    nodes = {
        "each": {"kind": "map", "over": "words", "limit": 3, "out": {"all": "twice.a"}, "nodes": {
            "twice": {"kind": "loop", "max": 2, "carry": {"a": {"type": "int", "start": "n", "next": "guess.a"}}, "nodes": body}}},
    }  # fmt: skip
    flow = workflow_of(
        {"n": "int", "words": "list[str]"}, {"all": "each.all"}, nodes, told("each/twice/guess", temperature=1.0)
    )
    calls: list[int] = []

    def reply(request: Request) -> Mapping[str, Any]:
        calls.append(1)
        return {"a": len(calls)}

    await ran(flow, {"n": 0, "words": ["x", "y", "z"]}, reply)
    assert len(calls) == 6


async def test_a_judge_picks_a_candidate_and_is_asked_only_where_they_differ() -> None:
    def judge(request: Request) -> Mapping[str, Any]:
        said = request.messages[-1].content
        if request.messages[0].content.startswith("vote"):
            judged.append(said)
            return {"choice": "B"}
        return {"a": next(drawn)}

    flow = voting(2, how="judge", given={"n": "n"})
    judged: list[str] = []
    drawn = iter([1, 2, 5, 5])
    async with engine_on(judge, concurrency=1) as engine:
        trace = await engine.run(flow, {"n": 3}, purpose="test")
        same = await engine.run(flow, {"n": 4}, purpose="test")
    assert trace.outputs == {"a": 2}
    assert judged == ["n: 3\nA: 1\nB: 2"]
    assert same.outputs == {"a": 5}


async def test_a_trace_with_everything_survives_json() -> None:
    trace = await ran(counting(until={"ref": "m", "op": ">", "value": 1}), {"n": 0})
    assert Trace.load(json.loads(json.dumps(trace.dump()))) == trace


async def test_an_error_names_what_the_missing_output_needed_and_not_what_a_merge_did_without() -> None:
    nodes = {
        "a": code({"n": "n"}, {"v": "int"}),
        "b": code({"n": "n"}, {"v": "int"}),
        "m": {"kind": "merge", "how": "first", "in": ["a.v", "b.v"], "out": {"v": "int"}},
        "last": code({"v": "m.v"}, {"v": "int"}),
    }
    codes = {"a": "[][1]", "b": "n", "last": "1 // (v - v)"}
    parameters = {
        name: {"code": f"def run({'v' if name == 'last' else 'n'}):\n    return {{'v': {text}}}"}
        for name, text in codes.items()
    }
    trace = await ran(workflow_of(TASK, {"v": "last.v"}, nodes, parameters), {"n": 1})
    assert trace.error.startswith("last: ZeroDivisionError")
    assert trace.steps[0].error.startswith("IndexError")


async def test_a_loop_starts_with_one_value_even_where_several_samples_were_drawn() -> None:
    nodes = {
        "draw": llm({"n": "n"}, {"a": "int"}),
        "up": {
            "kind": "loop", "max": 2, "carry": {"m": {"type": "float", "start": "draw.a", "next": "all.m"}},
            "nodes": {"all": {"kind": "merge", "how": "vote", "in": ["m"], "out": {"m": "float"}}},
        },
        "vote": {"kind": "merge", "how": "vote", "in": ["draw.a"], "out": {"a": "int"}},
    }  # fmt: skip
    flow = workflow_of(TASK, {"m": "up.m", "a": "vote.a"}, nodes, told("draw", samples=3, temperature=1.0))
    trace = await ran(flow, {"n": 1}, lambda request: {"a": 4})
    assert [step.inputs for step in trace.steps if step.node == "up/all"] == [{"m": 4.0}, {"m": 4.0}]
    assert trace.step("up/all[1]").reads == ("draw#1",)  # type: ignore[union-attr]


@pytest.mark.parametrize("concurrency", [1, 2, 16])
async def test_all_samples_are_asked_for_whenever_a_refusal_comes(concurrency: int) -> None:
    asked: list[int] = []

    def refuse(request: Request) -> str:
        asked.append(1)
        raise RefusedError("policy")

    async with engine_on(refuse, concurrency=concurrency) as engine:
        with pytest.raises(RefusedError):
            await engine.run(voting(), {"n": 1}, purpose="test")
        assert sum(engine.session.ledger.calls.values()) == 5
