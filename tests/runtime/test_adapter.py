from __future__ import annotations

import json

from flowbot.fields import Field
from flowbot.lm.client import Message
from flowbot.runtime.adapter import messages
from flowbot.workflow.nodes import LLMNode
from flowbot.workflow.parameters import Demonstration, LLMParameters

ITEMS = [Field.of("items", "list[{what: str, count: int}]"), Field.of("kind", "Literal['a', 'b']")]
TEXT = [Field.of("answer", "str")]


def node(*inputs: str) -> LLMNode:
    return LLMNode(inputs={name: name for name in inputs}, out={})


def test_a_single_text_is_asked_for_plainly_and_a_single_input_stands_alone() -> None:
    asked = messages(node("note"), LLMParameters(instruction="Answer."), {"note": "two pears"}, TEXT)
    assert asked == (Message("system", "Answer."), Message("user", "two pears"))


def test_without_instruction_there_is_no_system_message() -> None:
    assert messages(node("note"), LLMParameters(), {"note": "x"}, TEXT) == (Message("user", "x"),)


def test_several_inputs_are_named_in_declared_order_and_values_are_json() -> None:
    asked = messages(node("b", "a"), LLMParameters(), {"a": ["é", 1], "b": "text"}, TEXT)
    assert asked[-1].content == 'b: text\na: ["é", 1]'


def test_json_is_asked_for_with_the_shape_in_declared_order() -> None:
    asked = messages(node("note"), LLMParameters(instruction="List.", format_hint="No units."), {"note": "x"}, ITEMS)
    assert asked[0].content == (
        'List.\nNo units.\nReply with JSON: {"items": [{"what": string, "count": integer}, ...], "kind": "a" or "b"}'
    )


def test_what_a_field_is_about_is_told() -> None:
    asked = messages(node("note"), LLMParameters(), {"note": "x"}, [Field.of("total", "int", "euros in all")])
    assert asked[0].content == 'Reply with JSON: {"total": integer (euros in all)}'


def test_the_prefix_does_not_depend_on_the_inputs() -> None:
    shown = (Demonstration(inputs={"note": "one"}, outputs={"kind": "a", "items": []}, example="e1"),)
    parameters = LLMParameters(instruction="List.", demonstrations=shown)
    first, second = (messages(node("note"), parameters, {"note": text}, ITEMS) for text in ("x", "y"))
    assert first[:-1] == second[:-1]
    assert [message.role for message in first] == ["system", "user", "assistant", "user"]
    assert list(json.loads(first[2].content)) == ["items", "kind"]


def test_a_demonstration_of_the_example_itself_is_left_out() -> None:
    shown = tuple(Demonstration(inputs={"note": n}, outputs={"answer": n.upper()}, example=n) for n in ("one", "two"))
    parameters = LLMParameters(demonstrations=shown)
    asked = messages(node("note"), parameters, {"note": "x"}, TEXT, leave_out="one")
    assert [message.content for message in asked] == ["two", "TWO", "x"]
    assert len(messages(node("note"), parameters, {"note": "x"}, TEXT)) == 5


def test_text_of_inputs_is_never_a_template() -> None:
    asked = messages(node("note"), LLMParameters(instruction="Use {note} {{ x }}."), {"note": "{x}"}, TEXT)
    assert [message.content for message in asked] == ["Use {note} {{ x }}.", "{x}"]
