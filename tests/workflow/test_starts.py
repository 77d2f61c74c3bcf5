"""The library of starts: every file is sound, and fits every task that has what it needs."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_workflows import NAMES, TYPES

from flowbot.fields import Field, ToolSignature, Type, UserError
from flowbot.workflow.check import check
from flowbot.workflow.nodes import LLMNode, MergeNode, walk
from flowbot.workflow.parameters import LLMParameters
from flowbot.workflow.starts import Start, find_start, fit, list_starts, single_call
from flowbot.workflow.workflow import Workflow

GOAL = "Do what is wanted, and do it well."
DOCUMENTS = "list[{title: str, text: str}]"
TOOLS = {
    "python": ToolSignature(
        "python", "", (Field.of("code", "str"),), (Field.of("result", "str"), Field.of("error", "str"))
    ),
    "search": ToolSignature("search", "", (Field.of("query", "str"),), (Field.of("results", DOCUMENTS),)),
}
NOTE, TOTAL = (Field.of("note", "str"),), (Field.of("total", "int", "how many"),)
STARTS = pytest.mark.parametrize("start", list_starts(), ids=lambda start: start.name)

CLASHING = sorted(
    {
        name
        for start in list_starts()
        for path, node in walk(start.workflow.sketch)
        for name in (*path.split("/"), *node.gives)
    }
    | {"question", "answer", "given", "kept_", "reasoning_", "vote_answer", "second_why", "feedback"}
)
"""Names that starts have for things of their own, and some that those could be changed to."""


@st.composite
def task_fields(draw: st.DrawFn, start: Start) -> tuple[tuple[Field, ...], tuple[Field, ...]]:
    """Inputs and outputs of a task that has what the start needs, with names that the start may have too."""
    names = draw(st.lists(st.sampled_from(CLASHING) | NAMES, min_size=5, max_size=9, unique=True))
    names = [name for name in names if name not in start.inputs]
    cut = draw(st.integers(1, len(names) - 1))
    about = st.sampled_from(["", "what it is"])
    needed = [Field.of(name, kind) for name, kind in start.inputs.items()]
    inputs = draw(st.permutations([*needed, *(Field.of(name, draw(TYPES), draw(about)) for name in names[:cut])]))
    if start.wants is not None:
        return tuple(inputs), (Field.of(names[cut], start.wants),)
    return tuple(inputs), tuple(Field.of(name, draw(TYPES), draw(about)) for name in names[cut:])


def instructions(workflow: Workflow) -> list[str]:
    return [each.instruction for each in workflow.parameters.values() if isinstance(each, LLMParameters)]


@STARTS
def test_a_file_is_sound_as_it_stands_and_says_what_it_is(start: Start) -> None:
    assert check(start.workflow, tools=TOOLS) == []
    assert start.what.endswith(".")
    assert start.source
    assert set(start.workflow.sketch.outputs) - {start.output} <= {"sent"}
    assert any(start.goal in text for text in instructions(start.workflow))


@STARTS
@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_a_start_fits_every_task_that_has_what_it_needs(start: Start, data: st.DataObject) -> None:
    inputs, outputs = data.draw(task_fields(start))
    workflow = fit(start, inputs, outputs, GOAL, tools=TOOLS)
    assert check(workflow, tools=TOOLS, task_inputs=inputs, task_outputs=outputs) == []
    assert Workflow.from_data(workflow.dump()) == workflow
    told = " ".join(instructions(workflow))
    assert GOAL in told
    assert start.goal not in told


@STARTS
@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_every_input_is_read_and_every_output_is_asked_of_one_model(start: Start, data: st.DataObject) -> None:
    inputs, outputs = data.draw(task_fields(start))
    workflow = fit(start, inputs, outputs, GOAL, tools=TOOLS)
    asked = [(path, node) for path, node in walk(workflow.sketch) if isinstance(node, LLMNode)]
    names = {field.name for field in inputs}
    assert any(names <= {*node.inputs.values()} for _, node in asked)
    if start.wants is None:
        answering = [(path, node) for path, node in asked if {field.name for field in outputs} <= set(node.out)]
        assert answering
        for path, node in answering:
            assert all(node.out[field.name] == str(field.type) for field in outputs)
            hint = getattr(workflow.parameter(path), "format_hint", "")
            assert all(f"{field.name}: {field.about}" in hint for field in outputs if field.about)


@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_the_two_simplest_are_the_starts_of_a_search(data: st.DataObject) -> None:
    for name, reasoning in (("single-call", False), ("chain-of-thought", True)):
        inputs, outputs = data.draw(task_fields(find_start(name)))
        expected = single_call(inputs, outputs, GOAL, reasoning=reasoning)
        fitted = fit(find_start(name), inputs, outputs, f" {GOAL}\n")
        assert fitted == expected
        assert fitted.hash == expected.hash


def test_each_output_has_a_vote_of_its_own() -> None:
    outputs = (Field.of("total", "int"), Field.of("kind", "str"), Field.of("vote", "bool"))
    nodes = fit(find_start("self-consistency"), NOTE, outputs, GOAL).sketch.nodes
    votes = {name: node for name, node in nodes.items() if isinstance(node, MergeNode)}
    assert [(node.inputs, dict(node.out)) for node in votes.values()] == [
        (("solve.total",), {"total": "int"}),
        (("solve.kind",), {"kind": "str"}),
        (("solve.vote",), {"vote": "bool"}),
    ]


def test_a_search_is_made_with_all_inputs_as_one_text() -> None:
    start = find_start("retrieve-then-read")
    alone = fit(start, NOTE, TOTAL, GOAL).sketch
    assert alone.nodes["find"].references() == ("note",)
    several = fit(start, (*NOTE, Field.of("year", "int")), TOTAL, GOAL).sketch
    assert several.nodes["find"].references() == ("given.text",)
    assert several.nodes["given"].references() == ("note", "year")


def test_a_model_that_picks_tools_gets_those_that_may_be_called() -> None:
    write = ToolSignature("refund", "", (), (Field.of("result", "str"),), effects="writes")
    simulated = ToolSignature("order", "", (), (Field.of("result", "str"),), effects="writes", simulated=True)
    tools = {**TOOLS, "refund": write, "order": simulated}
    told = fit(find_start("react"), NOTE, TOTAL, GOAL, tools=tools).parameter("act")
    assert isinstance(told, LLMParameters)
    assert told.tools == ("python", "search", "order")
    with pytest.raises(UserError, match=r"the task's tools: found refund; expected one that reads"):
        fit(find_start("react"), NOTE, TOTAL, GOAL, tools={"refund": write})


def test_models_of_steps_can_be_chosen() -> None:
    start = find_start("papillon")
    fitted = fit(start, NOTE, TOTAL, GOAL, models={"redact": "fake/echo"})
    assert {path: getattr(fitted.parameter(path), "model", None) for path in fitted.sketch.nodes} == {
        **start.models,
        "redact": "fake/echo",
    }
    with pytest.raises(
        UserError, match="a model for the step 'answer'; expected a step that names one: redact, untrusted, respond"
    ):
        fit(start, NOTE, TOTAL, GOAL, models={"answer": "fake/echo"})


@pytest.mark.parametrize(
    ("name", "inputs", "outputs", "tools", "said"),
    [
        ("program-of-thought", NOTE, TOTAL, {}, "tools: found none; expected one named python"),
        ("retrieve-then-read", NOTE, TOTAL, {"python": TOOLS["python"]}, "found python; expected one named search"),
        ("react", NOTE, TOTAL, {}, "tools: found none"),
        ("generate-test-revise", NOTE, (Field.of("code", "str"),), TOOLS, "found no tests; expected tests: str"),
        ("generate-test-revise", (Field.of("tests", "int"),), (Field.of("code", "str"),), TOOLS, "found tests: int"),
        ("multi-hop-claims", NOTE, TOTAL, TOOLS, r"found total: int; expected one of type list\[str\]"),
        ("multi-hop-claims", NOTE, (*TOTAL, Field.of("all", "list[str]")), TOOLS, "total: int, all: list"),
    ],
)
def test_a_task_that_lacks_something_is_refused_by_name(
    name: str, inputs: Sequence[Field], outputs: Sequence[Field], tools: dict[str, ToolSignature], said: str
) -> None:
    with pytest.raises(UserError, match=said) as raised:
        fit(find_start(name), inputs, outputs, GOAL, tools=tools)
    assert f"start {name}" in str(raised.value)


def test_a_search_without_titles_is_refused_before_its_steps_trip_over_it() -> None:
    texts = ToolSignature("search", "", (Field.of("query", "str"),), (Field("results", Type.parse("list[str]")),))
    with pytest.raises(UserError, match=r"search, which gives results: list\[str\]; expected one that gives results"):
        fit(find_start("multi-hop-qa"), NOTE, TOTAL, GOAL, tools={"search": texts})


def test_a_goal_that_is_too_long_is_refused() -> None:
    with pytest.raises(UserError, match="start single-call: instruction with the task's own words"):
        fit(find_start("single-call"), NOTE, TOTAL, "long " * 2000)


def test_an_unknown_start_is_answered_with_what_is_near() -> None:
    with pytest.raises(UserError, match="found 'self-consistent'; expected self-consistency"):
        find_start("self-consistent")
    with pytest.raises(UserError, match="single-call, chain-of-thought"):
        find_start("?")
