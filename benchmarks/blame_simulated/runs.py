"""One inner optimiser in one planted world: the product's own engine, search and methods, with nothing on disk."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import Any, cast

from flowbot.fields import Field
from flowbot.lm.client import Request
from flowbot.lm.lm import LM
from flowbot.lm.session import Session
from flowbot.optimizer.method import Method, Sizes
from flowbot.optimizer.pool_method import PoolLoop
from flowbot.optimizer.seams import MetaMode, PlanUsed
from flowbot.optimizer.search import Search
from flowbot.run.events import Event, Proposal, Verdict
from flowbot.run.journal import Journal
from flowbot.runtime.engine import Engine
from flowbot.store import Store
from flowbot.testing.fake import FakeClient, ReplyContent
from flowbot.workflow.workflow import Workflow

from .models import ASKED, Critic, Steps
from .world import ROWS, STEPS, World, planted

PLAN = 100
"""Planned calls, in rows of the start."""


@dataclass(frozen=True)
class Found:
    """What came of a run.

    Args:
        method, p, seed: of the run.
        steps: tunable ones.
        forms: what else than single steps stands in the workflow.
        what: of the spoiled step is spoiled.
        row: calls that a row of the start takes.
        planned, spent: calls.
        proposed: calls until a program without a spoiled step was first proposed; None for never.
        adopted: the same until one was first adopted.
        repaired: whether what is returned has no spoiled step.
        harmed: whether it has one that was whole.
        by: calls by purpose.
        seconds: of the processor.
    """

    method: str
    p: float
    seed: int
    steps: int
    forms: Sequence[str]
    what: str
    row: int
    planned: int
    spent: int
    proposed: int | None
    adopted: int | None
    repaired: bool
    harmed: bool
    by: dict[str, int]
    seconds: float

    def dump(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


class _Events(list[Event]):
    """A journal in memory."""

    record = list[Event].append
    ahead = None


class _Watched(Search):
    """A search that tells the meta model what it is asked for, and notes when the fault was first mended."""

    world: World
    ends: bool = False
    """Whether nothing more is proposed once it is mended: what is left is to confirm it."""
    proposed: int | None = None
    adopted: int | None = None

    async def ask_text(self, prompt: str, purpose: str, **how: Any) -> str:
        """As of `Search`."""
        ASKED.set((purpose, how.get("draw", 0)))
        return await super().ask_text(prompt, purpose, **how)

    async def ask_fields(
        self, system: str, user: str, fields: Sequence[Field], purpose: str, **how: Any
    ) -> dict[str, Any] | None:
        """As of `Search`."""
        ASKED.set((purpose, how.get("draw", 0)))
        return await super().ask_fields(system, user, fields, purpose, **how)

    async def ask(self, request: Request, purpose: str, draw: int = 0) -> str:
        """As of `Search`."""
        ASKED.set((purpose, draw))
        return await super().ask(request, purpose, draw)

    def record(self, event: Event) -> None:
        """As of `Search`."""
        super().record(event)
        if isinstance(event, Proposal) and self.proposed is None and event.dump is not None:
            if not self.world.spoiled(Workflow.from_data(cast("Any", event.dump))):
                self.proposed = self.spent
        elif isinstance(event, Verdict) and self.adopted is None and event.decision == "adopt":
            taken = next(each.program for each in self.population.members if each.id == event.proposal)
            if not self.world.spoiled(taken.workflow):
                self.adopted = self.spent
                if self.ends:
                    self.planned = self.planned - self.left


@asynccontextmanager
async def _working(
    steps: Steps, store: Store, meta: Callable[[Request], ReplyContent], p: float = 0.0
) -> AsyncGenerator[tuple[Engine, LM, Session]]:
    """What runs steps, the meta model and what their calls share. Replies of earlier runs in the same world are taken from the store;
    each run counts them as if they were made."""
    session = Session(store=store)
    engine = Engine(
        LM(FakeClient(steps, name=f"steps-{steps.share_wrong}"), session), session, sandbox=cast("Any", steps)
    )
    try:
        yield engine, LM(FakeClient(meta, name=f"critic-{p}"), session), session
    finally:
        await engine.close()


async def world_of(seed: int, steps: Sequence[int] = STEPS) -> World:
    """The planted world of a seed, of so many steps as one of `steps` says."""
    model = Steps(0.0, raises=False, seed=seed)

    async with _working(model, Store.memory(), lambda request: "") as (engine, _, _):

        async def answered(workflow: Workflow, inputs: Sequence[str]) -> Sequence[str]:
            traces = [await engine.run(workflow, {"x": x}, purpose="train") for x in inputs]
            return [str((trace.outputs or {})["y"]) for trace in traces]

        return await planted(seed, answered, steps)


async def searched(
    method: Method,
    world: World,
    store: Store,
    p: float,
    plan: int = PLAN,
    *,
    mode: MetaMode = "large",
    to_the_end: bool = False,
) -> Found:
    """One run of a method.

    Args:
        method: an inner optimiser alone.
        world: what is spoiled.
        store: of this world.
        p: how often the meta model is right.
        plan: planned calls, in rows of the start.
        mode: how the meta model is asked.
        to_the_end: whether a search that adopts nothing unless it is better goes on when the fault is mended.
    """
    began = time.process_time()
    start = world.start
    sizes = Sizes(ROWS, ROWS, 1, start.most_calls, plan * start.most_calls)
    steps = Steps(world.share_wrong, world.raises, world.seed)
    async with _working(steps, store, Critic(world, p), p) as (engine, meta, session):
        search = _Watched(
            world.task,
            start,
            engine,
            meta,
            session,
            cast("Journal", _Events()),
            world.seed,
            sizes.effort,
            "fake/steps",
            meta_mode=mode,
        )
        loop = method.loop(sizes)
        search.world, search.ends = world, isinstance(loop, PoolLoop) and not to_the_end
        best = search.population.start
        try:
            await search.run(start, loop.opening(search), "train")
            search.settle()
            await loop.search(search)
        except PlanUsed:
            search.settle()
        try:
            best = await loop.choose(search)
        except PlanUsed:
            search.settle()
    spoiled = world.spoiled(best.program.workflow)
    return Found(
        method.name,
        p,
        world.seed,
        len(world.paths),
        world.forms,
        world.what,
        start.most_calls,
        sizes.effort,
        search.spent,
        search.proposed,
        search.adopted,
        repaired=not spoiled,
        harmed=any(path != world.fault for path in spoiled),
        by=dict(sorted(session.ledger.calls.items())),
        seconds=round(time.process_time() - began, 3),
    )
