"""A cell of our own: a method of `optimize`, or a start that is scored as it stands. Its run's folder is `run` in the cell's."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict, dataclass
from typing import Any

from flowbot.fields import Usage
from flowbot.fields.values import dollars
from flowbot.fields.words import brief
from flowbot.lm.budget import Budget
from flowbot.optimizer.method import Loop, Method, Sizes
from flowbot.optimizer.methods import find_method, ordered
from flowbot.optimizer.plan import Plan
from flowbot.optimizer.progress import ProgressEvent
from flowbot.optimizer.run import planned
from flowbot.optimizer.seams import Order
from flowbot.report.report import write_report
from flowbot.run.examples import Side, read_examples
from flowbot.run.result import RunResult, Used
from flowbot.runtime.judge import PURPOSE as JUDGED
from flowbot.task import Task

from .cell import Cell, CellResult, Cost
from .entries import PeerMethod, SearchMethod, StartMethod
from .ground import CellJob, Ground, Outcome, Outlook

RUN = "run"
"""The run's folder in that of its cell."""
SCORED = "none+none"
"""The method that scores and tests its start."""


@dataclass(frozen=True, slots=True)
class AtEffort:
    """A method whose search ends at the effort, whatever it plans by itself: in a comparison all have the same number of calls."""

    method: Method

    def __getattr__(self, member: str) -> Any:
        """What else the method says of itself, such as `by_ability`, is true of it here, too."""
        return getattr(self.method, member)

    @property
    def name(self) -> str:
        """The method's."""
        return self.method.name

    def calls(self, sizes: Sizes) -> Mapping[str, int]:
        """As the method plans, scaled down to the effort."""
        planned = self.method.calls(sizes)
        share = min(1.0, sizes.effort / max(1, sum(planned.values())))
        return {purpose: int(share * calls) for purpose, calls in planned.items()}

    def ordered(self, order: Order) -> Method:
        """The method's, with that order."""
        return AtEffort(ordered(self.method, order))

    def loop(self, sizes: Sizes) -> Loop:
        """The method's."""
        return self.method.loop(sizes)


class NoRoom(Exception):
    """The ceilings over all cells leave too little to begin another one; its text says so in a line."""


async def foresee(cell: Cell, ground: Ground, shared: Budget) -> Outlook:
    """What a cell is and takes; nothing is paid for.

    Raises:
        UserError: for anything that would keep it from being run.
    """
    async with _planned(cell, ground, budget=ground.budget_of(cell, shared)) as plan:
        plan.require_room()
        async with plan.ready.engine(plan.lm, plan.judge_lm) as engine:
            return Outlook(plan.identity(engine), plan.estimate)


async def run(job: CellJob, ground: Ground) -> Outcome:
    """Run a cell, or go on with it.

    Raises:
        NoRoom: if what other cells have left of the ceilings is too little to begin with.
        FlowBotError: as `optimize_async`.
    """
    method, test_began = ground.file.methods[job.cell.method], list[float]()

    def told(event: ProgressEvent) -> None:
        if event.phase == "test":
            test_began.append(time.monotonic())
        if not isinstance(method, StartMethod) or event.phase != "validation":  # that there is nothing to choose from
            job.progress(event)

    async with _planned(
        job.cell, ground, budget=job.budget, run_dir=job.folder / RUN, stop=job.stop, progress=told
    ) as plan:
        for each in plan.ceilings:
            if each.given < each.least:
                raise NoRoom(f"{each.given:,.4g} {each.ceiling} are left, and the next cell needs {each.least:,.4g}")
        result, task = await plan.run(), plan.ready.task
    if result.status != "done":
        failed = _base(job, "paused", result, error=brief(result.reason or result.stopped_by))
        return Outcome(failed, result.now)
    page = write_report(result.run_dir)
    rows = {each.id: each.final for each in read_examples(result.run_dir) if each.split == "test" and each.final}
    ids = [each.id for each in task.splits["test"] if each.id in rows]
    test_seconds = time.monotonic() - test_began[0] if test_began else 0.0
    took = costs(result, task, [rows[each] for each in ids], test_seconds)
    val, nodes = result.final_scores.val, len(result.workflow.sketch.nodes)
    measured = _base(job, "done", result).model_copy(
        update={
            "examples": tuple(ids),
            "scores": tuple(rows[each].score for each in ids),
            "val": None if val is None else val.mean,
            "search": took[0],
            "test": took[1],
            "took": took[2],
            "nodes": nodes,
            "page": f"{job.cell.name}/{RUN}/{page.name}",
            "found": _found(result, ground, job.cell),
        }
    )
    cut = result.tested is not None and result.tested.run < result.tested.of
    return Outcome(measured, result.now, "a ceiling" if cut or result.stopped_by == "budget" else "")


