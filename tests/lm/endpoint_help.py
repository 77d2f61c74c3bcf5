"""An endpoint on the loopback address whose answers a test writes down."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

from flowbot.lm import Identity
from flowbot.lm.openai import OpenAIClient
from flowbot.lm.wire import Wire

KEY = "sk-secret-0123456789"
Body = dict[str, Any]


class Endpoint:
    """A server whose answers a test writes down; it keeps what it was sent."""

    def __init__(self) -> None:
        self.answer: Callable[[Body, int], web.StreamResponse | Awaitable[web.StreamResponse]] = lambda b, n: chat("hi")
        self.bodies: list[Body] = []
        self.headers: list[dict[str, str]] = []
        self.server: TestServer

    async def handle(self, asked: web.Request) -> web.StreamResponse:
        body = await asked.json()
        self.bodies.append(body)
        self.headers.append(dict(asked.headers))
        self.asked = asked
        answer = self.answer(body, len(self.bodies))
        return answer if isinstance(answer, web.StreamResponse) else await answer

    def client(self, **more: Any) -> OpenAIClient:
        base = str(self.server.make_url("/v1"))
        wire = Wire(base, key=KEY, **{"seconds": 20.0, **more.pop("wire", {})})
        return OpenAIClient(Identity("openai", base, "gpt-x"), wire, **more)


def chat(text: str | None, *, finish: str | None = "stop", usage: Any = None, **message: Any) -> web.Response:
    counted = {"prompt_tokens": 12, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 8}}
    return web.json_response(
        {
            "model": "gpt-x-2026",
            "choices": [{"message": {"role": "assistant", "content": text, **message}, "finish_reason": finish}],
            "usage": counted if usage is None else usage,
        }
    )


def error(status: int, message: str, *, headers: dict[str, str] | None = None, **more: Any) -> web.Response:
    return web.json_response({"error": {"message": message, **more}}, status=status, headers=headers)


@asynccontextmanager
async def serving() -> AsyncIterator[Endpoint]:
    """An endpoint that answers while the block runs."""
    found = Endpoint()
    app = web.Application()
    app.router.add_post("/v1/chat/completions", found.handle)
    found.server = TestServer(app)
    await found.server.start_server()
    yield found
    await found.server.close()
