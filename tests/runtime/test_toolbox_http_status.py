"""What a remote MCP server's HTTP status, silence and slowness come to."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

from flowbot.fields import InfrastructureError, StepError
from flowbot.runtime.memo import Memo
from flowbot.runtime.toolbox import http_status, mcp, opened_tools, server
from flowbot.runtime.tools import ToolRunner
from flowbot.store import Store
from flowbot.task import MCPSource

INPUT = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}


@dataclass
class Far:
    """A server that answers by script: first the statuses, one a request of that method, and then as it should."""

    statuses: dict[str, list[int]] = field(default_factory=dict[str, list[int]])
    headers: dict[str, str] = field(default_factory=dict[str, str])
    asked: list[str] = field(default_factory=list[str])
    silent: asyncio.Event | None = None
    packed: str = ""
    url: str = ""

    def source(self, **more: Any) -> MCPSource:
        return MCPSource(only={"say": "say"}, url=self.url, **{"effects": "reads", **more})

    async def answer(self, request: web.Request) -> web.Response:
        if request.method != "POST":
            if request.method == "DELETE" and self.silent:
                await self.silent.wait()
            return web.Response(status=405)
        asked: dict[str, Any] = await request.json()
        method = asked["method"]
        self.asked.append(method)
        statuses = self.statuses.get(method)
        if statuses:
            return web.Response(status=statuses.pop(0), text="no", headers=self.headers)
        result: dict[str, Any] = {}
        match method:
            case "initialize":
                info = {"name": "far", "version": "1"}
                result = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": info}
            case "tools/list":
                result = {"tools": [{"name": "say", "inputSchema": INPUT}]}
            case "tools/call":
                if self.silent:
                    await self.silent.wait()
                if self.packed:
                    content = gzip.compress(b"data: [" + b"1," * 1_000_000 + b"1]\n\n")
                    return web.Response(body=content, headers={"Content-Encoding": "gzip", "Content-Type": self.packed})
                result = {"content": [{"type": "text", "text": asked["params"]["arguments"]["text"]}]}
            case "server/discover":
                return web.Response(status=404)
            case _:
                return web.Response(status=202)
        body = {"jsonrpc": "2.0", "id": asked["id"], "result": result}
        return web.json_response(body, headers={"Mcp-Session-Id": "s"} if method == "initialize" else {})


@pytest.fixture
async def far(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Far]:
    monkeypatch.setattr(http_status, "FIRST_WAIT", 0.0)
    made = Far()
    application = web.Application()
    application.router.add_route("*", "/mcp", made.answer)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}/mcp"
    yield made
    if made.silent:
        made.silent.set()
    await runner.cleanup()


async def said(source: MCPSource, memo: Memo | None = None) -> tuple[dict[str, Any], float]:
    async with opened_tools([source]) as tools:
        return await ToolRunner(tools, memo, allow_writes=True).call("say", {"text": "hello"})


@pytest.mark.parametrize(("status", "kind"), [(401, "auth"), (403, "auth"), (404, "not_found")])
@pytest.mark.parametrize("method", ["initialize", "tools/call"])
async def test_a_refusal_is_fatal_at_once(far: Far, method: str, status: int, kind: str) -> None:
    far.statuses = {method: [status] * 9}
    memo = Memo(Store.memory())
    with pytest.raises(InfrastructureError, match=f"MCP server .*HTTP {status}") as caught:
        await said(far.source(), memo)
    assert (caught.value.kind, caught.value.fatal) == (kind, True)
    # With 404 a server says that it knows no such session: that is asked for anew, once.
    assert far.asked.count(method) == (2 if (method, status) == ("tools/call", 404) else 1)
    assert len(await memo.store.items("tool")) == 0


@pytest.mark.parametrize("method", ["initialize", "tools/list", "tools/call"])
@pytest.mark.parametrize("status", [429, 503])
async def test_a_server_that_is_busy_or_down_is_asked_again(far: Far, method: str, status: int) -> None:
    far.statuses = {method: [status] * (http_status.TRIES - 1)}
    assert (await said(far.source()))[0] == {"result": "hello"}
    far.statuses = {method: [status] * http_status.TRIES}
    with pytest.raises(InfrastructureError, match=f"HTTP {status}"):
        await said(far.source())


@pytest.mark.parametrize("kind", ["application/json", "text/event-stream"])
async def test_what_is_packed_is_not_read(far: Far, kind: str) -> None:
    far.packed = kind
    with pytest.raises(StepError, match="ask for less"):
        await said(far.source())
    far.statuses, far.headers = {"tools/call": [403]}, {"Content-Encoding": "gzip"}
    with pytest.raises(InfrastructureError, match="HTTP 403"):
        await said(far.source())


async def test_a_call_that_writes_is_made_again_only_where_it_was_not_made(far: Far) -> None:
    far.statuses = {"tools/call": [429, 500]}
    with pytest.raises(InfrastructureError, match="HTTP 500"):
        await said(far.source(effects="writes"))
    assert far.asked.count("tools/call") == 2


async def test_the_wait_that_the_server_asks_for_is_kept_and_one_that_is_too_long_is_not_waited(
    far: Far, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    far.statuses, far.headers = {"tools/call": [429]}, {"Retry-After": "7"}
    sleep = asyncio.sleep

    async def noted(seconds: float, *more: Any) -> None:
        waits.append(seconds)
        await sleep(0 if seconds == 7 else seconds, *more)

    monkeypatch.setattr(asyncio, "sleep", noted)
    await said(far.source())
    assert 7 in waits
    far.statuses, far.headers = {"tools/call": [429] * 9}, {"Retry-After": "3600"}
    with pytest.raises(InfrastructureError) as caught:
        await said(far.source())
    assert caught.value.retry_after == 3600
    assert far.statuses == {"tools/call": [429] * 8}


async def test_no_answer_in_time_is_an_infrastructure_error_and_not_stored(
    far: Far, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mcp, "SECONDS", 0.05)
    monkeypatch.setattr(server, "CLOSE_SECONDS", 0.05)
    far.silent = asyncio.Event()
    memo = Memo(Store.memory())
    with pytest.raises(InfrastructureError, match=r"no answer within 0\.05 s") as caught:
        await said(far.source(), memo)
    assert caught.value.kind == "timeout"
    assert len(await memo.store.items("tool")) == 0


async def test_closing_does_not_wait_for_a_server_that_does_not_answer(
    far: Far, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "CLOSE_SECONDS", 0.05)
    async with asyncio.timeout(20):
        async with opened_tools([far.source()]):
            far.silent = asyncio.Event()
