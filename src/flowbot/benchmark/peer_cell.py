"""A cell of somebody else's: a command that searches by itself, on our models, rows, metric and ceilings."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

from flowbot.fields import Paused, Usage, UserError
from flowbot.lm.budget import Budget
from flowbot.lm.prices import Price, price_of
from flowbot.lm.proxy import Proxy
from flowbot.optimizer.estimate import REPLY_TOKENS, read_tokens, thinking
from flowbot.optimizer.progress import ProgressEvent
from flowbot.run.result import CostEstimate
from flowbot.run.sessions import Spent
from flowbot.runtime.allowed_models import allowed_models
from flowbot.runtime.judge import judge_models
from flowbot.runtime.toolbox import opened_task
from flowbot.task import Task

from .cell import Cell
from .entries import ModelsEntry, PeerMethod
from .ground import OWN, SHARED, CellJob, Ground, Outcome, Outlook
from .peer import Peer, run_peer
from .peer_access import Lent

_LOOK_SECONDS = 1.0


async def foresee(cell: Cell, ground: Ground, shared: Budget) -> Outlook:
    """What a cell is and takes; nothing is paid for. What a peer asks for each test row nobody knows: one call is counted.

    Raises:
        UserError: for anything that would keep it from being run.
    """
    task, method, models = ground.parts(cell)
    peer = _peer(method, ground)
    _require_files(peer)
    for split, rows in task.splits.items():
        if not rows:
            raise UserError(f"{task.name}: split {split}", "no examples", "at least one")
    bench, price = ground.bench, ground.settings.get("price")
    meta, judge = _others(models)
    session = bench.session(ground.budget_of(cell, shared))
    named = allowed_models(models.task, meta, judge, models=ground.settings.get("models"), metric=task.metric)
    async with (
        opened_task(task, sandbox=bench.sandbox, cache_dir=bench.cache_dir) as opened,
        bench.engine(models.task, session, tools={}, price=price, models=named, judge_model=judge) as engine,
    ):
        asked = (models.task, meta, *judge_models(task.metric, judge))
        facts = {
            "peer": peer.identity,
            "task": opened.identity,
            "models": [engine.model(each).identity.dump() for each in asked],
            "effort": cell.effort,
        }
    return Outlook(facts, _estimate(cell, task, models.task, price or bench.price))


async def run(job: CellJob, ground: Ground) -> Outcome:
    """Run a cell anew: what its peer asked before stands in the store.

    Raises:
        FlowBotError: as `run_peer`.
    """
    task, method, models = ground.parts(job.cell)
    price = ground.settings.get("price")
    meta, judge = _others(models)
    planned = _estimate(job.cell, task, models.task, None).calls
    lent: list[Lent] = []

    def say(text: str) -> None:
        job.progress(_event(lent, planned, text))

    async with (
        opened_task(task, sandbox=ground.bench.sandbox, cache_dir=ground.bench.cache_dir) as opened,
        Proxy() as proxy,
    ):
        looking = asyncio.create_task(_look(job, lent, planned))
        try:
            result = await run_peer(
                _peer(method, ground), job.cell, opened, identity=job.identity, folder=job.folder, proxy=proxy,
                workbench=ground.bench, model=models.task, meta=meta, judge=judge, budget=job.budget, price=price,
                stop=job.stop, say=say, watch=lent.append,
            )  # fmt: skip
        finally:
            looking.cancel()
            with suppress(asyncio.CancelledError):
                await looking
    paid = _paid(lent)
    cut = lent[0].faults.cut
    spent = Spent(calls=paid.calls, tokens=paid.tokens, usd=paid.usd)
    whole = result.model_copy(update={"took": result.search + result.test})
    return Outcome(whole, spent, "" if cut is None else OWN if cut is job.budget else SHARED)


def _peer(method: object, ground: Ground) -> Peer:
    assert isinstance(method, PeerMethod)
    folder = ground.file.folder
    requirements = None if method.requirements is None else folder / method.requirements
    return Peer(tuple(method.command), folder, requirements, method.seconds)


def _require_files(peer: Peer) -> None:
    """A program of a command that is a file is there."""
    for word in peer.command:
        if Path(word).suffix == ".py" and not (peer.folder / word).is_file():
            raise UserError("command", f"no file {peer.folder / word}", "a program, relative to the bench file")


def _others(models: ModelsEntry) -> tuple[str, str]:
    """The meta model and the judge's."""
    meta = models.meta or models.task
    return meta, models.judge or meta


def _estimate(cell: Cell, task: Task, model: str, price: Price | None) -> CostEstimate:
    test = len(task.splits["test"])
    calls = cell.effort + test * (1 + task.metric.judge_calls)
    used = thinking(Usage(calls, calls * read_tokens(task), calls * REPLY_TOKENS), model)
    return CostEstimate(
        calls, used.tokens, price_of(model, used, price), {"train": cell.effort, "test": calls - cell.effort}
    )


async def _look(job: CellJob, lent: list[Lent], planned: int) -> None:
    """Tell how it goes, now and then."""
    try:
        while True:
            job.progress(_event(lent, planned, ""))
            await asyncio.sleep(_LOOK_SECONDS)
    except Paused as pause:  # whoever watches raised
        job.stop.set(str(pause))


def _event(lent: list[Lent], planned: int, news: str) -> ProgressEvent:
    calls = sum(part.session.ledger.logical.calls for each in lent for part in (each.search, each.test))
    share = min(0.99, calls / max(1, planned))
    return ProgressEvent("search", news, calls=calls, what="news" if news else "step", usd=_paid(lent).usd, share=share)


def _paid(lent: list[Lent]) -> Usage:
    """What was really paid so far."""
    return sum((part.session.ledger.spent for each in lent for part in (each.search, each.test)), Usage())
