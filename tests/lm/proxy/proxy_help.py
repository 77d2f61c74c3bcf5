"""A proxy over a model that a test writes down, and a client of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from lm_helpers import Answering, ScriptedClient

from flowbot.lm.budget import Budget
from flowbot.lm.lm import LM
from flowbot.lm.pace import Pace
from flowbot.lm.proxy import Access, Proxy
from flowbot.lm.session import Session
from flowbot.store import Store

HI: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
TOOL: dict[str, Any] = {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}
TOOLS: list[dict[str, Any]] = [{"type": "function", "function": TOOL}]


class Bench:
    """A proxy, its model behind `client`, and any number of accesses to it, each with a session of its own."""

    def __init__(self, proxy: Proxy, client: Any, http: aiohttp.ClientSession, store: Store) -> None:
        self.proxy, self.client, self.http, self.store = proxy, client, http, store

    def open(self, budget: Budget | None = None, **more: Any) -> Access:
        session = Session(self.store, budget or Budget(), pace=Pace(8))
        return self.proxy.open(session, {"m": LM(self.client, session)}, **more)

    async def post(self, url: str, body: Any = HI, path: str = "chat/completions") -> tuple[int, Any]:
        async with self.http.post(f"{url}/{path}", json=body) as answer:
            text = await answer.text()
            return answer.status, await answer.json() if "json" in answer.content_type else text


@asynccontextmanager
async def proxied(answering: Answering | None = None, client: Any = None) -> AsyncIterator[Bench]:
    """While the block runs: the model says how often it was asked, unless the test says what else."""
    client = client or ScriptedClient(answering or (lambda request, number: f"reply {number}"))
    async with Proxy() as proxy, aiohttp.ClientSession() as http:
        yield Bench(proxy, client, http, Store.memory())


def texts(answer: Any) -> list[str]:
    return [choice["message"]["content"] for choice in answer["choices"]]