def _base(job: CellJob, status: Any, result: RunResult, *, error: str = "") -> CellResult:
    page = f"{job.cell.name}/{RUN}"
    told: dict[str, Any] = asdict(job.cell)
    return CellResult(**told, identity=job.identity, status=status, error=error, metric=result.metric, page=page)


def _planned(cell: Cell, ground: Ground, **own: Any) -> AbstractAsyncContextManager[Plan]:
    """The run of a cell, ready to begin."""
    task, method, models = ground.parts(cell)
    assert not isinstance(method, PeerMethod)
    searches = not isinstance(method, StartMethod)
    listed = [*(ground.settings.get("models") or ()), *(models.others or ())]
    settings: Mapping[str, Any] = {**ground.settings, "models": listed}
    return planned(
        task,
        lm=models.task,
        meta_lm=models.meta if searches else None,
        judge_lm=models.judge or models.meta,
        start=ground.file.starts.get(cell.method),
        method=AtEffort(find_method(method.method)) if searches else SCORED,
        effort=max(1, cell.effort),
        seed=cell.seed,
        **(method.options() if isinstance(method, SearchMethod) else {}),
        workbench=ground.bench,
        **settings,
        **own,
    )


def _found(result: RunResult, ground: Ground, cell: Cell) -> str:
    method = ground.file.methods[cell.method]
    if isinstance(method, StartMethod):
        return method.start
    return "the start: nothing proved better" if result.unchanged else brief("; ".join(result.kept_from))


def costs(result: RunResult, task: Task, found: list[Side], test_seconds: float) -> tuple[Cost, Cost, Cost]:
    """What finding took, what the found workflow took on the test, and what the whole run took.

    A run tests its start, too: that is in the last alone, since it is the start's own cell that tells of it. What judges took
    is shared out by their calls on the test.

    Args:
        result: of a run that is done.
        task: its task.
        found: the found workflow's runs on the test.
        test_seconds: what the closing test took.
    """
    by = dict(result.by_purpose)
    test, judged = by.pop("test", None), by.pop(JUDGED, None)
    runs = len(found) * (1 if result.unchanged else 2)
    ran = _cost([test] if test else [])
    if not result.unchanged and all(side.whole for side in found):
        used = sum((side.trace.usage for side in found), Usage())
        ran = Cost(calls=used.calls, requests=used.calls, tokens=used.tokens, usd=used.usd)
    search = _cost(by.values())
    if judged and judged.calls:
        share = min(1.0, task.metric.judge_calls * runs / judged.calls)
        ran += _cost([judged], share * len(found) / max(1, runs))
        search += _cost([judged], 1 - share)
    seconds = min(test_seconds, result.seconds)
    return (
        search.model_copy(update={"seconds": round(result.seconds - seconds, 2)}),
        ran.model_copy(update={"seconds": round(seconds, 2)}),
        _cost(result.by_purpose.values()).model_copy(update={"seconds": round(result.seconds, 2)}),
    )


def _cost(used: Iterable[Used], share: float = 1.0) -> Cost:
    rows = list(used)
    usd = dollars(each.usd for each in rows)
    counts = {
        name: round(share * sum(getattr(each, name) for each in rows)) for name in ("calls", "requests", "tokens")
    }
    return Cost(**counts, usd=usd and round(share * usd, 12))
