"""`flowbot bench`: methods compared on tasks, as a bench file says."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from flowbot.fields import Paused
from flowbot.fields.words import count, duration, money

from .console import Console
from .options import ALLOW_WRITES, PLACES, Calls, Output, whole
from .text import complain

if TYPE_CHECKING:
    from flowbot.benchmark.course import ReadyBench
    from flowbot.benchmark.plan import BenchPlan
    from flowbot.benchmark.result import BenchResult
    from flowbot.lm.stop import StopSignal


FAILED = 1
SHOWN = ("method", "models", "effort", "test", "difference", "p_corrected", "search_calls", "calls", "nodes")
"""Columns that a person is shown; all of them are in the tables on disk."""
VARIED = {"models", "effort"}
"""Those of them that stand there only where there are several."""
CEILING = "What was called is stored: with a higher ceiling the same command goes on from there"


def bench(
    file: Annotated[Path, Parameter(name="FILE", negative=(), help="The bench file.")],
    /,
    *,
    only: Annotated[list[str] | None, Parameter(negative=(), show_default=False)] = None,
    jobs: Annotated[int, Parameter(converter=whole)] = 1,
    out: Annotated[Path | None, Parameter(name=("--out", "-o"), group=PLACES, negative=(), show_env_var=False)] = None,
    allow_writes: Annotated[bool, ALLOW_WRITES] = False,
    calls: Calls = Calls(),  # noqa: B008
    output: Output = Output(),  # noqa: B008
) -> int:
    """Compare methods on tasks: all that a bench file names. The same command again runs what is not done, and pays for nothing twice.

    Parameters
    ----------
    only
        TASK/METHOD of the cells that are wanted, with * for any. May be given several times.
    jobs
        Cells that are run at once.
    out
        Folder of cells and tables; bench/NAME otherwise.
    allow_writes
        Call tools that write for real, thousands of times; without it they need a stand-in (`simulate:`).
    """
    from flowbot.benchmark.run import ready_bench
    from flowbot.fields.numbers import require_above_0

    from .progress import Display
    from .signals import run_pausing

    console = Console.open(output)
    require_above_0(jobs, "--jobs", whole=True)
    display = Display(console)

    async def compared(stop: StopSignal) -> BenchResult | None:
        """The result; None where nothing shall be called."""
        async with ready_bench(
            file,
            only=only or (),
            jobs=jobs,
            out=out,
            models=calls.listed(),
            allow_writes=allow_writes,
            progress=display.show,
            **calls.settings(stop),
        ) as ready:
            _announce(ready, console)
            if calls.dry_run:
                _dry(ready.plan, console)
                return None
            with display:
                return await ready.run()

    result = run_pausing(compared, say=display.news)
    return 0 if result is None else _conclude(result, console)


def _announce(ready: ReadyBench, console: Console) -> None:
    plan, file = ready.plan, ready.plan.file
    done, whole = len(plan.chosen) - len(plan.open), plan.estimate
    console.row("Compared", f"{file.name}: {count(len(file.methods), 'method')} on {count(len(file.tasks), 'task')}")
    console.row("Cells", f"{count(len(plan.chosen), 'cell')}, {done} of them done; {plan.folder}")
    cost = "the price is not known (--price IN,OUT gives one)" if whole.usd is None else f"about {money(whole.usd)}"
    console.row("Estimate", f"up to about {count(whole.calls, 'model call')}, {count(whole.tokens, 'token')}; {cost}")
    for name, given in plan.dump()["ceilings"].items():
        if given:
            told = ", ".join(f"{value:,} {kind}" for kind, value in given.items())
            console.row("Ceilings", f"{told} {'over all cells together' if name == 'all' else 'for each cell'}")
    console.say()


def _dry(plan: BenchPlan, console: Console) -> None:
    console.json(plan.dump())
    for each in plan.chosen:
        console.result(f"{'done' if each.done else f'{each.estimate.calls:,}':>8}  {each.cell.name}")
    whole = plan.estimate
    made = "model call" if whole.calls == 1 else "model calls"
    console.result(f"{whole.calls:>8,}  {made} at most, about {count(whole.tokens, 'token')}; none was made.")


def _conclude(result: BenchResult, console: Console) -> int:
    """Say what came of it; returns the exit status.

    Raises:
        Paused: if it is, which every verb reports in the same words.
    """
    from flowbot.benchmark.result import PAGE

    console.json(result.to_json())
    _show(result, console.page())
    for each in result.cells:
        if each.status != "done" and each.cell in result.open:
            console.paragraph(f"{each.cell.name} {each.status}: {each.error}", "warn", hang=2)
    console.say(f"{_paid(result)} in {duration(result.seconds)}.", "soft")
    console.result(str(result.folder / PAGE if result.cells else result.folder), "accent")
    if result.status == "done":
        return 0
    left = f"{len(result.open)} of {count(len(result.chosen), 'cell')} have no scores"
    if result.stopped_by == "budget":
        complain(f"{result.reason}; {left}. {CEILING}")
        return FAILED
    if result.stopped_by:
        raise Paused(f"{result.reason}; {left}", stopped_by=result.stopped_by)
    first = next(each for each in result.cells if each.status == result.status and each.cell in result.open)
    if result.status == "paused":
        raise Paused(f"{left}, as {first.cell.name}: {first.error}", stopped_by="infrastructure")
    complain(f"{left}, as {first.cell.name}: {first.error}. The same command tries them again")
    return FAILED


def _show(result: BenchResult, console: Console) -> None:
    """A table for each task."""
    from flowbot.benchmark.figures import COLUMNS, texts

    if not result.cells:
        return
    table = result.table()
    shown = [name for name in SHOWN if name not in VARIED or len({getattr(key, name) for key in table.rows}) > 1]
    for task in dict.fromkeys(key.task for key in table.rows):
        rows = [texts(row, baseline=table.baseline) for key, row in table.rows.items() if key.task == task]
        console.say(task, "title")
        heads = [COLUMNS[name] for name in shown]
        console.table(
            heads, [[row[name] for name in shown] for row in rows], left=(0, *map(shown.index, VARIED & set(shown)))
        )
        console.say()


def _paid(result: BenchResult) -> str:
    if not result.now.calls:
        return "Nothing was paid for this time: every reply stood in the store,"
    price = "of no known price" if result.now.usd is None else money(result.now.usd)
    return f"Paid for this time: {count(result.now.calls, 'call')}, {count(result.now.tokens, 'token')}, {price}"
