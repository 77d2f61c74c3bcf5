"""From fields to messages: the prompt of an `llm` node.

What is constant comes first (instruction, format, demonstrations) and the inputs last, so that an endpoint can reuse
the prefix over all examples. Besides the instruction there is one short line: small models read slowly. A prompt of the
user's own is sent as it stands.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from flowbot.fields import Field, Type
from flowbot.lm.client import Message
from flowbot.workflow.nodes import CoreNode, LLMNode
from flowbot.workflow.parameters import Demonstration, LLMParameters
from flowbot.workflow.prompt import last_request


def messages(
    node: LLMNode,
    parameters: LLMParameters,
    values: Mapping[str, Any],
    out_fields: Sequence[Field],
    *,
    leave_out: str = "",
) -> tuple[Message, ...]:
    """The messages that ask for a node's outputs.

    Args:
        node: gives the order of the inputs.
        parameters: instruction, format hint and demonstrations.
        values: the inputs' values by name.
        out_fields: what is asked for, in order. A single `str` is asked for as plain text, anything else as JSON.
        leave_out: demonstrations from this example are not shown (it is the one being scored); "" leaves out none.
    """
    if parameters.messages:
        return _own(parameters, values, out_fields, leave_out)
    parts = [parameters.instruction.strip(), parameters.format_hint.strip()]
    if not is_plain(out_fields):
        parts.append(reply_format(out_fields))
    system = "\n".join(part for part in parts if part)
    asked = [Message("system", system)] if system else []
    for shown in _shown(parameters, leave_out):
        asked.append(Message("user", show_inputs(node, shown.inputs)))
        asked.append(Message("assistant", show_outputs(shown.outputs, out_fields)))
    asked.append(Message("user", show_inputs(node, values)))
    return tuple(asked)


def _own(
    parameters: LLMParameters, values: Mapping[str, Any], out_fields: Sequence[Field], leave_out: str
) -> tuple[Message, ...]:
    """A prompt of the user's own, its places filled. Only what a search has added to it stands beside the user's words:
    demonstrations as turns before the last request, in its layout, and a format hint as one last part behind it.
    """
    prompt = parameters.messages
    asked = [Message(each.role, each.filled(lambda name: show_value(values[name]))) for each in prompt]
    last = last_request(prompt)
    if hint := parameters.format_hint.strip():
        hint += "" if len(out_fields) == 1 else f"\n{reply_format(out_fields)}"
        asked[last] = replace(asked[last], content=f"{asked[last].content}\n\n{hint}")
    turns: list[Message] = []
    for shown in _shown(parameters, leave_out):
        given = {name: show_value(value) for name, value in shown.inputs.items()}
        beside = "".join(f"\n\n{name}: {text}" for name, text in given.items() if name not in prompt[last].refs)
        lone = show_value(shown.outputs[out_fields[0].name]) if len(out_fields) == 1 else ""
        turns.append(Message("user", prompt[last].filled(given.__getitem__) + beside))
        turns.append(Message("assistant", lone or show_outputs(shown.outputs, out_fields)))
    return (*asked[:last], *turns, *asked[last:])


def _shown(parameters: LLMParameters, leave_out: str) -> list[Demonstration]:
    return [shown for shown in parameters.demonstrations if not leave_out or shown.example != leave_out]


def choice_messages(
    instruction: str, given: Mapping[str, Any], candidates: Mapping[str, Any], choice: Field
) -> tuple[Message, ...]:
    """The messages that ask for one of several labels.

    Args:
        instruction: by what to choose.
        given: what is shown, by name.
        candidates: what the labels stand for, where they do not speak for themselves.
        choice: the field that is asked for, a literal of the labels.
    """
    system = f"{instruction.strip()}\n{reply_format([choice])}"
    shown = [f"{name}: {show_value(value)}" for name, value in given.items()]
    shown += [f"{label}: {show_value(value)}" for label, value in candidates.items()]
    return Message("system", system), Message("user", "\n".join(shown))


def is_plain(out_fields: Sequence[Field]) -> bool:
    """Whether the reply is the value itself: exactly one output, a `str`."""
    return len(out_fields) == 1 and out_fields[0].type.kind == "str"


def show_outputs(values: Mapping[str, Any], out_fields: Sequence[Field]) -> str:
    """Outputs as a model should have replied them."""
    if is_plain(out_fields):
        return show_value(values.get(out_fields[0].name, ""))
    return json.dumps({f.name: values[f.name] for f in out_fields if f.name in values}, ensure_ascii=False)


def show_value(value: Any) -> str:
    """A value as it stands in a prompt: text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def show_inputs(node: LLMNode | CoreNode, values: Mapping[str, Any]) -> str:
    """The inputs of a node, each under its name; a lone one as it is."""
    given = [name for name in node.inputs if name in values]
    if len(given) == 1 and len(node.inputs) == 1:
        return show_value(values[given[0]])
    return "\n".join(f"{name}: {show_value(values[name])}" for name in given)


def reply_format(out_fields: Sequence[Field]) -> str:
    """The line that asks for these as JSON."""
    return f"Reply with JSON: {_shape_of_object({field.name: field for field in out_fields})}"


def _shape_of_object(members: Mapping[str, Field]) -> str:
    shown = (
        f'"{name}": {_shape(field.type)}' + (f" ({field.about})" if field.about else "")
        for name, field in members.items()
    )
    return "{" + ", ".join(shown) + "}"


def _shape(kind: Type) -> str:
    """A type as JSON with type names in place of values: `[{"what": string, "count": integer}, ...]`."""
    match kind.kind:
        case "str":
            return "string"
        case "int":
            return "integer"
        case "float":
            return "number"
        case "bool":
            return "true or false"
        case "literal":
            return " or ".join(json.dumps(option, ensure_ascii=False) for option in kind.options)
        case "list":
            return f"[{_shape(kind.item) if kind.item else 'value'}, ...]"
        case "object":
            return "{" + ", ".join(f'"{name}": {_shape(member)}' for name, member in kind.members) + "}"
