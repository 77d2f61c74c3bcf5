"""Tool calls by constrained JSON, for models and endpoints without a form of their own.

Each round the model writes one object, `{"thought": …, "call": {"name": …, "arguments": {…}}}`, by a schema with one
alternative a tool, so that names and types of arguments are right by construction, and one alternative `finish`. The
answer is asked for afterwards. What the model may call stands at the end of the system message, in one line a tool:
it is the same in every round and for every example, so that the prefix is read once.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

from flowbot.fields import ToolSignature
from flowbot.fields.yaml_core import MAX_DEPTH, deeper

from .calls_in_text import split_calls
from .client import ForeignTool, Message, Reply, Request, ToolUse
from .mending import mended, unfenced
from .native_tools import argument_types, has_calls, parameters_schema
from .thoughts import without_thought

_TO_DEFINITION = re.compile(r'"\$ref": "#/(?:\$defs|definitions)/')
_THOUGHT = 300
"""Characters of a thought: a small model may think in circles until its tokens are spent, and then call nothing."""
_SHOWN = 500
"""Characters of a call that cannot be read that are shown to the model again."""
_ANSWER = {
    "type": "object",
    "properties": {"answer": {"type": "string"}},
    "required": ["answer"],
    "additionalProperties": False,
}
"""A plain text is asked for by schema too: after rounds of JSON a small model would write JSON of some kind."""


def as_json(request: Request) -> Request:
    """The same request without `tools` and tool messages: calls asked for by schema, results as the user's words."""
    if not has_calls(request):
        return request
    messages = _flat(request.messages)
    if request.tools:
        messages = _introduced(messages, request)
    if request.may_call:
        schema = calls_schema(request.tools, finish=request.tool_choice == "auto")
    else:
        schema = _ANSWER if request.schema is None else request.schema
    return replace(request, messages=messages, schema=schema, tools=(), tool_choice="auto")


def from_json(reply: Reply, request: Request) -> Reply:
    """The reply to `as_json(request)` as one to `request`: with `calls`, `ready`, or the answer as text."""
    if not has_calls(request):
        return reply
    if not request.may_call:
        return reply if request.schema is not None else replace(reply, text=_answer(reply.text))
    text = without_thought(reply.text)
    found = _object(text, mend=reply.finish != "length")
    thought = found.get("thought") if found is not None else None
    said = thought.strip() if isinstance(thought, str) else ""
    use = _use(found) if found is not None else None
    if use is None:
        before, calls = split_calls(reply.text, request.tools)
        if calls:  # in the model's own form, whatever it was asked for
            return replace(reply, text=before, calls=calls)
        if found is None and "{" not in text:
            return replace(reply, text=text)
        return replace(reply, text=said, calls=(ToolUse("", text),))
    if use.name == finish_name(request.tools):
        return replace(reply, text=said, ready=True)
    return replace(reply, text=said, calls=(use,))


def calls_schema(tools: Sequence[ToolSignature], *, finish: bool = True) -> dict[str, Any]:
    """JSON schema of one round's reply. An object at the root, because some endpoints take no choice there.

    Args:
        tools: that may be called.
        finish: whether the model may say instead that it needs no more calls.
    """
    defined: dict[str, Any] = {}
    ways = [_closed({"name": _exactly(tool.name), **_arguments(tool, defined)}) for tool in tools]
    if finish:
        ways.append(_closed({"name": _exactly(finish_name(tools))}))
    schema = _closed({"thought": {"type": "string", "maxLength": _THOUGHT}, "call": {"anyOf": ways}})
    return schema | ({"$defs": defined} if defined else {})


def finish_name(tools: Sequence[ToolSignature]) -> str:
    """What a model calls to say that it needs no more calls: `finish`, or what no tool is called."""
    names = {tool.name for tool in tools}
    name = "finish"
    while name in names:
        name += "_"
    return name


def tool_line(tool: ToolSignature) -> str:
    """A tool in one line: `search(query: str, limit: int = default): Find pages.`"""
    if isinstance(tool, ForeignTool):
        wanted: Any = tool.parameters.get("required")
        required = cast("list[Any]", wanted) if isinstance(wanted, list) else []
        inputs = [
            f"{name}: {kind or 'any'}" + ("" if name in required else " = default")
            for name, kind in argument_types(tool).items()
        ]
    else:
        inputs = [
            f"{each.name}: {each.type}" + (" = default" if each.name in tool.optional else "") for each in tool.inputs
        ]
    about = " ".join(tool.about.split())
    return f"{tool.name}({', '.join(inputs)})" + (f": {about}" if about else "")


