"""What a cell's peer is lent: its models at the proxy and the task's metric, once for the search and once for the test."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flowbot.fields import BudgetExceeded, InfrastructureError, Paused
from flowbot.lm.budget import Budget
from flowbot.lm.prices import Price
from flowbot.lm.stop import StopSignal
from flowbot.runtime.allowed_models import allowed_models
from flowbot.runtime.open_model import Say, open_lm
from flowbot.task import Task

from .cell import Cell, Cost
from .score_server import ScoreServer

if TYPE_CHECKING:
    from flowbot.lm.lm import LM
    from flowbot.lm.proxy import Access, Proxy
    from flowbot.lm.session import Session
    from flowbot.runtime.engine import Engine
    from flowbot.runtime.workbench import Workbench

TEST_CALLS = 50
"""Calls that a peer may take for each test row."""
NOT_ITS_OWN = (InfrastructureError, Paused, BudgetExceeded)
"""Why a request is not answered although nothing is wrong with it."""


@dataclass(slots=True)
class Faults:
    """What went wrong that is not the peer's fault, and which it may take for wrong answers.

    Args:
        first: has a result from the first one on.
        cut: whose ceiling ended the search before its effort did; None where none did.
    """

    first: asyncio.Future[Exception]
    cut: object = None

    def add(self, error: Exception) -> None:
        """One more."""
        if not self.first.done():
            self.first.set_result(error)


@dataclass(slots=True)
class Clock:
    """When a peer began, first asked for a test row, and ended."""

    began: float = field(default_factory=time.monotonic)
    tested: float | None = None
    ended: float | None = None

    @property
    def spans(self) -> tuple[float, float]:
        """Seconds of search and test."""
        ended = self.ended or time.monotonic()
        tested = self.tested or ended
        return max(0.0, tested - self.began), max(0.0, ended - tested)


@dataclass(frozen=True, slots=True)
class Part:
    """The search of a peer, or its test.

    Args:
        session: what counts it.
        budget: its own ceiling.
        engine: what its metric runs on; judges' calls are counted in the session too.
        access: its models at the proxy.
    """

    session: Session
    budget: Budget
    engine: Engine
    access: Access


@dataclass(frozen=True, slots=True)
class Lent:
    """Both parts, and what they share.

    Args:
        search, test: the parts.
        score_url: where the metric is asked.
        faults: what goes wrong meanwhile.
        clock: to be told when the peer begins and ends.
    """

    search: Part
    test: Part
    score_url: str
    faults: Faults
    clock: Clock

    async def settle(self) -> None:
        """Wait until what was sent has come and is counted."""
        await self.search.engine.settle()
        await self.test.engine.settle()

    @property
    def costs(self) -> dict[str, Cost]:
        """What search and test took."""
        parts = {"search": self.search, "test": self.test}
        return {
            name: _cost(part.session, seconds)
            for (name, part), seconds in zip(parts.items(), self.clock.spans, strict=True)
        }


@asynccontextmanager
async def lent(
    task: Task,
    cell: Cell,
    *,
    proxy: Proxy,
    workbench: Workbench,
    model: str,
    meta: str,
    judge: str,
    budget: Budget | None,
    price: Price | None,
    stop: StopSignal,
    say: Say,
) -> AsyncGenerator[Lent]:
    """What a peer is lent while inside; arguments and errors as of `run_peer`."""
    named = allowed_models(model, meta, judge, metric=task.metric)
    faults = Faults(asyncio.get_running_loop().create_future())
    clock = Clock()
    around = workbench.budget_within(budget)
    most = len(task.test) * (TEST_CALLS + task.metric.judge_calls)
    ceilings = around.child(calls=cell.effort, name="effort"), around.child(calls=most, name="test")

    async with AsyncExitStack() as stack:

        async def part(ceiling: Budget, failed: Callable[[Exception], object]) -> Part:
            session = workbench.session(ceiling, stop=stop, say=say)
            made = workbench.engine(model, session, tools={}, price=price, models=named, judge_model=judge)
            engine = await stack.enter_async_context(made)
            models: dict[str, LM] = {}
            for name, string in (("task", model), ("meta", meta)):
                lm = open_lm(string, session, cache_dir=workbench.cache_dir, price=price or workbench.price, say=say)
                stack.push_async_callback(lm.close)
                models[name] = lm
            access = proxy.open(session, models, series=cell.seed)
            access.failed = lambda error: failed(error) if isinstance(error, NOT_ITS_OWN) else None
            stack.callback(access.close)
            return Part(session, ceiling, engine, access)

        def search_failed(error: Exception) -> None:
            if not isinstance(error, BudgetExceeded):
                faults.add(error)
            elif error.budget is not ceilings[0]:
                faults.cut = error.budget

        search = await part(ceilings[0], search_failed)
        test = await part(ceilings[1], faults.add)

        def test_begins(key: str) -> None:
            clock.tested = clock.tested or time.monotonic()

        test.session.admit = test_begins
        scores = await stack.enter_async_context(ScoreServer(search.engine, task, search_failed))
        yield Lent(search, test, scores.url, faults, clock)


def _cost(session: Session, seconds: float) -> Cost:
    used, requests = session.ledger.logical, sum(session.ledger.requests.values())
    return Cost(calls=used.calls, requests=requests, tokens=used.tokens, usd=used.usd, seconds=seconds)
