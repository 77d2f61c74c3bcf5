"""Chat completions: from a body to what is asked, from replies to an answer or its events, in OpenAI's shapes.

Source: OpenAI's API reference, `POST /chat/completions`. `created` is 0 and ids follow from the calls' keys, so that the same
requests get the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from flowbot.fields import Usage
from flowbot.lm.client import Reply, ToolUse, members

from .bodies import Asked, BadRequest, Body, Common, Function, Share, Tokens, Transcript, read, request_of, text_of

_Texts = Annotated[list[str] | None, BeforeValidator(lambda given: [given] if isinstance(given, str) else given)]
_Penalty = Annotated[float, Field(ge=-2, le=2)]
_MOST_DRAWS = 128
_SENT = (
    *("stop", "presence_penalty", "frequency_penalty", "logit_bias", "reasoning_effort", "verbosity"),
    *("top_k", "min_p", "repetition_penalty", "repeat_penalty", "chat_template_kwargs"),
)
"""Members that are sent on as they are: see `Request.extra`."""


class _Tool(Body):
    type: Literal["function"]
    function: Function


class _Called(Body):
    name: str
    arguments: str


class _Call(Body):
    id: str
    type: Literal["function"] = "function"
    function: _Called
    index: Any = None


class _Message(Body):
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: Any = None
    name: Any = None
    tool_calls: list[_Call] | None = None
    tool_call_id: str = ""
    refusal: str | None = None
    # What comes back with a model's own message.
    idle = ("annotations", "reasoning", "reasoning_content", "reasoning_details", "provider_specific_fields")


class _StreamOptions(Body):
    include_usage: bool = False
    include_obfuscation: Any = None


class _Chat(Common):
    messages: Annotated[list[dict[str, Any]], Field(max_length=10_000)]
    max_tokens: Tokens | None = None
    max_completion_tokens: Tokens | None = None
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63 - _MOST_DRAWS)] | None = None
    n: Annotated[int, Field(ge=1, le=_MOST_DRAWS)] = 1
    response_format: dict[str, Any] | None = None
    tools: list[_Tool] = Field([], max_length=1000)
    stream_options: _StreamOptions = _StreamOptions()
    modalities: list[Literal["text"]] | None = None
    logprobs: Literal[False] = False
    stop: _Texts = None
    presence_penalty: _Penalty | None = None
    frequency_penalty: _Penalty | None = None
    logit_bias: dict[str, float] | None = None
    reasoning_effort: str | None = None
    verbosity: str | None = None
    top_k: int | None = None
    min_p: Share | None = None
    repetition_penalty: float | None = None
    repeat_penalty: float | None = None
    chat_template_kwargs: dict[str, Any] | None = None


def read_chat(body: Mapping[str, Any]) -> Asked:
    """What a body asks for.

    Raises:
        BadRequest: naming the member that is wrong.
    """
    given = read(_Chat, body)
    told = Transcript()
    for number, message in enumerate(given.messages):
        _tell(told, message, f"messages[{number}]")
    request = request_of(
        given,
        told,
        [each.function for each in given.tools],
        given.response_format,
        "response_format",
        max_tokens=given.max_completion_tokens or given.max_tokens,
        seed=given.seed,
        extra={name: getattr(given, name) for name in _SENT},
    )
    return Asked(given.model, request, given.n, given.stream, given.stream_options.include_usage)


def chat_answer(asked: Asked, name: str, replies: Sequence[Reply]) -> dict[str, Any]:
    """The answer as one object.

    Args:
        asked: what was asked.
        name: what tells the answer from others.
        replies: one for each draw.
    """
    return {
        "id": f"chatcmpl-{name}",
        "object": "chat.completion",
        "created": 0,
        "model": asked.model,
        "choices": [_choice(number, reply, name) for number, reply in enumerate(replies)],
        "usage": _usage(replies),
    }


def chat_events(asked: Asked, answer: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The same as events: each one's name, which is "" here, and its data."""
    shared = {"id": answer["id"], "object": "chat.completion.chunk", "created": 0, "model": answer["model"]}
    if asked.usage:
        shared["usage"] = None

    def chunk(index: int, delta: dict[str, Any], finish: str | None = None) -> tuple[str, Any]:
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}
        return "", {**shared, "choices": [choice]}

    for choice in answer["choices"]:
        number, message = choice["index"], choice["message"]
        yield chunk(number, {"role": "assistant", "content": message["content"] and "", "refusal": None})
        for member in ("content", "refusal"):
            if message[member]:
                yield chunk(number, {member: message[member]})
        for place, call in enumerate(message.get("tool_calls", ())):
            yield chunk(number, {"tool_calls": [{"index": place, **call}]})
        yield chunk(number, {}, choice["finish_reason"])
    if asked.usage:
        yield "", {**shared, "choices": [], "usage": answer["usage"]}
    yield "", "[DONE]"


def usable_calls(reply: Reply) -> tuple[str, tuple[ToolUse, ...]]:
    """A reply's text, and its calls as far as they can be read; one that cannot is text."""
    unread = "".join(use.arguments for use in reply.calls if not use.name)
    return reply.text + unread, tuple(use for use in reply.calls if use.name)


def _tell(told: Transcript, data: Mapping[str, Any], place: str) -> None:
    message = read(_Message, data, place)
    kinds = ("text", "refusal") if message.role == "assistant" else ("text",)
    if message.role == "tool":
        told.result(message.tool_call_id, text_of(message.content, f"{place}.content", kinds))
        return
    if message.name is not None:
        raise BadRequest(f"{place}.name is not supported: leave it out", f"{place}.name", "unsupported_parameter")
    content = message.content
    if content is None and message.role == "assistant" and (message.tool_calls or message.refusal):
        content = message.refusal or ""
    calls = [(each.id, ToolUse(each.function.name, each.function.arguments)) for each in message.tool_calls or ()]
    if calls and message.role != "assistant":
        raise BadRequest(f"{place}.tool_calls: only an assistant's message has some", f"{place}.tool_calls")
    role = "system" if message.role == "developer" else message.role
    told.say(role, text_of(content, f"{place}.content", kinds), calls)


def _choice(number: int, reply: Reply, name: str) -> dict[str, Any]:
    text, calls = usable_calls(reply)
    message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": None, "annotations": []}
    finish = "length" if reply.finish == "length" else "stop"
    if reply.finish == "refusal":
        # Where a model says why it refuses, that is a refusal; where nothing came, the endpoint has filtered it.
        message |= {"content": None, "refusal": text or None}
        finish = "stop" if text else "content_filter"
    elif calls:
        message["content"] = text or None
        message["tool_calls"] = [
            {"id": f"call_{name}_{number}_{place}", "type": "function", "function": members(use)}
            for place, use in enumerate(calls)
        ]
        finish = "tool_calls" if reply.finish == "stop" else finish
    return {"index": number, "message": message, "logprobs": None, "finish_reason": finish}


def _usage(replies: Sequence[Reply]) -> dict[str, Any]:
    took = sum((reply.usage for reply in replies), Usage())
    return {
        "prompt_tokens": took.input_tokens,
        "completion_tokens": took.output_tokens,
        "total_tokens": took.input_tokens + took.output_tokens,
        "prompt_tokens_details": {"cached_tokens": took.cached_tokens, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": sum(reply.thought for reply in replies),
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
