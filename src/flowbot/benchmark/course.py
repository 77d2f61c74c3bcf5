"""The course of a comparison: its open cells are run, what came of each is written down, and then the tables.

Cells are run in one fixed order, several at once where that is asked for, on one workbench and within one budget. One that fails
or pauses is written down as such, and the others go on; a key that is denied, and ceilings over all of them that are used up,
end it. A cell that is done is not run again as long as what decides it is the same.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from itertools import count as count_from

from flowbot.fields import BudgetExceeded, DeniedError, FlowBotError, InfrastructureError, Paused, Usage
from flowbot.fields.bounds import raised
from flowbot.fields.secrets import hide
from flowbot.fields.words import brief, count, percent
from flowbot.lm.budget import Budget
from flowbot.lm.stop import StopSignal
from flowbot.optimizer.progress import ProgressCallback
from flowbot.run.lock import run_lock
from flowbot.run.sessions import Spent
from flowbot.runtime.together import all_of
from flowbot.task import MetricError

from .cell import Cell, CellResult, Cost
from .ground import OWN, SHARED, CellJob, Ground, Outcome
from .plan import NAME, RUNNERS, BenchPlan, PlannedCell
from .result import BenchResult, Ending, write_own
from .search_cell import NoRoom
from .watch import BenchWatch

EARLIER = ".earlier"
"""Folder of cells that were other ones, in that of the comparison."""


@dataclass(frozen=True, slots=True)
class ReadyBench:
    """A comparison that is ready to begin. Nothing is stored or paid for yet.

    Args:
        plan: what is to be done.
        ground: what its cells share.
        jobs: cells at once.
        budget: ceilings over all cells.
        stop: pauses it.
        progress: who watches.
    """

    plan: BenchPlan
    ground: Ground
    jobs: int
    budget: Budget
    stop: StopSignal
    progress: ProgressCallback | None

    async def run(self) -> BenchResult:
        """Run what is open, and write the tables; see `bench_async`."""
        with run_lock(self.plan.folder, "results folder", "--out"):
            return await _Run(replace(self, plan=self.plan.read_again())).finish()


class _Run:
    """One start of a comparison."""

    def __init__(self, ready: ReadyBench) -> None:
        self._ready = ready
        self._plan = ready.plan
        self._began = time.monotonic()
        self._found: dict[Cell, CellResult] = {}
        self._now = Usage()
        self._ending: Ending = ""
        self._reason = ""
        self._watch = BenchWatch(ready.progress, {each.cell: each.estimate.calls for each in self._plan.open})

    async def finish(self) -> BenchResult:
        """Run all that is open."""
        for each in self._plan.cells:
            if each.earlier is not None:
                self._found[each.cell] = each.earlier
            if each.done and each.earlier is not None:
                took = each.earlier.took
                self._ready.budget.add(Usage(took.requests, took.tokens, usd=took.usd or 0.0))
        waiting = iter(self._plan.open)
        try:
            await all_of(self._worker(waiting) for _ in range(self._ready.jobs))
        finally:
            result = self._result()
            result.save()
        self._watch.ended(str(result))
        return result

    async def _worker(self, waiting: Iterator[PlannedCell]) -> None:
        for each in waiting:
            if self._ending or self._stopped():
                return
            await self._cell(each)

    async def _cell(self, planned: PlannedCell) -> None:
        """Run one cell, whatever comes of it.

        Raises:
            DeniedError, InfrastructureError: that ends the comparison: a key that is denied, or a disk that fails.
        """
        cell, ready = planned.cell, self._ready
        folder = self._plan.folder / cell.name
        own = ready.ground.budget_of(cell, ready.budget)
        stop = StopSignal()
        stop.follow(ready.stop)
        job = CellJob(cell, planned.identity, folder, own, stop, self._watch.cell(cell))
        blank = CellResult(
            **asdict(cell), identity=planned.identity, status="paused", error="it was interrupted", page=cell.name,
            metric=ready.ground.file.tasks[cell.task].metric.identity,
        )  # fmt: skip
        self._begin(planned, blank)
        try:
            outcome = await RUNNERS[type(ready.ground.file.methods[cell.method])].run(job, ready.ground)
            result = self._charged(planned, outcome, own)
        except DeniedError as error:
            self._write(blank.model_copy(update={"error": brief(str(error))}))
            raise
        except (BudgetExceeded, NoRoom) as error:
            if isinstance(error, BudgetExceeded) and error.budget is own:
                result = blank.model_copy(update={"status": "failed", "error": brief(str(error))})
            else:
                result = self._used_up(blank, str(error))
        except (Paused, InfrastructureError, MetricError) as error:
            result = blank.model_copy(update={"error": brief(str(error))})
        except FlowBotError as error:
            result = blank.model_copy(update={"status": "failed", "error": brief(str(error))})
        except Exception as error:  # whatever a method of somebody's raises
            result = blank.model_copy(update={"status": "failed", "error": brief(raised(error))})
        if result.status != "done":
            result = _with_taken(result, own)
        self._write(result)
        with suppress(Paused):  # whoever watches raised: `_stopped` tells of it
            self._watch.over(cell, _said(result))
        self._stopped()

    def _charged(self, planned: PlannedCell, outcome: Outcome, own: Budget) -> CellResult:
        """The result, once it is known whose ceiling cut it short, if any did."""
        now, result = outcome.now, outcome.result
        self._now += Usage(now.calls, now.tokens, usd=now.usd)
        if not outcome.short:
            return result
        if outcome.short == SHARED or (outcome.short != OWN and self._was_short(planned, own)):
            return self._used_up(result, "")
        return result.model_copy(update={"identity": planned.bounded})

    def _was_short(self, planned: PlannedCell, own: Budget) -> bool:
        """Whether the ceilings over all cells allowed a cell less than it might have taken, and less than its own."""
        if own.calls is own.tokens is own.usd is None:
            return True  # it has none: what others held meanwhile may be free again
        estimate, left = planned.estimate, self._ready.budget.left
        most = {"calls": estimate.calls, "tokens": estimate.tokens, "usd": estimate.usd or 0.0}
        for kind, free in left.items():
            ceiling = getattr(own, kind)
            if free + own.used[kind] < min(most[kind], float("inf") if ceiling is None else ceiling):
                return True
        return False

    def _used_up(self, result: CellResult, why: str) -> CellResult:
        self._ending = "budget"
        self._reason = self._reason or f"the ceilings over all cells are used up{f': {why}' if why else ''}"
        return result.model_copy(update={"status": "paused", "error": "the ceilings over all cells are used up"})

    def _stopped(self) -> bool:
        """Whether all cells are to stop."""
        try:
            self._watch.check()
            self._ready.stop.check()
            self._ready.ground.bench.stop.check()
            self._ready.budget.check_time()
        except Paused as pause:
            if not self._ending:
                self._ending, self._reason = pause.stopped_by, str(pause)
            return True
        return False

    def _begin(self, planned: PlannedCell, blank: CellResult) -> None:
        """What stands in a cell's folder of another one, as of another version of its method, is moved aside."""
        folder = self._plan.folder / planned.cell.name
        try:
            if planned.earlier is None and folder.exists() and any(folder.iterdir()):
                place = self._plan.folder / EARLIER / planned.cell.name
                place.mkdir(parents=True, exist_ok=True)
                folder.rename(place / next(name for name in map(str, count_from(1)) if not (place / name).exists()))
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InfrastructureError(f"{folder}: {error.strerror or error}", kind="disk") from None
        self._write(blank)

    def _write(self, result: CellResult) -> None:
        path = self._plan.folder / result.cell.name / NAME
        self._found[result.cell] = result
        write_own(path, json.dumps(hide(result.model_dump(mode="json")), ensure_ascii=False, indent=1))

    def _result(self) -> BenchResult:
        plan, usage = self._plan, self._now
        return BenchResult(
            name=plan.file.name,
            folder=plan.folder,
            planned=tuple(each.cell for each in plan.cells),
            chosen=tuple(each.cell for each in plan.chosen),
            cells=tuple(self._found[each.cell] for each in plan.cells if each.cell in self._found),
            baseline=plan.file.baseline,
            published=plan.file.published,
            stopped_by=self._ending,
            reason=self._reason,
            now=Spent(calls=usage.calls, tokens=usage.tokens, usd=usage.usd),
            seconds=time.monotonic() - self._began,
        )


def _with_taken(result: CellResult, own: Budget) -> CellResult:
    """A cell that came to nothing, with what was counted for it until then; the seconds of its calls nobody knows."""
    used = own.used
    calls = int(used["calls"])
    took = Cost(calls=calls, requests=calls, tokens=int(used["tokens"]), usd=used["usd"], seconds=result.took.seconds)
    return result.model_copy(update={"took": took})


def _said(result: CellResult) -> str:
    if result.status != "done":
        return f"{result.status}: {result.error}"
    mean = percent(sum(result.scores) / len(result.scores)) if result.scores else "no score"
    return f"{mean} on {count(len(result.scores), 'test example')}, {count(result.took.calls, 'call')}"
