"""A user's own program as a node: it is read, checked, told apart, drawn and counted like any other, and runs nothing by that."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flowbot.draw.mermaid import draw_mermaid
from flowbot.draw.svg import draw_svg
from flowbot.draw.text import draw_text
from flowbot.fields import UserError
from flowbot.workflow.calls import asked_models, fillings, most_calls, usual_calls
from flowbot.workflow.check import check
from flowbot.workflow.diff import changed_nodes, diff
from flowbot.workflow.edits.applying import applied
from flowbot.workflow.edits.draft import EditError
from flowbot.workflow.edits.parse import parse_edits
from flowbot.workflow.edits.schema import edits_schema
from flowbot.workflow.parameters import Demonstration, ProgramParameters, TunedText
from flowbot.workflow.workflow import Workflow

FILLING: dict[str, Any] = {
    "inputs": {"docs": "list[str]", "question": "str"},
    "outputs": {"docs": "pick.docs"},
    "nodes": {"pick": {"kind": "llm", "in": {"docs": "docs", "question": "question"}, "out": {"docs": "list[str]"}}},
    "parameters": {"pick": {"instruction": "Keep what helps.", "model": "fake/echo"}},
}
DATA: dict[str, Any] = {
    "flowbot": 1,
    "inputs": {"question": "str"},
    "outputs": {"answer": "app.answer"},
    "nodes": {
        "app": {"kind": "program", "call": "app.py:answer", "in": {"question": "question"}, "out": {"answer": "str"}}
    },
    "parameters": {
        "app": {
            "texts": {
                "plan": "Write a query.",
                "say": {
                    "text": "Answer.",
                    "demonstrations": [{"inputs": {"question": "pens?"}, "outputs": {"n": 2}, "example": "e1"}],
                },
            },
            "values": {"top_k": 5},
            "slots": {"after_search": FILLING},
        }
    },
}


def flow(**parameters: Any) -> Workflow:
    told = {**DATA["parameters"]["app"], **parameters}
    return Workflow.from_data({**DATA, "parameters": {"app": told}})


def told(workflow: Workflow) -> ProgramParameters:
    found = workflow.parameter("app")
    assert isinstance(found, ProgramParameters)
    return found


@pytest.mark.parametrize("name", ["a.flow.yaml", "a.flow.json"])
def test_it_stands_in_a_file_and_comes_back(tmp_path: Path, name: str) -> None:
    flow().save(tmp_path / name)
    again = Workflow.load(tmp_path / name)
    assert (again, again.hash, check(again)) == (flow(), flow().hash, [])
    assert again.dump() == DATA


def test_a_text_is_read_with_its_examples_but_for_the_one_that_is_scored() -> None:
    app = told(flow())
    assert app.text("say") == "Answer.\n\nExamples:\n\nquestion: pens?\nn: 2"
    assert (app.text("say", "e1"), app.text("plan"), app.text("other")) == ("Answer.", "Write a query.", None)
    changed = app.with_told("say", app.told("say").with_text("Say."))
    assert changed.texts == {
        "plan": "Write a query.",
        "say": TunedText(text="Say.", demonstrations=(Demonstration(inputs={"question": "pens?"}, outputs={"n": 2}, example="e1"),)),
    }  # fmt: skip
    assert changed.plain_text("say") == "Say."


def test_it_is_told_apart_by_all_that_it_is_told() -> None:
    turned = {**FILLING, "inputs": {"question": "str", "docs": "list[str]"}}
    others = [
        flow(),
        flow(texts={"plan": "Other."}),
        flow(values={"top_k": 3}),
        flow(values={"top_k": 5.0}),
        flow(slots={}),
        flow(slots={"after_search": turned}),
    ]
    assert len({each.hash for each in others}) == len(others)
    assert changed_nodes(flow(), flow(values={"top_k": 3})) == {"app"}
    lines = diff(flow(), flow(texts={"plan": "Write one query."}, values={"top_k": 3}, slots={}))
    assert "    +Write one query." in lines
    assert "~ app, value top_k: 5 → 3" in lines
    assert "- app, slot after_search: pick" in lines


def test_its_calls_are_bounded_and_the_models_of_its_fillings_known() -> None:
    assert (most_calls(flow()), usual_calls(flow()), usual_calls(flow(texts={}))) == (21, 3, 2), (
        "a filling asks besides"
    )
    assert list(asked_models(flow())) == [("app:after_search/pick", "fake/echo")]
    assert [name for name, _ in fillings(flow(), "app")] == ["after_search"]


@pytest.mark.parametrize(
    ("node", "parameters", "where", "told"),
    [
        ({"call": "app.py"}, {}, "nodes.app.call", "names no callable"),
        ({"call": "app.py:a.b"}, {}, "nodes.app.call", "names no callable"),
        ({"max_calls": 0}, {}, "nodes.app.max_calls", "max_calls is 0"),
        ({"out": {}}, {}, "nodes.app.out", "gives nothing"),
        ({"in": {"question": "other"}}, {}, "nodes.app.in.question", "other"),
        ({}, {"texts": {"no name": "x"}}, "parameters.app.texts", "no name"),
        ({}, {"slots": {"s": {**FILLING, "outputs": {}}}}, "parameters.app.slots.s.outputs", "gives nothing"),
        ({}, {"slots": {"s": {**FILLING, "outputs": {"other": "pick.docs"}}}}, "parameters.app.slots.s.outputs", "gives other"),
        ({}, {"slots": {"s": {"nodes": 1}}}, "parameters.app.slots.s.nodes", "found 1"),
        ({}, {"slots": {"s": {**FILLING, "parameters": {}}}}, "parameters.app.slots.s.parameters.pick.instruction", "missing"),
        ({}, {"slots": {"s": {**DATA, "outputs": {"question": "app.answer"}}}}, "parameters.app.slots.s.nodes", "within a program"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_place(
    node: dict[str, Any], parameters: dict[str, Any], where: str, told: str
) -> None:
    app = {**DATA["nodes"]["app"], **node}
    broken = Workflow.from_data({**DATA, "nodes": {"app": app}, "parameters": {"app": parameters}})
    found = [each for each in check(broken) if each.where == where]
    assert found, check(broken)
    assert told in found[0].what


@pytest.mark.parametrize(
    ("parameters", "place"),
    [
        ({"texts": {"plan": 1}}, r"parameters\.app\.texts\.plan: "),
        ({"texts": {"plan": {"text": 1}}}, r"parameters\.app\.texts\.plan\.text: "),
        ({"values": {"top_k": None}}, r"parameters\.app\.values\.top_k: found null; expected a number"),
        ({"values": {"top_k": [1]}}, r"parameters\.app\.values\.top_k: .*expected a number"),
        ({"instruction": "x"}, r"parameters\.app\.?.*instruction"),
    ],
)
def test_parameters_of_another_type_are_refused_at_the_door(parameters: dict[str, Any], place: str) -> None:
    with pytest.raises(UserError, match=place):
        flow(**parameters)


def test_it_is_drawn_with_what_it_calls_and_what_is_tuned() -> None:
    for drawn in (draw_text(flow()), draw_svg(flow()), draw_mermaid(flow())):
        assert "program app.py:answer" in drawn
    assert "texts plan, say" in draw_svg(flow())


def test_edits_use_it_and_bring_no_other_program() -> None:
    beside = {"op": "insert_branch", "id": "app", "name": "again", "in": {"question": "question"},
              "condition": {"ref": "question", "op": "empty"}}  # fmt: skip
    after = applied(flow(), parse_edits([beside])).after
    assert after.parameters["again"] == after.parameters["app"]
    kept = applied(flow(), parse_edits([{"op": "rename", "id": "app", "to": "main"}])).after
    assert told(flow()) == kept.parameters["main"]
    other = {"op": "add", "id": "other", "node": {**DATA["nodes"]["app"], "call": "evil.py:main"}}
    with pytest.raises(EditError, match=r"evil\.py:main is another program"):
        applied(flow(), parse_edits([other]))
    with pytest.raises(EditError, match="sets texts, values, and nothing else"):
        parse_edits(
            [{"op": "replace", "id": "app", "node": DATA["nodes"]["app"], "parameters": {"slots": {"s": FILLING}}}]
        )
    assert '"program"' not in str(edits_schema(sketch=flow().sketch)).replace("'", '"')
