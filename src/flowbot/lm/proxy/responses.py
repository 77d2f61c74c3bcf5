"""Responses: from a body to what is asked, from a reply to an answer or its events, in OpenAI's shapes.

Source: OpenAI's API reference, `POST /responses`. Nothing is remembered from one request to the next: a client sends the whole
conversation, as with chat completions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from flowbot.lm.client import Reply, Request, ToolUse

from .bodies import (
    Asked,
    BadRequest,
    Body,
    Function,
    Idle,
    Share,
    Tokens,
    Transcript,
    foreign_tool,
    read,
    reply_schema,
    text_of,
    tool_choice,
)
from .chat import called

_PARTS = ("input_text", "output_text", "text", "refusal")


class _Tool(Function):
    type: Literal["function"]


class _Text(Body):
    format: dict[str, Any] | None = None
    verbosity: str | None = None


class _Reasoning(Body):
    effort: str | None = None
    summary: Any = None
    generate_summary: Any = None


class _Item(Body):
    type: Literal["message", "function_call", "function_call_output", "reasoning"] = "message"
    role: Literal["system", "developer", "user", "assistant"] | None = None
    content: Any = None
    call_id: str = ""
    name: str = ""
    arguments: str = ""
    output: Any = None
    # What comes back with the model's own items and is not sent on.
    id: Any = None
    status: Any = None
    phase: Any = None
    summary: Any = None
    encrypted_content: Any = None


class _Body(Idle):
    model: str
    input: Annotated[
        list[dict[str, Any]],
        BeforeValidator(lambda given: [{"role": "user", "content": given}] if isinstance(given, str) else given),
    ]
    instructions: str | None = None
    max_output_tokens: Tokens | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] = 1.0
    top_p: Share | None = None
    text: _Text = _Text()
    reasoning: _Reasoning = _Reasoning()
    tools: list[_Tool] | None = None
    tool_choice: Any = "auto"
    parallel_tool_calls: bool | None = None
    stream: bool = False
    stream_options: Any = None
    truncation: Literal["disabled", "auto"] = "disabled"
    include: Any = None
    background: Literal[False] = False


def read_response(body: Mapping[str, Any]) -> Asked:
    """What a body asks for.

    Raises:
        BadRequest: naming the member that is wrong.
    """
    given = read(_Body, body)
    told = Transcript()
    if given.instructions:
        told.say("system", given.instructions)
    for number, item in enumerate(given.input):
        _tell(told, item, f"input[{number}]")
    choice, tools = tool_choice(
        given.tool_choice,
        [foreign_tool(each) for each in given.tools or ()],
    )
    extra = {
        "top_p": given.top_p,
        "reasoning_effort": given.reasoning.effort,
        "verbosity": given.text.verbosity,
        "parallel_tool_calls": given.parallel_tool_calls if tools else None,
    }
    request = Request(
        told.messages(),
        given.max_output_tokens or 0,
        float(given.temperature),
        reply_schema(given.text.format, "text.format"),
        None,
        tools,
        choice if tools else "auto",
        own_words=True,
        extra={name: value for name, value in extra.items() if value is not None},
    )
    echo = {
        "instructions": given.instructions,
        "max_output_tokens": given.max_output_tokens,
        "metadata": given.metadata or {},
        "parallel_tool_calls": True if given.parallel_tool_calls is None else given.parallel_tool_calls,
        "temperature": given.temperature,
        "top_p": given.top_p,
        "text": {"format": given.text.format or {"type": "text"}},
        "tool_choice": given.tool_choice,
        "tools": [each.model_dump(exclude_none=True) for each in given.tools or ()],
        "truncation": given.truncation,
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
        if item["type"] == "message":
            for place, part in enumerate(item["content"]):
                kind = "refusal" if part["type"] == "refusal" else "text"
                there, name = {**at, "content_index": place}, "refusal" if kind == "refusal" else "output_text"
                logprobs: dict[str, Any] = {"logprobs": []} if kind == "text" else {}
                yield "response.content_part.added", {**there, "part": {**part, kind: ""}}
                yield f"response.{name}.delta", {**there, "delta": part[kind], **logprobs}
                yield f"response.{name}.done", {**there, kind: part[kind], **logprobs}
                yield "response.content_part.done", {**there, "part": part}
        else:
            yield "response.function_call_arguments.delta", {**at, "delta": item["arguments"]}
            yield (
                "response.function_call_arguments.done",
                {**at, "name": item["name"], "arguments": item["arguments"]},
            )
        yield "response.output_item.done", {"output_index": index, "item": item}
    yield f"response.{answer['status']}", {"response": dict(answer)}


def _items(reply: Reply, name: str, status: str) -> list[dict[str, Any]]:
    text, calls = called(reply)
    items: list[dict[str, Any]] = []
    if text or not calls:
        refused = reply.finish == "refusal" and text
        said: dict[str, Any] = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
        part = {"type": "refusal", "refusal": text} if refused else said
        items.append({"id": f"msg_{name}", "type": "message", "status": status, "role": "assistant", "content": [part]})
    for place, use in enumerate(calls):
        items.append(
            {
                "id": f"fc_{name}_{place}",
                "type": "function_call",
                "status": "completed",
                "call_id": f"call_{name}_{place}",
                "name": use.name,
                "arguments": use.arguments,
            }
        )
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
