"""Engines on a fake model and a store in memory, and workflows from data as it stands in a file."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from flowbot.lm.budget import Budget
from flowbot.lm.client import Client, Request
from flowbot.lm.lm import LM
from flowbot.lm.pace import Pace
from flowbot.lm.retry import RetryPolicy
from flowbot.lm.session import Session
from flowbot.runtime.engine import Engine
from flowbot.store import Store
from flowbot.task import Tool, tool_of
from flowbot.testing.fake import FakeClient
from flowbot.workflow.check import require_valid
from flowbot.workflow.workflow import Workflow


def echo(request: Request) -> str:
    """The last message's text."""
    return request.messages[-1].content


@asynccontextmanager
async def engine_on(
    model: Client | Callable[[Request], str | Mapping[str, Any]] = echo,
    *,
    tools: Iterable[Callable[..., Any] | Tool] = (),
    store: Store | None = None,
    budget: Budget | None = None,
    concurrency: int = 16,
    tries: int = 2,
    **more: Any,
) -> AsyncIterator[Engine]:
    """An engine on a client or on what replies; closed at the end."""
    client = FakeClient(model) if callable(model) else model
    session = Session(store=store or Store.memory(), budget=budget or Budget(), pace=Pace(concurrency))
    lm = LM(client, session, retry=RetryPolicy(tries=tries))
    made = {tool.signature.name: tool for tool in map(tool_of, tools)}
    engine = Engine(lm, session, tools=made, **more)
    try:
        yield engine
    finally:
        await engine.close()


def workflow_of(
    inputs: dict[str, str], outputs: dict[str, str], nodes: dict[str, Any], parameters: dict[str, Any] | None = None
) -> Workflow:
    """A valid workflow."""
    data = {"flowbot": 1, "inputs": inputs, "outputs": outputs, "nodes": nodes, "parameters": parameters or {}}
    workflow = Workflow.from_data(data, "test")
    require_valid(workflow)
    return workflow


def llm(reads: dict[str, str], out: dict[str, str]) -> dict[str, Any]:
    """An `llm` node."""
    return {"kind": "llm", "in": reads, "out": out}


def code(reads: dict[str, str], out: dict[str, str]) -> dict[str, Any]:
    """A `code` node."""
    return {"kind": "code", "in": reads, "out": out}


def single(**parameters: Any) -> Workflow:
    """One text in, one call, one text out."""
    nodes = {"answer": llm({"note": "note"}, {"text": "str"})}
    told = {"answer": {"instruction": "Say.", **parameters}}
    return workflow_of({"note": "str"}, {"text": "answer.text"}, nodes, told)
