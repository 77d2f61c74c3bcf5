"""Models behind a loopback port in the dialects that programs speak, and a tap before them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

from flowbot.lm.budget import Budget
from flowbot.lm.session import Session
from flowbot.lm.tap import Exchange, Models, Tap, install, tapping
from flowbot.store import Store

KEY = "sk-secret-0123456789abcdef"
Body = dict[str, Any]


class Endpoint:
    """Answers every request with words of its own number, in the dialect of its path; it keeps what it was sent."""

    def __init__(self) -> None:
        self.bodies: list[Body] = []
        self.answer: Callable[[Body, int], web.StreamResponse | None] = lambda body, number: None
        self.held: Callable[[Body], bool] = lambda body: False
        """Whether an answer is to wait."""
        self.server: TestServer

    @property
    def url(self) -> str:
        return str(self.server.make_url("/v1"))

    async def handle(self, asked: web.Request) -> web.StreamResponse:
        body = await asked.json()
        self.bodies.append(body)
        number = len(self.bodies)
        while self.held(body):  # noqa: ASYNC110 - it asks what others do
            await asyncio.sleep(0.001)
        if (own := self.answer(body, number)) is not None:
            return own
        text, stream = f"words {number}", bool(body.get("stream"))
        match asked.path.rpartition("/v1/")[2]:
            case "chat/completions":
                return events(chat_events(text)) if stream else web.json_response(chat(text))
            case "messages":
                return events(message_events(text)) if stream else web.json_response(message(text))
            case "responses":
                whole = response(text)
                done = {"type": "response.completed", "sequence_number": 1, "response": whole}
                return events([done]) if stream else web.json_response(whole)
            case "embeddings":
                data = [{"object": "embedding", "index": 0, "embedding": [0.5, 0.25]}]
                used = {"prompt_tokens": 3, "total_tokens": 3}
                return web.json_response({"object": "list", "data": data, "model": "embed-x", "usage": used})
            case _:
                return web.json_response({"text": text})


def chat(text: str, **message: Any) -> Body:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-x-2026",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": text, **message}, "finish_reason": "stop"}
        ],
        "usage": {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15},
    }


def chat_events(text: str, *, finish: str | None = "stop") -> list[Any]:
    def chunk(delta: Body, ended: str | None) -> Body:
        choice = {"index": 0, "delta": delta, "finish_reason": ended}
        return {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "gpt-x", "choices": [choice]}

    half = len(text) // 2
    return [
        chunk({"role": "assistant", "content": text[:half]}, None),
        chunk({"content": text[half:]}, finish),
        "[DONE]",
    ]


def message(text: str) -> Body:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-x",
        "content": [{"type": "text", "text": text}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 7, "output_tokens": 4, "cache_read_input_tokens": 5},
    }


def message_events(text: str) -> list[Body]:
    start = {**message(""), "content": [], "stop_reason": None, "usage": {"input_tokens": 7, "output_tokens": 1}}
    return [
        {"type": "message_start", "message": start},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}},
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"output_tokens": 9},
        },
        {"type": "message_stop"},
    ]


def response(text: str) -> Body:
    part = {"type": "output_text", "text": text, "annotations": []}
    item = {"id": "m", "type": "message", "role": "assistant", "status": "completed", "content": [part]}
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "status": "completed",
        "model": "gpt-x",
        "output": [item],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": {
            "input_tokens": 8,
            "input_tokens_details": {"cached_tokens": 2},
            "output_tokens": 5,
            "output_tokens_details": {"reasoning_tokens": 1},
            "total_tokens": 13,
        },
    }


def events(each: Iterable[Any]) -> web.Response:
    """A stream of events, named where they have a type."""
    said = [(one.get("type", ""), json.dumps(one)) if isinstance(one, dict) else ("", one) for one in each]
    text = "".join((f"event: {name}\n" if name else "") + f"data: {data}\n\n" for name, data in said)
    return web.Response(text=text, content_type="text/event-stream")


def error(status: int, text: str, **headers: str) -> web.Response:
    found = {"error": {"message": text, "type": "some_error"}}
    return web.json_response(
        found, status=status, headers={name.replace("_", "-"): each for name, each in headers.items()}
    )


@asynccontextmanager
async def serving() -> AsyncIterator[Endpoint]:
    found = Endpoint()
    app = web.Application()
    app.router.add_post("/{path:.*}", found.handle)
    found.server = TestServer(app)
    await found.server.start_server()
    try:
        yield found
    finally:
        await found.server.close()


class Run:
    """Taps of one run, and what they heard."""

    def __init__(self, session: Session, **more: Any) -> None:
        self.session = session
        self.models = Models(session, **more)
        self.heard: list[Exchange] = []

    @contextmanager
    def open(self, **more: Any) -> Iterator[Tap]:
        """A tap for what is started in the block, which may go on after it."""
        install()
        tap = Tap(self.models, heard=self.heard.append, **more)
        held = tapping.set(tap)
        try:
            yield tap
        finally:
            tapping.reset(held)

    @contextmanager
    def tapped(self, **more: Any) -> Iterator[Tap]:
        with self.open(**more) as tap:
            try:
                yield tap
            finally:
                tap.close()


@asynccontextmanager
async def running(store: Store | None = None, budget: Budget | None = None, **more: Any) -> AsyncIterator[Run]:
    """A run on a store in memory, or on one that another used."""
    run = Run(Session(store or Store.memory(), budget), **{"price": (1.0, 2.0), **more})
    yield run
    await run.models.close()
