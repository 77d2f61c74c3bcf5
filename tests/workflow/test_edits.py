"""Edits: what each does, what it refuses, and what follows the nodes that stay."""

from __future__ import annotations

import json
from typing import Any

import pytest

from flowbot.fields import Field, ToolSignature
from flowbot.workflow.check import check
from flowbot.workflow.edits.applying import apply
from flowbot.workflow.edits.basic import AddNode, RemoveNode, ReplaceNode, Rewire, SetOutput
from flowbot.workflow.edits.draft import EditError
from flowbot.workflow.edits.edit import dump_edits
from flowbot.workflow.edits.parse import parse_edits
from flowbot.workflow.edits.schema import edits_schema
from flowbot.workflow.nodes import CodeNode, LLMNode
from flowbot.workflow.parameters import ChoiceParameters, CodeParameters, Demonstration, LLMParameters
from flowbot.workflow.workflow import Workflow

SUM = {"kind": "code", "in": {"items": "list.items"}, "out": {"n": "int"}}
CODE = {"code": "def run(items):\n    return {'n': len(items)}"}


def start(**node: Any) -> Workflow:
    return Workflow.from_data(
        {
            "flowbot": 1,
            "inputs": {"note": "str", "hint": "str"},
            "outputs": {"total": "answer.total"},
            "nodes": {"answer": {"kind": "llm", "in": {"note": "note"}, "out": {"why": "str", "total": "int"}, **node}},
            "parameters": {"answer": {"instruction": "Count."}},
        }
    )


def split() -> Workflow:
    """list (llm) → sum (code), from the start."""
    edits = [
        {"op": "remove", "id": "answer", "bypass": {"answer.total": "sum.n"}},
        {"op": "add", "id": "sum", "node": SUM, "parameters": CODE},
        {"op": "add", "id": "list", "node": {"kind": "llm", "in": {"note": "note"}, "out": {"items": "list[str]"}},
         "parameters": {"instruction": "List."}},
    ]  # fmt: skip
    return apply(start(), parse_edits(edits))


def test_a_call_can_be_split_in_one_list_of_edits_and_nodes_come_in_order() -> None:
    workflow = split()
    assert list(workflow.sketch.nodes) == ["list", "sum"]
    assert workflow.sketch.outputs == {"total": "sum.n"}
    assert workflow.parameters == {"list": LLMParameters(instruction="List."), "sum": CodeParameters(**CODE)}


def test_an_edit_that_leaves_an_invalid_workflow_is_refused_with_all_defects() -> None:
    edits = parse_edits([{"op": "add", "id": "sum", "node": SUM}])
    with pytest.raises(EditError, match="would not be valid") as caught:
        apply(start(), edits)
    assert [d.where for d in caught.value.defects] == ["nodes.sum.in.items", "nodes.sum", "parameters.sum.code"]


def test_parameters_stay_with_a_replaced_node_of_the_same_kind_only() -> None:
    wider = LLMNode.model_validate({"in": {"note": "note", "hint": "hint"}, "out": {"total": "int"}})
    kept = apply(start(), [ReplaceNode(id="answer", node=wider)])
    assert kept.parameter("answer") == LLMParameters(instruction="Count.")
    other = CodeNode.model_validate({"in": {"note": "note"}, "out": {"total": "int"}})
    with pytest.raises(EditError, match="no function `run`"):
        apply(start(), [ReplaceNode(id="answer", node=other)])


def test_demonstrations_that_no_longer_fit_are_dropped_and_others_stay() -> None:
    shown = (Demonstration(inputs={"note": "a"}, outputs={"total": 1}, example="e1"),)
    before = start().with_parameter("answer", LLMParameters(instruction="Count.", demonstrations=shown))
    rewired = apply(before, [Rewire(id="answer", input="note", to="hint")])
    assert rewired.parameter("answer") == before.parameter("answer")
    widened = apply(before, [Rewire(id="answer", input="hint", to="hint")])
    assert widened.sketch.nodes["answer"].references() == ("note", "hint")
    assert widened.parameter("answer") == LLMParameters(instruction="Count.")


def test_an_added_node_without_parameters_has_those_of_its_kind() -> None:
    vote = {"kind": "merge", "how": "vote", "in": ["answer.total"], "out": {"n": "int"}}
    edits = [{"op": "add", "id": "vote", "node": vote}, {"op": "output", "output": "total", "to": "vote.n"}]
    assert apply(start(), parse_edits(edits)).parameter("vote") == ChoiceParameters()


def test_a_node_that_takes_a_removed_ones_id_does_not_take_its_parameters() -> None:
    node = {"kind": "llm", "in": {"note": "note"}, "out": {"total": "int"}}
    edits = [{"op": "remove", "id": "answer", "bypass": {"answer.total": "answer.total"}}]
    with pytest.raises(EditError, match="the instruction is missing"):
        apply(start(), parse_edits([*edits, {"op": "add", "id": "answer", "node": node}]))


