"""A search over a pretend model, for tests of what works in one."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from flowbot.lm.client import Request
from flowbot.lm.lm import LM
from flowbot.lm.session import Session
from flowbot.optimizer.search import Search
from flowbot.run.journal import Journal
from flowbot.runtime.engine import Engine
from flowbot.runtime.program import WorkflowProgram
from flowbot.runtime.sandbox.monty import MontySandbox
from flowbot.store import Store
from flowbot.task import Task
from flowbot.testing.fake import FakeClient, ReplyContent
from flowbot.workflow.workflow import Workflow


@asynccontextmanager
async def searching(
    task: Task,
    start: Workflow,
    reply: Callable[[Request], ReplyContent],
    folder: Path,
    *,
    planned: int = 1000,
    **more: Any,
) -> AsyncGenerator[Search]:
    """A search from `start`; `reply` answers as task model and as meta model. `more` are further members of it."""
    session = Session(store=Store.memory())
    lm = LM(FakeClient(reply), session)
    tools, programs = {tool.signature.name: tool for tool in task.tools}, {each.name: each for each in task.programs}
    engine = Engine(lm, session, tools=tools, programs=programs, sandbox=MontySandbox())
    journal = Journal.open(folder / "journal.jsonl")
    try:
        program = WorkflowProgram(start)
        yield Search(task, program, engine, lm, session, journal, seed=0, planned=planned, model="fake", **more)
    finally:
        await engine.close()
        await session.store.close()
        journal.close()
