"""Made-up answers of endpoints, in the form that the client of a program waits for: no endpoint is asked, nothing is paid.

Where a reply must fit a schema, or be the call of a tool, it does; otherwise it is the text that is given.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterable, Mapping
from typing import Any, cast

from flowbot.fields import Usage, stable_hash
from flowbot.lm.client import Message, Reply, Request, ToolUse
from flowbot.lm.proxy.bodies import Asked as Chat
from flowbot.lm.proxy.chat import chat_answer, chat_events
from flowbot.lm.proxy.responses import response_answer, response_events
from flowbot.lm.tap.asked import Answer, Asked
from flowbot.lm.tap.google import STREAM, WHOLE

from .fake_behaviours import chance, fill

_SIZE = 8
"""Numbers of a made-up embedding."""
_TOOK = Usage(calls=1, input_tokens=8, output_tokens=8)


def made_up(asked: Asked, text: str) -> Answer:
    """An answer to a program's request; the same to an equal one.

    Args:
        asked: the request.
        text: what the reply says where it is free to say anything.
    """
    data, name = asked.data, stable_hash(dict(asked.data))[:12]
    if asked.dialect == "embeddings":
        return _json(_embeddings(data))
    use = _called(data, name)
    schema = _schema(data)
    said = text if schema is None else json.dumps(_filled(schema, name, text), ensure_ascii=False)
    reply = Reply("" if use else said, "stop", _TOOK, 0.0, calls=() if use is None else (use,))
    if asked.dialect == "messages":
        return _anthropic(data, name, reply)
    if asked.dialect == "completions":
        choice = {"index": 0, "text": said, "finish_reason": "stop", "logprobs": None}
        whole = {
            "id": f"cmpl-{name}",
            "object": "text_completion",
            "created": 0,
            "model": data.get("model"),
            "choices": [choice],
        }
        return _events([("", whole), ("", "[DONE]")]) if asked.streamed else _json(whole)
    if asked.dialect in (WHOLE, STREAM):
        candidate = {"content": {"role": "model", "parts": [{"text": said}]}, "finishReason": "STOP"}
        whole = {"candidates": [candidate], "usageMetadata": {"promptTokenCount": 8, "candidatesTokenCount": 8}}
        return _events([("", whole)]) if asked.streamed else _json(whole)
    options: Any = data.get("stream_options")
    usage = isinstance(options, dict) and cast("dict[str, Any]", options).get("include_usage") is True
    chat = Chat(str(data.get("model")), Request((Message("user", ""),), 1), stream=asked.streamed, usage=usage)
    if asked.dialect == "responses":
        chosen: dict[str, Any] = {"tools": [], "tool_choice": "auto", "parallel_tool_calls": True}
        answer: dict[str, Any] = {**response_answer(chat, name, [reply]), **chosen}
        return _events(response_events(chat, answer)) if asked.streamed else _json(answer)
    count = data.get("n") if isinstance(data.get("n"), int) else 1
    answer = chat_answer(chat, name, [reply] * max(1, min(cast("int", count), 128)))
    return _events(chat_events(chat, answer)) if asked.streamed else _json(answer)


def _json(body: Mapping[str, Any]) -> Answer:
    return Answer(200, {"content-type": "application/json"}, json.dumps(body, ensure_ascii=False).encode())


def _events(events: Iterable[tuple[str, Any]]) -> Answer:
    lines = [
        (f"event: {name}\n" if name else "") + f"data: {data if isinstance(data, str) else json.dumps(data)}\n\n"
        for name, data in events
    ]
    return Answer(200, {"content-type": "text/event-stream"}, "".join(lines).encode())


def _filled(schema: Mapping[str, Any], name: str, text: str) -> Any:
    return fill(schema, name, texts=lambda _, place: text, listed=[(1.0, text)], total=1.0)


def _schema(data: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """What a reply must fit, as chat completions and responses name it."""
    form = _object(data.get("response_format")) or _object(_object(data.get("text")).get("format"))
    if form.get("type") == "json_object":
        return {"type": "object"}
    inner = _object(form.get("json_schema")) or form
    return _object(inner.get("schema")) or None if form.get("type") == "json_schema" else None


def _called(data: Mapping[str, Any], name: str) -> ToolUse | None:
    """The call of a tool, where the model has no choice but to make one."""
    tools = [_object(each) for each in cast("list[Any]", data.get("tools") or [])]
    choice: Any = data.get("tool_choice")
    named = _object(_object(choice).get("function")) or _object(choice)
    forced = choice in ("required", "any") or named.get("type") == "any" or "name" in named
    if not tools or not forced:
        return None
    plain = [_object(each.get("function")) or each for each in tools]
    tool = next((each for each in plain if each.get("name") == named.get("name")), plain[0])
    schema = _object(tool.get("parameters")) or _object(tool.get("input_schema")) or {"type": "object"}
    return ToolUse(str(tool.get("name")), json.dumps(_filled(schema, name, "made up"), ensure_ascii=False))


def _anthropic(data: Mapping[str, Any], name: str, reply: Reply) -> Answer:
    """Source: Anthropic's API reference, `POST /v1/messages`."""
    blocks: list[dict[str, Any]] = [
        {"type": "tool_use", "id": f"toolu_{name}", "name": use.name, "input": json.loads(use.arguments)}
        for use in reply.calls
    ] or [{"type": "text", "text": reply.text}]
    usage = {"input_tokens": _TOOK.input_tokens, "output_tokens": _TOOK.output_tokens}
    whole: dict[str, Any] = {
        "id": f"msg_{name}", "type": "message", "role": "assistant", "model": data.get("model"), "content": blocks,
        "stop_reason": "tool_use" if reply.calls else "end_turn", "stop_sequence": None, "usage": usage,
    }  # fmt: skip
    if data.get("stream") is not True:
        return _json(whole)
    begun: dict[str, Any] = {**whole, "content": [], "stop_reason": None}
    events: list[dict[str, Any]] = [{"type": "message_start", "message": begun}]
    for index, block in enumerate(blocks):
        empty: dict[str, Any]
        if block["type"] == "text":
            empty, delta = {"type": "text", "text": ""}, {"type": "text_delta", "text": block["text"]}
        else:
            empty, delta = (
                {**block, "input": dict[str, Any]()},
                {"type": "input_json_delta", "partial_json": json.dumps(block["input"])},
            )
        events += [
            {"type": "content_block_start", "index": index, "content_block": empty},
            {"type": "content_block_delta", "index": index, "delta": delta},
            {"type": "content_block_stop", "index": index},
        ]
    ended = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
    events += [{"type": "message_delta", "delta": ended, "usage": {"output_tokens": 8}}, {"type": "message_stop"}]
    return _events((each["type"], each) for each in events)


def _embeddings(data: Mapping[str, Any]) -> dict[str, Any]:
    given: Any = data.get("input")
    texts = cast("list[Any]", given) if isinstance(given, list) else [given]
    rows: list[dict[str, Any]] = []
    for index, text in enumerate(texts):
        numbers = [chance(str(text), str(place)) for place in range(_SIZE)]
        packed = base64.b64encode(struct.pack(f"<{_SIZE}f", *numbers)).decode()
        rows.append(
            {
                "object": "embedding",
                "index": index,
                "embedding": packed if data.get("encoding_format") == "base64" else numbers,
            }
        )
    usage = {"prompt_tokens": 8, "total_tokens": 8}
    return {"object": "list", "model": data.get("model"), "data": rows, "usage": usage}


def _object(value: object) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}