def test_removing_from_a_merge_leaves_each_reference_once() -> None:
    vote = {"kind": "merge", "how": "vote", "in": ["answer.total", "twice.n"], "out": {"n": "int"}}
    twice = {"kind": "code", "in": {"n": "answer.total"}, "out": {"n": "int"}}
    code = {"code": "def run(n):\n    return {'n': n}"}
    both = apply(start(), parse_edits([
        {"op": "add", "id": "twice", "node": twice, "parameters": code},
        {"op": "add", "id": "vote", "node": vote},
        {"op": "output", "output": "total", "to": "vote.n"},
    ]))  # fmt: skip
    after = apply(both, [RemoveNode(id="twice", bypass={"twice.n": "answer.total"})])
    assert after.sketch.nodes["vote"].references() == ("answer.total",)
    assert "twice" not in after.parameters
    swapped = apply(both, [Rewire(id="vote", input="twice.n", to="answer.total"), RemoveNode(id="twice")])
    assert swapped.hash == after.hash
    with pytest.raises(EditError, match=r"the merge joins answer\.total, twice\.n"):
        apply(both, [Rewire(id="vote", input="n", to="answer.total")])


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (RemoveNode(id="gone"), "there is no node gone; there are answer"),
        (RemoveNode(id="answer"), r"output total reads answer.total: say in bypass"),
        (
            RemoveNode(id="answer", bypass={"answer.x": "note"}),
            "name what is read of the node, answer.why or answer.total",
        ),
        (RemoveNode(id="answer", bypass={"answer.total": "note"}), "no node would be left"),
        (SetOutput(output="sum", to="note"), "outputs are total, and they stay"),
        (SetOutput(output="total", to="answer.why"), "is str, and the task wants int"),
        (Rewire(id="answer", input="note", to="answer.why"), "a circle"),
        (AddNode(id="answer", node=LLMNode.model_validate({"in": {}, "out": {}})), "there is a node answer already"),
        (AddNode(id="note", node=LLMNode.model_validate({"in": {}, "out": {}})), "note is an input"),
    ],
)
def test_what_cannot_be_done_is_refused_with_what_to_change(edit: Any, says: str) -> None:
    with pytest.raises(EditError, match=says):
        apply(start(), [edit])


@pytest.mark.parametrize(
    "edit",
    [
        RemoveNode(id="answer"),
        Rewire(id="answer", input="note", to="hint"),
        ReplaceNode(id="answer", node=LLMNode.model_validate({"in": {"note": "note"}, "out": {"total": "int"}})),
    ],
)
def test_a_frozen_node_stays_as_it_is(edit: Any) -> None:
    with pytest.raises(EditError, match="answer is frozen"):
        apply(start(frozen=True), [edit])


def test_a_removal_does_not_rewire_a_frozen_reader() -> None:
    data = split().dump()
    data["nodes"]["sum"]["frozen"] = True
    data["inputs"]["other"] = "list[str]"
    with pytest.raises(EditError, match="sum reads it and is frozen"):
        apply(Workflow.from_data(data), [RemoveNode(id="list", bypass={"list.items": "other"})])


def test_the_tasks_types_decide_when_they_are_given() -> None:
    edits = [SetOutput(output="total", to="answer.why")]
    text = (Field.of("total", "str"),)
    assert apply(start(), edits, task_outputs=text).sketch.outputs == {"total": "answer.why"}
    with pytest.raises(EditError, match="no tool 'x'"):
        apply(
            start(),
            parse_edits([{"op": "add", "id": "t", "node": {"kind": "tool", "tool": "x", "in": {}, "out": {}}}]),
            tools={},
        )


def test_edits_are_described_in_a_line_each() -> None:
    edits = parse_edits([
        {"op": "add", "id": "sum", "node": SUM, "parameters": CODE},
        {"op": "replace", "id": "b", "node": {"kind": "tool", "tool": "look", "in": {"q": "x"}, "out": {"r": "int"}}},
        {"op": "remove", "id": "c", "bypass": {"c.x": "note"}},
        {"op": "rewire", "id": "d", "input": "q", "to": "note"},
        {"op": "output", "output": "total", "to": "sum.n"},
    ])  # fmt: skip
    assert [str(edit) for edit in edits] == [
        "add code sum: list.items → n: int",
        "replace b by tool look b: x → r: int",
        "remove c, reading note for c.x",
        "d reads note as q",
        "take the output total from sum.n",
    ]
    assert dump_edits(edits)[0] == {"op": "add", "id": "sum", "node": SUM, "parameters": CODE}
    assert parse_edits(json.loads(json.dumps(dump_edits(edits)))) == edits


