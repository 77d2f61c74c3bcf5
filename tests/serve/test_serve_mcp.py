"""The mcp package calls a workflow as a tool, over HTTP and over standard input and output."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest
from lm_helpers import until
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from serve_help import TEXT, TYPED, served

from flowbot.web import gone
from flowbot.workflow.file import write_data

NOTE = {"note": "two pens", "most": 9}


async def test_over_http_it_is_one_typed_tool() -> None:
    async with (
        served(TYPED, lambda request, number: json.dumps({"total": 2, "sure": True}) if number < 2 else "no") as bench,
        Client(f"{bench.url}/mcp") as client,
    ):
        (tool,) = (await client.list_tools()).tools
        assert (tool.name, list(tool.input_schema["properties"])) == ("shop", ["note", "most"])
        assert tool.annotations is not None
        assert tool.annotations.read_only_hint
        found = await client.call_tool("shop", NOTE)
        assert (found.is_error, found.structured_content) == (False, {"total": 2, "sure": True})
        wrong = await client.call_tool("shop", {"note": "x"})
        assert wrong.is_error
        assert "inputs: found no most" in str(wrong.content)
        failed = await client.call_tool("shop", NOTE)
        assert failed.is_error
        assert 'flowbot_requests_total{path="/mcp",status="200"}' in (await bench.get("/metrics"))[1]


async def test_who_may_not_ask_may_not_ask_for_the_tool() -> None:
    async with served(TYPED, lambda request, _: "no", key="a key of many words") as bench:
        assert (await bench.post("/mcp", {}))[0] == 401
        headers = {"Authorization": "Bearer a key of many words", "Origin": "https://evil.org"}
        assert (await bench.post("/mcp", {}, headers=headers))[0] == 403


async def test_the_work_for_a_client_that_leaves_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gone, "WATCHED_AFTER", 0.0)
    asked = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": "shop", "arguments": {"question": "a"}},
    }
    headers = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
    async with served(TEXT, lambda request, _: "draft") as bench:
        bench.client.gate.clear()
        leaving = asyncio.create_task(bench.post("/mcp", asked, headers=headers))
        await until(lambda: len(bench.client.sent) == 1)
        leaving.cancel()
        await until(lambda: not bench.service.under_way)
        bench.client.gate.set()


async def test_over_standard_input_and_output(tmp_path: Path) -> None:
    flow = tmp_path / "repeat.flow.yaml"
    write_data({**TEXT, "flowbot": 1, "parameters": {name: {"instruction": "Repeat."} for name in TEXT["nodes"]}}, flow)
    arguments = ["-m", "flowbot", "serve", str(flow), "--model", "fake/echo", "--stdio"]
    arguments += ["--cache-dir", str(tmp_path / "cache")]
    command = StdioServerParameters(command=sys.executable, args=arguments, env=dict(os.environ))
    async with Client(stdio_client(command)) as client:
        (tool,) = (await client.list_tools()).tools
        found = await client.call_tool(tool.name, {"question": "pears"})
        assert (tool.name, found.structured_content) == ("repeat", {"answer": "pears"})
