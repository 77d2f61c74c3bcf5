"""A search from the command line, for `demo` and `optimize`: say what will happen, run it, say what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from flowbot.fields import Paused
from flowbot.fields.words import count, money
from flowbot.run.taken import PURPOSES

from .console import Console
from .options import Calls, SearchOptions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flowbot.lm.stop import StopSignal
    from flowbot.optimizer.outlook import Outlook
    from flowbot.run.result import CostEstimate, RunResult
    from flowbot.task import Task
    from flowbot.workflow.workflow import Workflow

    from .plan import Plan
    from .progress import Display

FAILED = 1


def carry_out(plan: Plan, search: SearchOptions, calls: Calls, console: Console) -> int:
    """Search by `plan`; returns the exit status.

    Raises:
        UserError: for anything wrong in the task and the options, before the first paid call.
    """
    import asyncio

    from flowbot.lm.stop import StopSignal
    from flowbot.optimizer.costs import estimate
    from flowbot.optimizer.given import require_settings
    from flowbot.optimizer.outlook import outlook, require_room
    from flowbot.runtime.own_models import own_models, require_own_models

    from .engine import require_price
    from .progress import Display
    from .signals import pausing

    require_settings(seed=search.seed)
    own = own_models(plan.model, plan.meta_model, plan.judge_model, models=calls.listed(), metric=plan.task.metric)
    require_own_models(own, workflow=plan.start, where=plan.start_place, metric=plan.task.metric)
    require_price(calls, plan.model, plan.meta_model, *plan.judges)
    expected = estimate(
        plan.task,
        lm=plan.model,
        meta_lm=plan.meta_model,
        judge_lm=plan.judge_model,
        method=search.method,
        effort=plan.effort,
        start=plan.start,
        price=calls.prices(),
    )
    asked = (plan.model, plan.judge_model or plan.meta_model)
    ceilings = outlook(calls.budget(), plan.task, plan.start, asked, calls.prices())
    _announce(plan, search, expected, console)
    if calls.dry_run:
        asyncio.run(require_tools(plan.task, calls, console, allow_writes=search.allow_writes))
        _dry(plan, search, expected, ceilings, console)
    require_room(ceilings, plan.task, expected)
    for each in ceilings:
        _say_ceiling(plan, each, console)
    if calls.dry_run:
        return 0
    stop = StopSignal()
    with Display(console) as display, pausing(stop, say=display.news):
        result = asyncio.run(_optimize(plan, search, calls, stop, display))
    return conclude(result, plan, console)


async def require_tools(
    task: Task, calls: Calls, console: Console, *, allow_writes: bool, flow: tuple[str, Workflow] | None = None
) -> None:
    """Open the tools of a task and close them, which shows what a search or an evaluation would refuse.

    Args:
        task: the task.
        calls: the options.
        console: for what takes long.
        allow_writes: whether tools that write are called.
        flow: a workflow that is to be valid with them, behind how an error names it.

    Raises:
        UserError: if one cannot be opened or has no stand-in, or the workflow is not valid.
    """
    from flowbot.runtime.sandbox import ChosenSandbox
    from flowbot.runtime.toolbox import opened_task
    from flowbot.runtime.tools import require_stand_ins
    from flowbot.workflow.check import require_valid

    def say(line: str) -> None:
        console.say(line, "soft")

    sandbox = ChosenSandbox(calls.sandbox)
    async with opened_task(task, sandbox=sandbox, cache_dir=calls.cache_dir, say=say) as ready:
        if flow is not None:
            require_valid(
                flow[1],
                where=flow[0],
                tools={tool.signature.name: tool.signature for tool in ready.tools},
                task_inputs=ready.inputs,
                task_outputs=ready.outputs,
                allow_writes=allow_writes,
            )
        require_stand_ins(ready.tools, allow_writes=allow_writes)


async def _optimize(plan: Plan, search: SearchOptions, calls: Calls, stop: StopSignal, display: Display) -> RunResult:
    from flowbot.optimizer.run import optimize_async

    return await optimize_async(
        plan.task,
        lm=plan.model,
        meta_lm=plan.meta_model,
        judge_lm=plan.judge_model,
        models=calls.listed(),
        start=plan.start,
        method=search.method,
        effort=plan.effort,
        seed=search.seed,
        budget=calls.budget(),
        run_dir=search.run_dir,
        cache_dir=calls.cache_dir,
        pace=calls.pace(),
        price=calls.prices(),
        fresh=search.fresh,
        sandbox=calls.sandbox,
        executor=calls.executor,
        allow_writes=search.allow_writes,
        stop=stop,
        progress=display.show,
    )


def conclude(result: RunResult, plan: Plan, console: Console) -> int:
    """Write the report, say what came of the run, and return the exit status.

    Raises:
        Paused: if the run is, which every verb reports in the same words.
    """
    from flowbot.report.report import write_report

    from .summary import summarise, within

    report = write_report(result.run_dir)
    console.json(result.to_json())
    if result.status == "done":
        summarise(result, report, plan, console)
        return within(result.passed)
    if result.status == "paused":
        console.say()
        console.say(f"Paused after {count(sum(result.calls.values()), 'model call')}; everything so far is stored.")
        raise Paused(result.reason or "stopped", stopped_by=_pause(result.stopped_by))
    console.result(f"Failed: {result.reason}", "bad")
    return FAILED


def _pause(stopped_by: str) -> Literal["signal", "seconds", "infrastructure"]:
    return stopped_by if stopped_by == "signal" or stopped_by == "seconds" else "infrastructure"


def _announce(plan: Plan, search: SearchOptions, expected: CostEstimate, console: Console) -> None:
    from flowbot.lm.model_options import may_think

    task = plan.task
    sizes = {split: len(examples) for split, examples in task.splits.items()}
    models = (
        f"{plan.model} for steps and changes"
        if plan.model == plan.meta_model
        else f"{plan.model} runs the steps; {plan.meta_model} judges them and proposes changes"
    )
    if plan.judges:
        models += f"; {', '.join(plan.judges)} scores by the rubric"
    asked = (plan.model, plan.meta_model, *plan.judges)
    local = all(model.startswith(("local/", "fake/", "recorded/")) for model in asked)
    cost = "on this machine: no account, no cost" if local else f"about {money(expected.usd)}"
    if not local and expected.usd is None:
        cost = "the price is not known (--price IN,OUT gives one)"
    if unknown := [model for model in dict.fromkeys(asked) if may_think(model)]:
        cost += f"; thoughts not included, should {' or '.join(unknown)} think"
    console.row("Task", f"{task.name}: {task.goal}")
    console.row(
        "Examples",
        f"{sizes.get('train', 0)} to learn from, {sizes.get('val', 0)} to choose by, "
        f"{sizes.get('test', 0)} kept for the closing test",
    )
    console.row("Start", plan.start_words)
    console.row("Models", models)
    console.row("Method", f"{search.method}, effort {plan.effort}, seed {search.seed}")
    console.row(
        "Estimate", f"up to about {count(expected.calls, 'model call')}, {count(expected.tokens, 'token')}; {cost}"
    )
    console.say()
    if not expected.calls:
        return
    console.say("Ctrl-C pauses; the same command goes on where it stopped.", "soft")
    console.say()


def _say_ceiling(plan: Plan, ceiling: Outlook, console: Console) -> None:
    """What of a ceiling is left to search with, before anybody waits for a search that has no room."""
    from flowbot.optimizer.outlook import amount

    test = len(plan.task.splits["test"])

    def of_it(value: float, *, up: bool = False) -> str:
        text = amount(ceiling.ceiling, value, up=up).removesuffix(f" {ceiling.ceiling}")
        return text if ceiling.ceiling == "calls" else f"about {text}"

    whole = amount(ceiling.ceiling, ceiling.given)
    if ceiling.start > ceiling.given:
        text = f"{whole} may not be enough for a score: the start alone takes {of_it(ceiling.start)}."
    else:
        kept = (
            f"{of_it(ceiling.test)} are kept for the closing test on {ceiling.rows} of {count(test, 'example')}"
            if ceiling.rows
            else "there is no room for a closing test"
        )
        text = (
            f"Of {whole} {of_it(ceiling.start)} are to score the start, and {kept}; "
            f"{of_it(ceiling.left)} are left to search and to validate what is found."
        )
    low = ceiling.given < ceiling.enough
    if low:
        text += f" It may be too little to find anything, which takes {of_it(ceiling.enough, up=True)}."
    console.paragraph(text, "warn" if low or ceiling.rows < test else "soft")
    console.say()


def _dry(
    plan: Plan, search: SearchOptions, expected: CostEstimate, ceilings: Sequence[Outlook], console: Console
) -> None:
    console.json(
        {
            "dry_run": True,
            "task": plan.task.name,
            "models": {
                "task": plan.model,
                "meta": plan.meta_model,
                **({"judge": ", ".join(plan.judges)} if plan.judges else {}),
            },
            "method": search.method,
            "effort": plan.effort,
            "seed": search.seed,
            "estimate": {
                "calls": expected.calls,
                "tokens": expected.tokens,
                "usd": expected.usd,
                "by_purpose": dict(expected.by_purpose),
            },
            "ceilings": {each.ceiling: _dump_ceiling(each) for each in ceilings},
        }
    )
    for purpose, number in expected.by_purpose.items():
        console.result(f"{number:>8,}  {PURPOSES.get(purpose, purpose)}")
    console.result(
        f"{expected.calls:>8,}  {'model call' if expected.calls == 1 else 'model calls'}, about {count(expected.tokens, 'token')}; none was made. Retries and larger workflows may add some."
    )
    console.say()


def _dump_ceiling(each: Outlook) -> dict[str, float]:
    return {
        "given": each.given,
        "least": each.least,
        "enough": each.enough,
        "start": each.start,
        "test": each.test,
        "test_rows": each.rows,
    }