def test_the_form_that_models_write_is_read() -> None:
    written = {
        "edits": [
            {
                "op": "add",
                "id": "sum",
                "node": {
                    "kind": "code",
                    "in": [{"name": "items", "from": "list.items"}],
                    "out": [{"name": "n", "type": "int"}],
                    **CODE,
                },
            },
            {"op": "remove", "id": "answer", "bypass": [{"from": "answer.total", "to": "sum.n"}]},
            {"op": "remove", "id": "b", "bypass": []},
        ]
    }
    assert parse_edits(written) == (
        AddNode(id="sum", node=CodeNode.model_validate(SUM), parameters=CodeParameters(**CODE)),
        RemoveNode(id="answer", bypass={"answer.total": "sum.n"}),
        RemoveNode(id="b"),
    )


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (3, "expected a list of edits"),
        ({"edit": []}, "expected a list of edits"),
        ([{"op": "cut"}], "edit 1: found 'cut'; expected one of 'add'"),
        ([{"id": "a"}], "edit 1: found no op"),
        ([3], "edit 1: found 3; expected an object"),
        ([{"op": "output", "output": "a", "to": "b"}, {"op": "rewire", "id": "a"}], "edit 2: found no 'input'"),
        ([{"op": "add", "id": "a", "node": {"kind": "brunch"}}], "edit 1, node: found 'brunch'"),
        ([{"op": "split", "id": "a", "name": "b", "out": {"x": "str"}}], "edit 1: found no 'parameters'"),
        ([{"op": "review", "id": "a", "rounds": 0}], "edit 1, rounds: found 0"),
        ([{"op": "rewrite", "nodes": {"a": SUM}, "outputs": {}, "parameters": {"b": CODE}}], "parameters of no node"),
        (
            [{"op": "add", "id": "a", "node": SUM, "parameters": {"instruction": "x"}}],
            "parameters: found the unknown key",
        ),
        (
            [{"op": "remove", "id": "a", "bypass": [{"from": "x", "to": "a"}, {"from": "x", "to": "b"}]}],
            "x stands twice",
        ),
        ([{"op": "remove", "id": "a", "bypass": [{"of": "x"}]}], "edit 1, bypass: found"),
    ],
)
def test_malformed_edits_are_named(data: Any, says: str) -> None:
    with pytest.raises(EditError, match=says):
        parse_edits(data)


def closed(schema: Any) -> bool:
    """Whether every object in a schema is closed and requires all its members, as strict structured output wants."""
    if isinstance(schema, list):
        return all(map(closed, schema))
    if not isinstance(schema, dict):
        return True
    if schema.get("type") == "object" and (
        schema.get("additionalProperties") is not False or schema["required"] != list(schema["properties"])
    ):
        return False
    return all(map(closed, schema.values()))


def test_the_schema_for_models_is_strict_and_offers_what_there_is() -> None:
    tool = ToolSignature("lookup", "", (), ())
    schema = edits_schema(("llm", "tool"), {"lookup": tool}, sketch=start().sketch)
    assert closed(schema)
    text = json.dumps(schema)
    assert '"lookup"' in text
    assert '"code"' not in text
    assert '"enum": ["answer"]' in text
    assert '"tool"' not in json.dumps(edits_schema(("llm", "tool"), {}))
    with pytest.raises(ValueError, match="unknown kind 'brunch'"):
        edits_schema(("brunch",))
    with pytest.raises(ValueError, match="unknown edit 'cut'"):
        edits_schema(ops=("cut",))
    with pytest.raises(ValueError, match="no kind"):
        edits_schema(("tool",))


def test_what_results_is_checked_clean() -> None:
    assert check(split()) == []


def test_a_reference_to_a_node_that_gives_one_thing_means_that_thing() -> None:
    before = Workflow.from_data(
        {
            "flowbot": 1,
            "inputs": {"note": "str"},
            "outputs": {"total": "list.total"},
            "nodes": {"list": {"kind": "llm", "in": {"note": "note"}, "out": {"total": "int"}}},
            "parameters": {"list": {"instruction": "Count."}},
        }
    )
    double = {"kind": "code", "in": {"n": "list"}, "out": {"total": "int"}}
    edits = [
        {
            "op": "add",
            "id": "double",
            "node": double,
            "parameters": {"code": "def run(n):\n    return {'total': 2 * n}"},
        },
        {"op": "output", "output": "total", "to": "double"},
    ]
    after = apply(before, parse_edits(edits))
    assert after.sketch.nodes["double"].references() == ("list.total",)
    assert after.sketch.outputs == {"total": "double.total"}
