"""An endpoint on the loopback address whose answers a test writes down."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

from flowbot.lm.client import Identity
from flowbot.lm.clock import VirtualClock
from flowbot.lm.lm import LM
from flowbot.lm.openai import OpenAIClient
from flowbot.lm.session import Session
from flowbot.lm.wire import Wire
from flowbot.store import Store

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


class Peer:
    """One connection to a `RawEndpoint`, as a test plays it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        self._reader = reader
        self._writer = writer
        self.number = number
        """Of the connection, from 1."""

    async def asked(self) -> bytes:
        """The body of the next request; ends the connection's play where the client hangs up."""
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        return await self._reader.readexactly(int(length.partition(b":")[2]))

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def hold(self) -> None:
        """Keep the connection open until the client hangs up."""
        while await self._reader.read(65536):
            pass

    def close(self) -> None:
        self._writer.close()

    def reset(self) -> None:
        """End it as a machine does that has crashed: without the usual good-bye."""
        found: socket.socket = self._writer.get_extra_info("socket")
        found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()


class RawEndpoint:
    """A server that sends whatever bytes a test writes down, right or wrong."""

    def __init__(self, play: Callable[[Peer], Awaitable[None]]) -> None:
        self.base = ""
        self.connections = 0
        self._play = play
        self._playing: set[asyncio.Task[None]] = set()

    def wire(self, **more: Any) -> Wire:
        return Wire(self.base, key=KEY, **{"seconds": 20.0, **more})

    def came(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.get_running_loop().create_task(self._run(reader, writer, self.connections))
        self._playing.add(task)
        task.add_done_callback(self._playing.discard)

    async def end(self) -> None:
        for task in list(self._playing):
            task.cancel()
        await asyncio.gather(*self._playing, return_exceptions=True)

    async def _run(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        try:
            await self._play(Peer(reader, writer, number))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


def http(body: Any, status: int = 200) -> bytes:
    """An answer byte by byte: JSON, or bytes as they are."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n" % (status, len(data)) + data


def said(text: str | None, **more: Any) -> dict[str, Any]:
    """The body of a sound answer."""
    counted = {"prompt_tokens": 12, "completion_tokens": 3}
    message = {"role": "assistant", "content": text}
    return {"choices": [{"message": message, "finish_reason": "stop", **more}], "usage": counted}


class Replay:
    """Answers each request with the next of these, the last one for ever, and keeps what it was asked."""

    def __init__(self, *answers: bytes | Callable[[Body], bytes]) -> None:
        self.answers = answers
        self.bodies: list[Body] = []

    async def __call__(self, peer: Peer) -> None:
        while True:
            body = json.loads(await peer.asked())
            self.bodies.append(body)
            answer = self.answers[min(len(self.bodies), len(self.answers)) - 1]
            await peer.send(answer if isinstance(answer, bytes) else answer(body))


@asynccontextmanager
async def asking(
    *answers: bytes | Callable[[Body], bytes], store: Store | None = None, key: str = KEY, **more: Any
) -> AsyncIterator[tuple[LM, Replay]]:
    """A model behind an endpoint that answers so; nobody waits between its tries."""
    replay = Replay(*answers)
    async with raw(replay) as endpoint:
        store = store or Store.memory()
        wire = Wire(endpoint.base, key=key)
        client = OpenAIClient(Identity("openai", "there", "gpt-x"), wire, store=store, **more)
        client.clock = VirtualClock()  # type: ignore[attr-defined]
        lm = LM(client, Session(store))
        try:
            yield lm, replay
        finally:
            await lm.close()


@asynccontextmanager
async def raw(play: Callable[[Peer], Awaitable[None]]) -> AsyncIterator[RawEndpoint]:
    """An endpoint that plays `play` on every connection while the block runs."""
    found = RawEndpoint(play)
    server = await asyncio.start_server(found.came, "127.0.0.1", 0)
    found.base = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    try:
        yield found
    finally:
        server.close()
        await found.end()
        await server.wait_closed()
