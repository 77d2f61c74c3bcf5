"""Tool calls in the endpoint's own form: what chat completions call `tools`, `tool_calls` and the role `tool`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from flowbot.fields import ToolSignature, fields_schema

from .client import ForeignTool, Message, Request, ToolUse

PREAMBLE = 512
"""Tokens that an endpoint puts into the prompt at most to tell a model how tools are called."""
MOST_CALLS = 64
"""Calls of one reply that are read; many more than are made at once."""
_WORDS = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "array": "list", "object": "object"}
"""JSON schema's types as ours."""
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9_-]")


def parameters_schema(tool: ToolSignature) -> dict[str, Any]:
    """JSON schema of a tool's arguments; those with a default are not required."""
    if isinstance(tool, ForeignTool):
        return dict(tool.parameters)
    schema = fields_schema(tool.inputs)
    schema["required"] = [field.name for field in tool.inputs if field.name not in tool.optional]
    return schema


def argument_types(tool: ToolSignature) -> dict[str, str]:
    """The arguments of a tool, each with its type in a word; "" where that is not one."""
    if not isinstance(tool, ForeignTool):
        return {each.name: each.type.kind for each in tool.inputs}
    given: Any = tool.parameters.get("properties")
    members = cast("dict[str, Any]", given) if isinstance(given, dict) else {}
    kinds = {name: cast("dict[str, Any]", each) if isinstance(each, dict) else {} for name, each in members.items()}
    return {name: _WORDS.get(str(each.get("type")), "") for name, each in kinds.items()}


def functions(tools: Iterable[ToolSignature]) -> list[dict[str, Any]]:
    """The tools as the `tools` of a request's body."""
    return [
        {
            "type": "function",
            "function": {
                "name": tool.name,
                "description": tool.about,
                "parameters": parameters_schema(tool),
                **({"strict": True} if isinstance(tool, ForeignTool) and tool.strict else {}),
            },
        }
        for tool in tools
    ]


def has_calls(request: Request) -> bool:
    """Whether a request offers tools or tells of calls."""
    return bool(request.tools) or any(message.calls or message.role == "tool" for message in request.messages)


def wire_messages(messages: Iterable[Message]) -> list[dict[str, Any]]:
    """Messages as they stand in a request's body.

    A call's id is its number in the chat: what an endpoint calls it is made up by lot, and would make equal requests
    differ. Nine letters and digits, because some endpoints take no other.
    """
    shown: list[dict[str, Any]] = []
    asked = answered = 0
    for message in messages:
        each: dict[str, Any] = {"role": message.role, "content": message.content}
        if message.calls:
            each["content"] = message.content or None
            each["tool_calls"] = [_shown(call, asked + number) for number, call in enumerate(message.calls)]
            asked += len(message.calls)
        if message.role == "tool":
            each["tool_call_id"] = _id(answered)
            answered += 1
        shown.append(each)
    return shown


def read_calls(message: Mapping[str, Any]) -> tuple[ToolUse, ...]:
    """The calls in the message of an answer, at most `MOST_CALLS`.

    Raises:
        KeyError, TypeError, AttributeError: if they are not in the protocol's form.
    """
    given = cast("Sequence[Mapping[str, Any]]", message.get("tool_calls") or ())[:MOST_CALLS]
    if not given and message.get("function_call"):  # as calls were sent before there could be several
        given = ({"function": message["function_call"]},)
    return tuple(ToolUse(str(each["function"]["name"]), arguments_text(each["function"])) for each in given)


def arguments_text(function: Mapping[str, Any]) -> str:
    """A call's arguments as text; some endpoints give an object."""
    arguments: Any = function.get("arguments")
    if isinstance(arguments, str):
        return arguments
    return "{}" if arguments is None else json.dumps(arguments, ensure_ascii=False)


def _shown(call: ToolUse, number: int) -> dict[str, Any]:
    """A call as an endpoint takes it back: names of its alphabet alone, arguments that are a JSON object."""
    name = _NOT_IN_A_NAME.sub("_", call.name)[:64] or "unreadable"
    arguments = call.arguments if _is_object(call.arguments) else "{}"
    return {"id": _id(number), "type": "function", "function": {"name": name, "arguments": arguments}}


def _id(number: int) -> str:
    return f"call{number:05d}"


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False
