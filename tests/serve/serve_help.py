"""A workflow that is served on a loopback port, its model a client that a test writes down."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import aiohttp
from lm_helpers import Answering, ScriptedClient
from web_help import on_port

from flowbot.lm.lm import LM
from flowbot.runtime.engine import Engine
from flowbot.runtime.workbench import Workbench
from flowbot.serve.app import app_of
from flowbot.serve.face import Face
from flowbot.serve.mcp import mcp_app
from flowbot.serve.record import Recording
from flowbot.serve.service import Service
from flowbot.serve.spending import Spending
from flowbot.workflow.workflow import Workflow

TEXT: dict[str, Any] = {
    "inputs": {"question": "str"},
    "outputs": {"answer": "second.text"},
    "nodes": {
        "first": {"kind": "llm", "in": {"question": "question"}, "out": {"text": "str"}},
        "second": {"kind": "llm", "in": {"draft": "first.text"}, "out": {"text": "str"}},
    },
}
"""Two calls, a text in and a text out."""
ONE: dict[str, Any] = {
    "inputs": {"question": "str"},
    "outputs": {"answer": "only.text"},
    "nodes": {"only": {"kind": "llm", "in": {"question": "question"}, "out": {"text": "str"}}},
}
"""One call."""
TYPED: dict[str, Any] = {
    "inputs": {"note": "str", "most": "int"},
    "outputs": {"total": "count.total", "sure": "count.sure"},
    "nodes": {
        "count": {"kind": "llm", "in": {"note": "note", "most": "most"}, "out": {"total": "int", "sure": "bool"}}
    },
}
"""Two inputs, two outputs."""


def workflow_of(data: Mapping[str, Any]) -> Workflow:
    return Workflow.from_data({"flowbot": 1, **data})


@dataclass
class Bench:
    url: str
    service: Service
    client: ScriptedClient
    http: aiohttp.ClientSession

    async def post(self, path: str, body: Any, **more: Any) -> tuple[int, Any, Mapping[str, str]]:
        """Status, body and headers of the answer."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        async with self.http.post(self.url + path, data=BytesIO(data), **more) as answer:
            return answer.status, await answer.json(), answer.headers

    async def get(self, path: str) -> tuple[int, Any]:
        async with self.http.get(self.url + path) as answer:
            return answer.status, await (answer.json() if "json" in answer.content_type else answer.text())


@asynccontextmanager
async def served(
    flow: Mapping[str, Any],
    answering: Answering,
    *,
    name: str = "shop",
    most: int = 64,
    seconds: float = 60.0,
    spending: Spending | None = None,
    record: Path | None = None,
    key: str | None = None,
    cache: Path | None = None,
    price: float | None = None,
) -> AsyncGenerator[Bench]:
    """Serve `flow`; a call costs `price` dollars."""
    workflow = workflow_of(flow)
    client = ScriptedClient(answering)
    async with AsyncExitStack() as stack:
        bench = await stack.enter_async_context(Workbench(stored=False, cache_dir=cache))
        session = bench.session(stored=False)
        if spending is not None:
            spending.watch(session)
        lm = LM(client, session, price=None if price is None else lambda usage: price * usage.calls)
        engine = Engine(lm, session, live=True)
        stack.push_async_callback(lm.close)
        stack.push_async_callback(engine.close)
        face = Face.of(workflow, name)
        recording = None if record is None else Recording(record, face)
        if recording is not None:
            stack.callback(recording.close)
        service = Service(workflow, engine, face, most=most, seconds=seconds, spending=spending, record=recording)
        mcp = await stack.enter_async_context(mcp_app(service, 2**20))
        url, _ = await stack.enter_async_context(on_port(app_of(service, key=key, most_bytes=2**20, mcp=mcp)))
        http = await stack.enter_async_context(aiohttp.ClientSession())
        stack.callback(client.gate.set)  # a test that fails while its model waits ends all the same
        yield Bench(url, service, client, http)
