"""What a target is told of a workflow is what a run would send."""

from __future__ import annotations

import pytest

from flowbot.export.exporting import exported
from flowbot.fields import UserError
from flowbot.runtime.adapter import messages, show_value
from flowbot.runtime.services import fields_of
from flowbot.workflow.nodes import LLMNode
from flowbot.workflow.parameters import LLMParameters
from flowbot.workflow.starts import Start, find_start, list_starts
from flowbot.workflow.workflow import Workflow

MODEL = "openai/gpt-4.1-mini"


@pytest.mark.parametrize("start", list_starts(), ids=lambda start: start.name)
def test_the_places_filled_are_the_messages_of_a_run(start: Start) -> None:
    made = exported(start.workflow, model=MODEL)
    for step in made.asking:
        parameters = start.workflow.parameter(step.path)
        if not isinstance(step.node, LLMNode) or not isinstance(parameters, LLMParameters) or step.asked is None:
            continue
        values = {
            name: [f"a {name}; \\n", 1] if number % 2 else f"{{{name}}}" for number, name in enumerate(step.inputs)
        }
        sent = messages(step.node, parameters, values, fields_of(step.node.out))
        shown = {name: show_value(value) for name, value in values.items()}
        filled = [each.text(shown.__getitem__) for each in step.asked.messages]
        assert filled == [each.content for each in sent]


def test_a_step_without_a_model_is_refused() -> None:
    with pytest.raises(UserError, match="step answer: found no model"):
        exported(find_start("single-call").workflow, model=None)


def test_demonstrations_stand_apart() -> None:
    shown = {"inputs": {"q": "2 pens"}, "outputs": {"n": 2}, "example": "t1"}
    data = {
        "flowbot": 1, "inputs": {"q": "str"}, "outputs": {"n": "a.n"},
        "nodes": {"a": {"kind": "llm", "in": {"q": "q"}, "out": {"n": "int"}}},
        "parameters": {"a": {"instruction": "Count {{q}}.", "demonstrations": [shown]}},
    }  # fmt: skip
    asked = exported(Workflow.from_data(data), model=MODEL).step("a").asked
    assert asked is not None
    assert asked.demonstrations == (("2 pens", '{"n": 2}'),)
    assert asked.system.startswith("Count {{q}}.\nReply with JSON")
    assert asked.schema is not None
    assert asked.schema["required"] == ["n"]
