"""Responses: from a body to what is asked, from a reply to an answer or its events, in OpenAI's shapes.

Source: OpenAI's API reference, `POST /responses`. Nothing is remembered from one request to the next: a client sends the whole
conversation, as with chat completions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from flowbot.lm.client import Reply, ToolUse, members

from .bodies import Asked, BadRequest, Body, Common, Function, Tokens, Transcript, read, request_of, text_of
from .chat import usable_calls

_PARTS = ("input_text", "output_text", "text", "refusal")


class _Tool(Function):
    type: Literal["function"]


class _Text(Body):
    format: dict[str, Any] | None = None
    verbosity: str | None = None


class _Reasoning(Body):
    effort: str | None = None
    idle = ("summary", "generate_summary")


class _Item(Body):
    type: Literal["message", "function_call", "function_call_output", "reasoning"] = "message"
    role: Literal["system", "developer", "user", "assistant"] | None = None
    content: Any = None
    call_id: str = ""
    name: str = ""
    arguments: str = ""
    output: Any = None
    # What comes back with the model's own items.
    idle = ("id", "status", "phase", "summary", "encrypted_content")


class _Response(Common):
    input: Annotated[
        list[dict[str, Any]],
        Field(max_length=10_000),
        BeforeValidator(lambda given: [{"role": "user", "content": given}] if isinstance(given, str) else given),
    ]
    instructions: str | None = None
    max_output_tokens: Tokens | None = None
    text: _Text = _Text()
    reasoning: _Reasoning = _Reasoning()
    tools: list[_Tool] = Field([], max_length=1000)
    truncation: Literal["disabled", "auto"] = "disabled"
    background: Literal[False] = False
    idle = (*Common.idle, "stream_options", "include")


def read_response(body: Mapping[str, Any]) -> Asked:
    """What a body asks for.

    Raises:
        BadRequest: naming the member that is wrong.
    """
    given = read(_Response, body)
    told = Transcript()
    if given.instructions:
        told.say("system", given.instructions)
    for number, item in enumerate(given.input):
        _tell(told, item, f"input[{number}]")
    request = request_of(
        given,
        told,
        given.tools,
        given.text.format,
        "text.format",
        max_tokens=given.max_output_tokens,
        extra={"reasoning_effort": given.reasoning.effort, "verbosity": given.text.verbosity},
    )
    as_told = ("instructions", "max_output_tokens", "temperature", "top_p", "tool_choice", "truncation")
    echo = {name: getattr(given, name) for name in as_told} | {
        "metadata": given.metadata or {},
        "parallel_tool_calls": given.parallel_tool_calls is not False,
        "text": {"format": given.text.format or {"type": "text"}},
        "tools": [each.model_dump(exclude_none=True) for each in given.tools],
    }
    return Asked(given.model, request, stream=given.stream, echo=echo)


def response_answer(asked: Asked, name: str, replies: Sequence[Reply]) -> dict[str, Any]:
    """The answer as one object; arguments as of `chat_answer`."""
    (reply,) = replies
    cut = {"length": "max_output_tokens", "refusal": "content_filter"}.get(reply.finish)
    if reply.finish == "refusal" and reply.text:
        cut = None  # the model says why: that is an answer
    usage = reply.usage
    return {
        "id": f"resp_{name}",
        "object": "response",
        "created_at": 0,
        "status": "incomplete" if cut else "completed",
        "error": None,
        "incomplete_details": {"reason": cut} if cut else None,
        "model": asked.model,
        "output": _items(reply, name, "incomplete" if cut else "completed"),
        "previous_response_id": None,
        "store": False,
        "background": False,
        **(asked.echo or {}),
        "usage": {
            "input_tokens": usage.input_tokens,
            "input_tokens_details": {"cached_tokens": usage.cached_tokens},
            "output_tokens": usage.output_tokens,
            "output_tokens_details": {"reasoning_tokens": reply.thought},
            "total_tokens": usage.input_tokens + usage.output_tokens,
        },
    }


def response_events(asked: Asked, answer: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The same as events: each one's name and data, numbered."""
    for number, (name, data) in enumerate(_events(answer)):
        yield name, {"type": name, "sequence_number": number, **data}


def _events(answer: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    begun: dict[str, Any] = {**answer, "status": "in_progress", "incomplete_details": None, "output": [], "usage": None}
    yield "response.created", {"response": begun}
    yield "response.in_progress", {"response": begun}
    for index, item in enumerate(answer["output"]):
        at = {"output_index": index, "item_id": item["id"]}
        empty: dict[str, Any] = {"content": []} if item["type"] == "message" else {"arguments": ""}
        yield "response.output_item.added", {"output_index": index, "item": {**item, "status": "in_progress", **empty}}
        for part in item.get("content", ()):
            there, name = {**at, "content_index": 0}, part["type"]
            kind = "refusal" if name == "refusal" else "text"
            logprobs: dict[str, Any] = {"logprobs": []} if kind == "text" else {}
            yield "response.content_part.added", {**there, "part": {**part, kind: ""}}
            yield f"response.{name}.delta", {**there, "delta": part[kind], **logprobs}
            yield f"response.{name}.done", {**there, kind: part[kind], **logprobs}
            yield "response.content_part.done", {**there, "part": part}
        if item["type"] == "function_call":
            said, name = item["arguments"], item["name"]
            yield "response.function_call_arguments.delta", {**at, "delta": said}
            yield "response.function_call_arguments.done", {**at, "name": name, "arguments": said}
        yield "response.output_item.done", {"output_index": index, "item": item}
    yield f"response.{answer['status']}", {"response": dict(answer)}


def _items(reply: Reply, name: str, status: str) -> list[dict[str, Any]]:
    text, calls = usable_calls(reply)
    items: list[dict[str, Any]] = []
    if text or not calls:
        said: dict[str, Any] = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
        part = {"type": "refusal", "refusal": text} if reply.finish == "refusal" and text else said
        items.append({"id": f"msg_{name}", "type": "message", "status": status, "role": "assistant", "content": [part]})
    for place, use in enumerate(calls):
        own = {"id": f"fc_{name}_{place}", "call_id": f"call_{name}_{place}", "status": "completed"}
        items.append({"type": "function_call", **own, **members(use)})
    return items


def _tell(told: Transcript, data: Mapping[str, Any], place: str) -> None:
    item = read(_Item, data, place)
    match item.type:
        case "reasoning":
            return
        case "function_call":
            told.call(item.call_id, ToolUse(item.name, item.arguments))
        case "function_call_output":
            told.result(item.call_id, text_of(item.output, f"{place}.output", _PARTS))
        case "message":
            if item.role is None:
                raise BadRequest(f"{place}: found no role; expected one", f"{place}.role")
            role = "system" if item.role == "developer" else item.role
            told.say(role, text_of(item.content, f"{place}.content", _PARTS))
