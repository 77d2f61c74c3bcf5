"""A program in words and its typed nodes go the same way: on the same answers the same steps, in the same order."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any
from zlib import crc32

import pytest
from core_programs import AGAIN, AHEAD, APART, ENDS, KNOTTED, NESTED, STRAIGHT
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from runtime_help import engine_on, workflow_of

from flowbot.fields import Field
from flowbot.lm.client import Request
from flowbot.workflow.core import CoreProgram, CoreStep, StepKind, dump_core, reached, read_core
from flowbot.workflow.core_lift import MOST_NODES, lift_core
from flowbot.workflow.core_loops import dominators, loops_of
from flowbot.workflow.nodes import walk
from flowbot.workflow.starts.core import core_workflow
from flowbot.workflow.workflow import Workflow

INPUTS, OUTPUTS = [Field.of("task", "str")], [Field.of("text", "str"), Field.of("n", "int")]


def flow(text: str, **more: Any) -> Workflow:
    return core_workflow(text, INPUTS, OUTPUTS, **more)


def lifted(workflow: Workflow) -> Workflow:
    found, why = lift_core(workflow, "plan")
    assert found is not None, why
    return found


def way_of(workflow: Workflow, program: CoreProgram, chance: int) -> tuple[list[str], Any, str]:
    """The steps of a run, by name, where each decision takes the way that the number says; the outputs, and what is noted."""
    path, visits = list[str](), Counter[str]()
    by_text = {step.instruction: step for step in program.steps}

    def reply(request: Request) -> str | Mapping[str, Any]:
        system, said = request.messages[0].content, request.messages[-1].content
        now = re.search(r"^(do .*)$", said, re.MULTILINE)
        step = by_text[now[1] if now else system.partition("\n")[0]]
        path.append(step.name)
        visits[step.name] += 1
        asked = {} if request.schema is None else dict[str, Any](request.schema["properties"])
        if "n" in asked:
            return {"text": f"end {step.name}", "n": len(path)}
        answer = f"did {step.name}, {visits[step.name]}"
        if "next" not in asked:
            return answer
        keys = [key for key, _ in step.branches]
        key = keys[crc32(f"{chance} {step.name} {visits[step.name]}".encode()) % len(keys)]
        return {
            "answer": answer,
            "next": next(each for each in asked["next"]["enum"] if each.partition(" → ")[0] == key),
        }

    async def run() -> tuple[Any, str]:
        async with engine_on(reply) as engine:
            trace = await engine.run(workflow, {"task": "Do it."}, purpose="test")
        assert trace.outputs is not None, trace.error
        return trace.outputs, trace.steps[0].note

    return path, *asyncio.run(run())


def same_way(text: str, chance: int) -> None:
    # An instruction is its step's name here, so that a request tells which step it is of.
    read, _ = read_core(text)
    named = (CoreStep(each.name, each.kind, f"do {each.name}", each.branches) for each in read.steps)
    program = CoreProgram(tuple(named))
    workflow = flow(dump_core(program), max_steps=24)
    path, outputs, note = way_of(workflow, program, chance)
    assume(not note)
    assert way_of(lifted(workflow), program, chance)[:2] == (path, outputs)


@pytest.mark.parametrize("text", [STRAIGHT, AGAIN, APART, AHEAD, ENDS, NESTED])
@given(st.integers(0, 40))
@settings(max_examples=6, deadline=None)
def test_the_nine_programs_go_the_same_way_in_both_forms(text: str, chance: int) -> None:
    same_way(text, chance)


@st.composite
def programs(draw: st.DrawFn) -> str:
    """Programs without a defect, of any shape; most of them have loops."""
    names = [f"S{number}" for number in range(draw(st.integers(3, 8)))]
    steps = list[CoreStep]()
    for number, name in enumerate(names):
        kinds: list[StepKind] = ["process", "decision", "decision", "terminal"] if number else ["process", "decision"]
        kind: StepKind = "terminal" if name == names[-1] else draw(st.sampled_from(kinds))
        keys = {"process": ["next"], "decision": ["yes", "no", "or"][: draw(st.integers(2, 3))], "terminal": []}[kind]
        near = names[max(0, number - 2) : number + 3]
        steps.append(CoreStep(name, kind, f"do {name}", tuple((key, draw(st.sampled_from(near))) for key in keys)))
    ways = CoreProgram(tuple(steps)).targets()
    found = reached(ways, [names[0]])
    text = dump_core(CoreProgram(tuple(step for step in steps if step.name in found)))
    assume(not read_core(text)[1])
    return text


@given(programs(), st.integers(0, 9))
@settings(max_examples=60, deadline=None)
def test_any_program_goes_the_same_way_in_both_forms_or_has_a_circle_that_is_no_loop(text: str, chance: int) -> None:
    program = read_core(text)[0]
    if loops_of(program) is None:
        found, why = lift_core(flow(text), "plan")
        assert (found, "more than one step" in why) == (None, True)
    else:
        same_way(text, chance)


@given(programs())
@settings(deadline=None)
def test_a_step_dominates_another_if_without_it_the_other_is_not_reached(text: str) -> None:
    program = read_core(text)[0]
    ways, first = program.targets(), program.first.name
    above = dominators(ways, first)
    for each in ways:
        without = {name: tuple(t for t in targets if t != each) for name, targets in ways.items()}
        lost = set(ways) - (reached(without, [first]) if each != first else set())
        assert {name for name in ways if each in above[name]} == lost


def test_a_circle_that_is_entered_in_two_places_stays_a_program() -> None:
    found, why = lift_core(flow(KNOTTED), "plan")
    assert (found, why) == (None, "One of its circles can be entered at more than one step, so that it is no loop.")
    assert (
        lift_core(lifted(flow(STRAIGHT)), "step_1")[1]
        == "step_1 is no program in words that stands in the workflow itself."
    )


def test_ways_that_never_meet_are_made_once_for_each_up_to_a_bound() -> None:
    rows = [f"S{n}:::decision:::d:::a::S{n + 1}::b::S{n + 2}::c::S{n + 3}" for n in range(20)]
    text = "\n".join([*rows, *(f"S{n}:::terminal:::t" for n in range(20, 23))])
    assert (
        lift_core(flow(text), "plan")[1]
        == f"It would take more than {MOST_NODES} nodes: too many of its ways do not meet."
    )


def test_the_rest_of_the_workflow_reads_the_nodes_in_place_of_the_program() -> None:
    nodes: dict[str, Any] = {
        "plan": {"kind": "core", "in": {"task": "task"}, "out": {"n": "int"}},
        "say": {"kind": "llm", "in": {"n": "plan.n"}, "out": {"text": "str"}},
    }
    told: dict[str, Any] = {"plan": {"program": STRAIGHT, "model": "fake/echo"}, "say": {"instruction": "Say it."}}
    found = lifted(workflow_of({"task": "str"}, {"n": "plan.n", "text": "say.text"}, nodes, told))
    assert [name for name, _ in walk(found.sketch)] == ["step_1", "step_2", "step_3", "say"]
    assert (found.sketch.outputs["n"], found.sketch.nodes["say"].references()) == ("step_3.n", ("step_3.n",))
    assert {getattr(each, "model", None) for name, each in found.parameters.items() if name != "say"} == {"fake/echo"}  # fmt: skip
