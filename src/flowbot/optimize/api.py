"""`optimize` for code that is not async, and inside a running loop as in Jupyter."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from flowbot.lm import Budget, Pace, StopSignal
    from flowbot.runtime import ExecutorName
    from flowbot.task import Task
    from flowbot.workflow import Workflow

    from .effort import EffortName
    from .result import RunResult
    from .search import ProgressEvent


def optimize(
    task: Task,
    *,
    lm: str,
    meta_lm: str | None = None,
    start: Workflow | None = None,
    method: str = "flowbot+blame",
    effort: EffortName = "medium",
    seed: int = 0,
    budget: Budget | None = None,
    run_dir: Path | None = None,
    cache_dir: Path | None = None,
    pace: Pace | None = None,
    price: tuple[float, float] | None = None,
    fresh: bool = False,
    sandbox: str | None = None,
    executor: ExecutorName = "loop",
    allow_writes: bool = False,
    stop: StopSignal | None = None,
    progress: Callable[[ProgressEvent], None] | None = None,
    say: Callable[[str], None] | None = None,
) -> RunResult:
    """Find a better workflow for `task`; takes what `optimize_async` takes, and runs it on a loop of its own.

    Raises:
        UserError: for anything wrong in what was given, before the first paid call.
    """

    import asyncio

    from .run import optimize_async

    def run() -> RunResult:
        return asyncio.run(
            optimize_async(
                task,
                lm=lm,
                meta_lm=meta_lm,
                start=start,
                method=method,
                effort=effort,
                seed=seed,
                budget=budget,
                run_dir=run_dir,
                cache_dir=cache_dir,
                pace=pace,
                price=price,
                fresh=fresh,
                sandbox=sandbox,
                executor=executor,
                allow_writes=allow_writes,
                stop=stop,
                progress=progress,
                say=say,
            )
        )

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return run()
    return _in_thread(run)


def _in_thread(run: Callable[[], RunResult]) -> RunResult:
    """Run where no loop runs, and hand back the result or the error."""
    import threading

    results: list[RunResult] = []
    errors: list[BaseException] = []

    def target() -> None:
        try:
            results.append(run())
        except BaseException as error:  # handed to the caller below, whatever it is
            errors.append(error)

    thread = threading.Thread(target=target, name="flowbot-optimize")
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]
