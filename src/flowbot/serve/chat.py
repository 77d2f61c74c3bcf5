"""OpenAI's chat completions over a workflow: what speaks to a model speaks to a workflow.

A workflow with one text as its input gets the last user message; any other gets JSON by name, as that message or as `inputs` beside
`messages`. What it gives is the reply: a single text as it is, all else as JSON.

A streamed reply comes in one piece once the last step has ended, since a step's reply is checked, and asked for again where it is of
no use, before anybody sees it; until then comments keep the connection alive.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Mapping
from typing import TYPE_CHECKING, Any, cast

from starlette.responses import JSONResponse, StreamingResponse

from flowbot.fields import UserError
from flowbot.fields.words import kind_of
from flowbot.fields.yaml import parse_json

from .denial import Denial, denial_of
from .typed import ID, Asked, as_object, object_of

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from .face import Face
    from .service import Served, Service

ALIVE_SECONDS = 10.0
"""Between comments; and how long an answer is waited for before a stream begins, so that a fault has its status."""


async def models(service: Service, _: Request) -> Response:
    """Answer `GET /v1/models`."""
    model = {"id": service.face.name, "object": "model", "created": 0, "owned_by": "flowbot"}
    return JSONResponse({"object": "list", "data": [model]})


async def completions(service: Service, asked: Asked) -> Response:
    """Answer `POST /v1/chat/completions`."""
    body = object_of(asked)
    named = body.get("model", service.face.name)
    if named != service.face.name:
        raise Denial(404, f"model: found {named!r:.80}; expected {service.face.name!r}", code="model_not_found")
    if body.get("n") not in (None, 1):
        raise UserError("n", f"{body['n']!r:.40}", "1: a workflow answers once")
    inputs = _inputs(body, service.face)
    if body.get("stream") is not True:
        served = await service.run(inputs)
        return JSONResponse(_whole(served, service.face), headers={ID: served.id})
    options = body.get("stream_options")
    counted = isinstance(options, dict) and cast("dict[str, Any]", options).get("include_usage") is True
    work = asyncio.create_task(service.run(inputs))
    try:
        await asyncio.wait((work,), timeout=ALIVE_SECONDS)
    except asyncio.CancelledError:
        await _ended(work)
        raise
    headers = {"cache-control": "no-store"}
    if work.done():
        headers[ID] = work.result().id  # or its fault, with a status
    return StreamingResponse(
        _events(work, service.face, counted=counted), media_type="text/event-stream", headers=headers
    )


def _inputs(body: Mapping[str, Any], face: Face) -> dict[str, Any]:
    """The workflow's inputs in a request for a chat completion."""
    if "inputs" in body:
        return as_object(body["inputs"], "inputs")
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise UserError("messages", "none", "a list of messages, the last one of the user")
    last = next((each for each in reversed(cast("list[Any]", messages)) if _role(each) == "user"), None)
    if last is None:
        raise UserError("messages", "no message of the user", "one with role user")
    text = _text(last.get("content"))
    if face.asks_text:
        return {face.asks_text: text}
    where = f"messages: the last of the user (inputs {', '.join(field.name for field in face.inputs)} as a JSON object)"
    return as_object(parse_json(text, where), where)


def _role(message: Any) -> Any:
    return cast("dict[str, Any]", message).get("role") if isinstance(message, dict) else None


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise UserError("messages: content", kind_of(content), "a text")
    texts: list[str] = []
    for part in cast("list[Any]", content):
        text = cast("dict[str, Any]", part).get("text") if isinstance(part, dict) else None
        if not isinstance(text, str):
            raise UserError("messages: content", "a part that is no text", "texts alone")
        texts.append(text)
    return "".join(texts)


def _whole(served: Served, face: Face) -> dict[str, Any]:
    message = {"role": "assistant", "content": _content(served, face), "refusal": None}
    choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
    return {**_head(served.id, "chat.completion", face), "choices": [choice], "usage": _usage(served)}


async def _events(work: asyncio.Task[Served], face: Face, *, counted: bool) -> AsyncGenerator[bytes]:
    """The server-sent events of one reply; whoever stops listening ends the work."""
    try:
        while not work.done():
            yield b": the workflow is at work\n\n"
            await asyncio.wait((work,), timeout=ALIVE_SECONDS)
        try:
            served = work.result()
        except Exception as error:
            denial = denial_of(error)
            yield _event(
                {"error": {"message": denial.message, "type": "server_error", "code": denial.code or denial.status}}
            )
            return
        head = _head(served.id, "chat.completion.chunk", face)
        said = {"role": "assistant", "content": _content(served, face)}
        yield _event({**head, "choices": [{"index": 0, "delta": said, "finish_reason": None}]})
        yield _event({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        if counted:
            yield _event({**head, "choices": [], "usage": _usage(served)})
        yield b"data: [DONE]\n\n"
    finally:
        await _ended(work)


async def _ended(work: asyncio.Task[Served]) -> None:
    work.cancel()  # does nothing to one that has ended
    await asyncio.gather(work, return_exceptions=True)


def _event(data: Mapping[str, Any]) -> bytes:
    return f"data: {json.dumps(data, ensure_ascii=False)}\n\n".encode("utf-8", "replace")


def _head(id: str, kind: str, face: Face) -> dict[str, Any]:
    return {"id": id, "object": kind, "created": int(time.time()), "model": face.name}


def _content(served: Served, face: Face) -> str:
    if face.gives_text:
        return str(served.outputs[face.gives_text])
    return json.dumps(served.outputs, ensure_ascii=False)


def _usage(served: Served) -> dict[str, Any]:
    took = served.trace.usage
    return {
        "prompt_tokens": took.input_tokens,
        "completion_tokens": took.output_tokens,
        "total_tokens": took.tokens,
        "prompt_tokens_details": {"cached_tokens": took.cached_tokens},
    }
