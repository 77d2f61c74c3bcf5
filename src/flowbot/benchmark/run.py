"""A comparison from beginning to end, from Python: read the file, look at every cell, run those that are open."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Unpack, cast

from flowbot.fields.arguments import FOLDER, NAMES, Checks, one_kind, require_value
from flowbot.lm.stop import StopSignal
from flowbot.optimizer.arguments import RUN_DEFAULTS
from flowbot.optimizer.progress import ProgressCallback
from flowbot.runtime.blocking import blocking
from flowbot.runtime.settings import (
    CHECKS,
    CallSettings,
    WorkbenchSettings,
    arguments_of,
    require_settings,
    with_settings,
)
from flowbot.runtime.workbench import Workbench, on_workbench

from .bench_file import BenchFile, read_bench
from .course import ReadyBench
from .ground import Ground
from .plan import plan_bench
from .result import BenchResult
from .watch import BenchWatch

RESULTS = Path("bench")
"""Where comparisons are, each in a folder of its name, unless `out` says otherwise."""


class BenchSettings(WorkbenchSettings, total=False):
    """What a comparison has besides its file.

    Args:
        models: model strings that steps and judges of files may name beside those of the file.
        allow_writes: True: tools that write are called for real; without it they need a stand-in.
        progress: called with a `ProgressEvent` at every step and at all news; see `ProgressCallback`.
        workbench: what it shares with other runs, which then says `cache_dir`, `pace`, `sandbox` and `executor`; one of its own
            when None.
    """

    models: Sequence[str] | None
    allow_writes: bool
    progress: ProgressCallback | None
    workbench: Workbench | None


SETTINGS = (CallSettings, WorkbenchSettings, BenchSettings)
_CHECKS: Checks = {
    **CHECKS,
    "only": NAMES,
    "jobs": (lambda value: one_kind(int)(value) and cast("int", value) >= 1, "a whole number, at least 1"),
    "out": FOLDER,
    "workbench": (one_kind(Workbench), "an fb.Workbench()"),
}


@asynccontextmanager
@with_settings(*SETTINGS, defaults=RUN_DEFAULTS)
async def ready_bench(
    file: Path | str,
    *,
    only: Sequence[str] = (),
    jobs: int = 1,
    out: Path | str | None = None,
    **settings: Unpack[BenchSettings],
) -> AsyncGenerator[ReadyBench]:
    """A comparison that is ready to begin, while inside; arguments and errors as of `bench_async`."""
    require_settings("bench", settings, BenchSettings, _CHECKS)
    for name, value in {"only": only, "jobs": jobs, "out": out}.items():
        require_value(name, value, _CHECKS)
    BenchWatch(settings.get("progress"), {})  # refuses what cannot be called
    read: BenchFile = read_bench(file, only)
    stop = settings.get("stop") or StopSignal()
    async with on_workbench(settings.get("workbench"), settings) as bench, bench.working():
        around = bench.budget_within(settings.get("budget"))
        own = {name: settings.get(name) for name in ("price", "models", "allow_writes")}
        ground = Ground(read, bench, {name: value for name, value in own.items() if value is not None})
        plan = await plan_bench(ground, Path(out) if out else RESULTS / read.name, only, around)
        shared = read.budget.budget(f"{read.path}: budget").within(around)
        yield ReadyBench(plan, ground, jobs, shared, stop, settings.get("progress"))


@with_settings(*SETTINGS)
@arguments_of(ready_bench)
async def bench_async(*args: Any, **kwargs: Any) -> BenchResult:
    """Compare methods on tasks, as a bench file says: `bench` in plain code, `await bench_async` in async code.

    The same call again runs what is not done, and nothing else: what was paid for is stored.

        >>> result = fb.bench("bench.yaml", budget=fb.Budget(usd=20), progress=print)
        >>> print(result.table())

    Args:
        file: the bench file: tasks, methods, models, seeds, efforts and ceilings by name.
        only: patterns of the cells that are wanted, such as `orders/*`; all when empty.
        jobs: cells that are run at once.
        out: the folder of cells and tables; `bench/NAME` when None.

    Returns:
        the result, with every cell that was run, those that failed or paused among them.

    Raises:
        UserError: for anything wrong in the file or in what it names, before the first paid call.
        DeniedError: if a model refuses the key or knows no such name, and has answered nothing yet.
    """
    async with ready_bench(*args, **kwargs) as ready:
        return await ready.run()


bench = blocking(bench_async, "bench")
