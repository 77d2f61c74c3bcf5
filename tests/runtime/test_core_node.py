"""A program in words is carried out step by step: what is asked, what is traced, how it ends."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

import pytest
from runtime_help import engine_on, workflow_of

from flowbot.lm.client import Request
from flowbot.runtime.trace import Trace
from flowbot.workflow.calls import most_calls, usual_calls
from flowbot.workflow.check import check
from flowbot.workflow.workflow import Workflow

COUNT = """\
Step 1:::process:::List the things:::next::Step 2
Step 2:::decision:::Is one missing?:::Yes::Step 1::No::Step 3
Step 3:::terminal:::Give how many there are:::
"""
Reply = Callable[[Request], str | Mapping[str, Any]]


def lookup(item: str) -> int:
    """How many there are in stock."""
    if item == "unicorns":
        raise ValueError("there are none")
    return len(item)


def flow(program: str = COUNT, out: str = "int", tools: tuple[str, ...] = (), **node: Any) -> Workflow:
    plan = {"kind": "core", "in": {"question": "question"}, "out": {"n": out}, **node}
    told = {"program": program, **({"tools": list(tools)} if tools else {})}
    return workflow_of({"question": "str"}, {"n": "plan.n"}, {"plan": plan}, {"plan": told})


async def ran(workflow: Workflow, reply: Reply, question: str = "How many pens?") -> tuple[Trace, list[Request]]:
    asked: list[Request] = []

    def answered(request: Request) -> str | Mapping[str, Any]:
        asked.append(request)
        return reply(request)

    async with engine_on(answered, tools=[lookup]) as engine:
        return await engine.run(workflow, {"question": question}, purpose="test"), asked


def fields(request: Request) -> list[str]:
    return [] if request.schema is None else list(request.schema["properties"])


def last(request: Request) -> str:
    return request.messages[-1].content


def scripted(*ways: str, n: Any = 2) -> Reply:
    """Answers each step with its last word, takes the ways in order, and gives `n` in the end."""
    left = list(ways)

    def reply(request: Request) -> str | Mapping[str, Any]:
        if fields(request) == ["n"]:
            return {"n": n}
        return {"next": left.pop(0)} if fields(request) == ["next"] else f"did {last(request).split()[-1]}"

    return reply


async def test_a_step_is_a_call_and_the_terminal_gives_the_typed_outputs() -> None:
    trace, asked = await ran(flow(), scripted("Yes", "No"))
    assert trace.outputs == {"n": 2}
    addresses = [step.address for step in trace.steps]
    assert addresses == [
        "plan",
        "plan/step-1[1]",
        "plan/step-2[1]",
        "plan/step-1[2]",
        "plan/step-2[2]",
        "plan/step-3[1]",
    ]
    assert list(map(fields, asked)) == [[], ["next"], [], ["next"], ["n"]]
    assert {each.temperature for each in asked} == {0.0}
    assert (trace.usage.calls, trace.steps[0].usage.calls) == (5, 0)


async def test_a_run_is_a_chat_a_turn_a_step_that_does_not_show_the_program() -> None:
    trace, asked = await ran(flow(), scripted("Yes", "No"))
    assert [(each.role, each.content) for each in asked[2].messages[1:]] == [
        ("user", "How many pens?\n\nList the things"), ("assistant", "did things"),
        ("user", "Is one missing?"), ("assistant", "Yes"), ("user", "List the things"),
    ]  # fmt: skip
    assert all(":::" not in message.content for each in asked for message in each.messages)
    for one, other in pairwise(asked):
        assert one.messages[:-1] == other.messages[: len(one.messages) - 1]
    again = trace.step("plan/step-1[2]")
    assert again is not None
    assert again.inputs == {"question": "How many pens?", "step-1[1]": "did things", "step-2[1]": "Yes"}
    assert again.reads == ("plan/step-1[1]", "plan/step-2[1]")
    assert {step.slots for step in trace.steps} == {("plan",)}


async def test_at_the_bound_the_outputs_are_asked_for_where_the_run_stands() -> None:
    trace, asked = await ran(flow(max_steps=4), scripted("Yes", "Yes"))
    assert trace.outputs == {"n": 2}
    assert [step.address for step in trace.steps][-1] == "plan/step-2[2]"
    assert trace.steps[0].note == "stopped at its bound of 4 steps, in Step 2"
    assert "No steps are left." in last(asked[-1])


async def test_a_reply_that_is_no_output_is_asked_for_again_with_the_error_then_the_step_fails() -> None:
    trace, asked = await ran(flow(), scripted("No", n="many"))
    assert (trace.outputs, len(asked)) == (None, 4)
    assert "That reply is of no use" in last(asked[-1])
    assert trace.steps[0].error.startswith('Step 3: n: found "many"')
    assert trace.error.startswith("plan: Step 3: ")


TOOLED = "A:::process:::Look it up:::next::B\nB:::decision:::Is it enough?:::yes::C::no::A\nC:::terminal:::Say it"


def with_tools(item: str = "pens") -> Reply:
    def reply(request: Request) -> str | Mapping[str, Any]:
        if "tool" not in fields(request):
            return {"next": "yes"} if "next" in fields(request) else "four"
        given = {"tool": "lookup", "arguments": f'{{"item": "{item}"}}'}
        return {**given, "next": "no"} if "next" in fields(request) else {"answer": "I look", **given}

    return reply


async def test_a_process_calls_a_tool_at_no_further_call_and_a_decision_is_asked_once_more() -> None:
    trace, asked = await ran(flow(TOOLED, "str", ("lookup",)), with_tools())
    assert trace.outputs == {"n": "four"}
    assert list(map(fields, asked)) == [
        ["answer", "tool", "arguments"], ["tool", "arguments", "next"], ["next"], [],
    ]  # fmt: skip
    first, decision = trace.step("plan/a[1]"), trace.step("plan/b[1]")
    assert first is not None
    assert decision is not None
    assert [(call.tool, call.arguments, call.result) for call in first.calls] == [
        ("lookup", {"item": "pens"}, {"result": 4})
    ]
    assert (decision.outputs, decision.usage.calls) == ({"next": "yes"}, 2)
    assert asked[1].messages[-2].content == "I look"
    assert last(asked[1]).startswith("You have called lookup(item: pens): 4\n\nIs it enough?")
    assert "Is it enough?\n\nYou have called lookup(item: pens): 4" in last(asked[2])
    assert "- lookup(item: str): How many there are in stock." in asked[0].messages[0].content


async def test_a_tool_that_fails_is_told_and_the_program_goes_on() -> None:
    trace, asked = await ran(flow(TOOLED, "str", ("lookup",)), with_tools("unicorns"))
    assert trace.outputs == {"n": "four"}
    assert "lookup(item: unicorns): Error: tool lookup: " in last(asked[1])


@pytest.mark.parametrize("interpreter", ["compact", "faithful"])
async def test_a_call_that_was_cut_is_told_and_not_made(interpreter: str) -> None:
    def reply(request: Request) -> str | Mapping[str, Any]:
        text = last(request)
        if "JSON object alone" in text:
            return '{"item": "pens and a very long list of many other things that may be had in the shop"}'
        if "tool" in fields(request):
            return '{"answer": "", "next": "yes", "tool": "lookup", "arguments": "{\\"item\\": \\"pens and a very long list of many other things that may be had in the shop\\"}"}'
        if "next" in fields(request):
            return {"next": "yes"}
        return "1" if "number alone" in text else "Yes"

    workflow = flow(TOOLED, "str", ("lookup",), interpreter=interpreter)
    told = workflow.parameter("plan").model_copy(update={"max_tokens": 16})
    trace, _ = await ran(workflow.with_parameter("plan", told), reply)
    first = trace.step("plan/a[1]")
    assert first is not None
    assert [(call.result, call.error) for call in first.calls] == [
        (None, "the call was cut at 16 tokens; make it shorter")
    ]


async def test_steps_of_names_that_look_alike_have_addresses_of_their_own() -> None:
    text = "A b:::process:::x:::next::A-b\nA-b:::process:::y:::next::?\n?:::terminal:::z"
    trace, _ = await ran(flow(text), scripted())
    assert [step.address for step in trace.steps[1:]] == ["plan/a-b[1]", "plan/a-b_2[1]", "plan/step[1]"]


async def test_the_faithful_interpreter_asks_the_instruction_alone_and_then_what_the_answer_means() -> None:
    def reply(request: Request) -> str | Mapping[str, Any]:
        if fields(request):
            return {"n": 3}
        return (
            ("I am not sure." if request.temperature < 1 else "It is 2.") if "number alone" in last(request) else "pens"
        )

    trace, asked = await ran(flow(interpreter="faithful"), reply)
    assert trace.outputs == {"n": 3}
    assert [each.temperature for each in asked] == [1.0, 1.0, 0.0, 0.5, 1.0, 1.0, 0.0]
    assert [step.address for step in trace.steps] == ["plan", "plan/step-1[1]", "plan/step-2[1]", "plan/step-3[1]"]
    assert all("Step 1" not in last(each) for each in asked)


async def test_a_branch_that_is_never_named_fails_the_step_and_is_not_the_first_one() -> None:
    trace, asked = await ran(flow(interpreter="faithful"), lambda request: "pens")
    assert (trace.outputs, len(asked)) == (None, 7)
    assert trace.steps[0].error == "Step 2: no branch is named in 'pens'"


async def test_the_faithful_interpreter_asks_for_a_tool_in_four_questions_and_later_whether_its_result_helps() -> None:
    def reply(request: Request) -> str | Mapping[str, Any]:
        text = last(request)
        if "Does a tool have to be called" in text:
            return "Yes, it has."
        if "number alone" in text:
            return "1"
        if "JSON object alone" in text:
            return '{"item": "pens"}'
        if "Say in a few words" in text:
            return "the stock of pens"
        return "No." if "Do you need" in text else "four"

    trace, asked = await ran(flow(TOOLED, "str", ("lookup",), interpreter="faithful"), reply)
    assert trace.outputs == {"n": "four"}
    first = trace.step("plan/a[1]")
    assert first is not None
    assert (first.usage.calls, [call.result for call in first.calls]) == (5, [{"result": 4}])
    helps = [
        each for each in asked if "the result of this to answer: lookup(item=pens): the stock of pens" in last(each)
    ]
    assert len(helps) == 2  # of the two calls, which are the same, at temperature 0 each later step asks once


@pytest.mark.parametrize(
    ("tools", "interpreter", "most", "usual"),
    [
        ((), "compact", 20, 3),
        (("lookup",), "compact", 40, 3),
        ((), "faithful", 41, 7),
        (("lookup",), "faithful", 331, 10),
    ],
)
def test_how_many_calls_a_run_takes_is_known_before(
    tools: tuple[str, ...], interpreter: str, most: int, usual: int
) -> None:
    workflow = flow(tools=tools, interpreter=interpreter)
    assert (most_calls(workflow), usual_calls(workflow)) == (most, usual)


def test_the_checker_lists_what_is_wrong_with_the_program() -> None:
    workflow = flow()
    broken = workflow.with_parameter(
        "plan", workflow.parameter("plan").model_copy(update={"program": "A:::process:::x:::next::B"})
    )
    assert [str(each) for each in check(broken)] == [
        "parameters.plan.program: no step is a terminal; make the step that gives the answer a terminal",
        "parameters.plan.program, line 1: there is no step 'B'; go on to A",
    ]
    empty = workflow.with_parameter("plan", workflow.parameter("plan").model_copy(update={"program": ""}))
    assert [each.where for each in check(empty)] == ["parameters.plan.program"]
    short = workflow_of_steps(2)
    assert [each.what for each in check(short)] == ["its shortest way takes 3 steps"]
    assert [each.what for each in check(flow(tools=("lookup",)), tools={})] == ["there is no tool 'lookup'"]


def workflow_of_steps(max_steps: int) -> Workflow:
    data = flow().dump()
    data["nodes"]["plan"]["max_steps"] = max_steps
    return Workflow.from_data(data)