def _introduced(messages: tuple[Message, ...], request: Request) -> tuple[Message, ...]:
    must = request.tool_choice == "required"
    lines = [
        ("Call a tool" if must else "Before you answer you may call tools, one at a time,") + " with JSON "
        '{"thought": a few words, "call": {"name": tool, "arguments": {…}}}:',
        *(tool_line(tool) for tool in request.tools),
    ]
    if not must:
        lines.append(f"{finish_name(request.tools)}(): you know enough to answer")
    text = "\n".join(lines)
    first = messages[0] if messages else None
    if first is not None and first.role == "system":
        return (replace(first, content=f"{first.content}\n\n{text}"), *messages[1:])
    return (Message("system", text), *messages)


def _flat(messages: Sequence[Message]) -> tuple[Message, ...]:
    """Each call as the assistant's JSON, with its result behind it: calls that were asked for side by side in turn."""
    flat: list[Message] = []
    place = 0
    while place < len(messages):
        message = messages[place]
        place += 1
        if not message.calls:
            flat.append(message)
            continue
        for number, call in enumerate(message.calls):
            flat.append(Message("assistant", _written(message.content if number == 0 else "", call)))
            if place < len(messages) and messages[place].role == "tool":
                flat.append(Message("user", f"Result of {call.name or 'this'}: {messages[place].content}"))
                place += 1
    return tuple(flat)


def _written(thought: str, call: ToolUse) -> str:
    if not call.name:
        return call.arguments[:_SHOWN]
    try:
        arguments: Any = json.loads(call.arguments)
    except (ValueError, RecursionError):
        arguments = None
    if arguments is None or deeper(arguments, MAX_DEPTH):
        arguments = call.arguments[:_SHOWN]
    return json.dumps({"thought": thought, "call": {"name": call.name, "arguments": arguments}}, ensure_ascii=False)


def _use(found: dict[str, Any]) -> ToolUse | None:
    """The call in an object: under `call`, or the object itself."""
    call: Any = found.get("call", found)
    if isinstance(call, str):
        call = {"name": call, "arguments": found.get("arguments")}
    if not isinstance(call, dict):
        return None
    given = cast("dict[str, Any]", call)
    name = given.get("name")
    if not isinstance(name, str) or not name.strip():
        return None
    arguments = given.get("arguments", given.get("parameters"))
    text = arguments if isinstance(arguments, str) else json.dumps(arguments or {}, ensure_ascii=False)
    return ToolUse(name.strip(), text)


def _answer(text: str) -> str:
    found = _object(without_thought(text), mend=True)
    answer = found.get("answer") if found is not None else None
    return answer if isinstance(answer, str) else text


def _object(text: str, *, mend: bool) -> dict[str, Any] | None:
    """The JSON object that a text is; mended where that is asked for, the first of several."""
    body = unfenced(text)
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = mended(body) if mend and "{" in body else None
    for each in cast("list[Any]", found) if isinstance(found, list) else [found]:
        if isinstance(each, dict) and not deeper(each, MAX_DEPTH):
            return cast("dict[str, Any]", each)
    return None


def _arguments(tool: ToolSignature, defined: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a call; a foreign schema's definitions are added to `defined`, which stands at the root."""
    if not isinstance(tool, ForeignTool):
        return {"arguments": parameters_schema(tool)} if tool.inputs else {}
    moved = _TO_DEFINITION.sub(f'"$ref": "#/$defs/{tool.name}_', json.dumps(tool.parameters))
    schema: dict[str, Any] = json.loads(moved)
    for place in ("$defs", "definitions"):
        found: Any = schema.pop(place, None)
        if isinstance(found, dict):
            defined |= {f"{tool.name}_{name}": each for name, each in cast("dict[str, Any]", found).items()}
    return {"arguments": schema}


def _exactly(name: str) -> dict[str, Any]:
    return {"type": "string", "enum": [name]}


def _closed(members: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": members, "required": list(members), "additionalProperties": False}
