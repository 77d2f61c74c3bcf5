"""A search from the command line, for `demo` and `optimize`: say what will happen, run it, say what came of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from flowbot.fields import Paused
from flowbot.fields.words import count, listed, money
from flowbot.run.result import RunResult
from flowbot.run.taken import PURPOSES, priced

from .console import Console
from .options import Calls, SearchOptions

if TYPE_CHECKING:
    from flowbot.lm.stop import StopSignal
    from flowbot.optimizer.ceilings import CeilingOutlook
    from flowbot.optimizer.plan import Plan
    from flowbot.task import Task

    from .plan import Job
    from .progress import Display

FAILED = 1


def carry_out(job: Job, search: SearchOptions, calls: Calls, console: Console) -> int:
    """Search, or with `--dry-run` say what it would take; returns the exit status.

    Raises:
        UserError: for anything wrong in the task and the options, before the first paid call.
    """

    from flowbot.runtime.allowed_models import allowed_models, require_allowed_models

    from .progress import Display
    from .signals import run_pausing

    own = allowed_models(job.model, job.meta_model, job.judge_model, models=calls.listed(), metric=job.task.metric)
    taken_up = isinstance(job.start_given, str) and not Path(job.start_given).is_file()
    begun = None if taken_up else job.start  # of a run's own workflow `planned` says what it makes of its models
    require_allowed_models(own, workflow=begun, where=job.start_place, metric=job.task.metric)
    display = Display(console)
    result = run_pausing(lambda stop: _search(job, search, calls, stop, display, console), say=display.news)
    return 0 if result is None else conclude(result, job, console)


async def _search(
    job: Job, search: SearchOptions, calls: Calls, stop: StopSignal, display: Display, console: Console
) -> RunResult | None:
    """The search; None where nothing shall be called."""
    from flowbot.optimizer.run import planned
    from flowbot.optimizer.step_models import choices
    from flowbot.runtime.judge import judge_models

    from .engine import require_price

    judges = judge_models(job.task.metric, job.judge_model or job.meta_model)
    require_price(calls, job.model, job.meta_model, *judges, *choices(job.model, calls.listed(), job.task.metric))
    async with planned(
        job.task,
        lm=None if job.own_models else job.model,
        meta_lm=job.meta_model,
        judge_lm=job.judge_model,
        models=calls.listed(),
        start=job.start_given,
        effort=job.effort,
        progress=display.show,
        **search.settings(),
        **calls.settings(stop),
    ) as plan:
        _announce(job, search, plan, console)
        if calls.dry_run:
            _dry(job, search, plan, console)
        plan.require_room()
        for each in plan.ceilings:
            _say_ceiling(job.task, each, console)
        if calls.dry_run:
            return None
        with display:
            return await plan.run()


def conclude(result: RunResult, job: Job, console: Console) -> int:
    """Write the report, say what came of the run, and return the exit status.

    Raises:
        Paused: if the run is, which every verb reports in the same words.
    """
    from flowbot.report.report import write_report

    from .export import say_written
    from .summary import summarise, within

    report = write_report(result.run_dir)
    written = None
    if job.write_source is not None and result.status == "done":
        from flowbot.export.source.write import write_source

        written = write_source(result, folder=job.write_source)
    console.json(result.to_json() | ({} if written is None else {"source": written.dump()}))
    if result.status == "done":
        summarise(result, report, job, console)
        if written is not None:
            say_written(console, written)
        return within(result.passed)
    if result.status == "paused":
        console.say()
        console.say(f"Paused after {count(sum(result.calls.values()), 'model call')}; everything so far is stored.")
        raise Paused(result.reason or "stopped", stopped_by=_pause(result.stopped_by))
    console.result(f"Failed: {result.reason}", "bad")
    return FAILED


def _pause(stopped_by: str) -> Literal["signal", "seconds", "batch", "infrastructure"]:
    return (
        stopped_by if stopped_by == "signal" or stopped_by == "seconds" or stopped_by == "batch" else "infrastructure"
    )


def _announce(job: Job, search: SearchOptions, plan: Plan, console: Console) -> None:
    from flowbot.lm.model_options import may_think

    task, expected = job.task, plan.estimate
    sizes = {split: len(examples) for split, examples in task.splits.items()}
    models = (
        f"{plan.lm} for steps and changes"
        if plan.lm == plan.meta_lm
        else f"{plan.lm} runs the steps; {plan.meta_lm} judges them and proposes changes"
    )
    if plan.judges:
        models += f"; {', '.join(plan.judges)} scores by the rubric"
    if others := [each for each in plan.choices if each != plan.lm]:
        models += f"; steps may be given {', '.join(others)}"
    asked = (plan.lm, plan.meta_lm, *plan.judges, *plan.choices)
    local = all(model.startswith(("local/", "fake/", "recorded/")) for model in asked)
    if expected.usd is None:
        cost = "the price is not known (--price IN,OUT gives one)"
    else:
        cost = f"about {money(expected.usd)}" if expected.usd or not local else "on this machine: no account, no cost"
    if unknown := [model for model in dict.fromkeys(asked) if may_think(model)]:
        cost += f"; thoughts not included, should {' or '.join(unknown)} think"
    console.row("Task", f"{task.name}: {task.goal}")
    console.row(
        "Examples",
        f"{sizes.get('train', 0)} to learn from, {sizes.get('val', 0)} to choose by, "
        f"{sizes.get('test', 0)} kept for the closing test",
    )
    console.row("Start", job.start_words)
    console.row("Models", models)
    console.row("Method", f"{search.method}, effort {job.effort}, seed {search.seed}{_asked(search)}")
    if aims := _aims(search, plan):
        console.row("Objective", aims)
    console.row(
        "Estimate", f"up to about {count(expected.calls, 'model call')}, {count(expected.tokens, 'token')}; {cost}"
    )
    console.say()
    if not expected.calls:
        return
    console.say("Ctrl-C pauses; the same command goes on where it stopped.", "soft")
    console.say()


def _asked(search: SearchOptions) -> str:
    """How the meta model is asked, and in which order changes are tried, where that is not as usual."""
    mode = "" if search.meta_mode == "auto" else f", the meta model asked as {search.meta_mode}"
    order = "" if search.order == "free" else f", order {search.order}"
    return mode + ("" if search.feedback == "real" else f", feedback {search.feedback} (a control)") + order


def _aims(search: SearchOptions, plan: Plan) -> str:
    """What is better and what no workflow may pass, where that is not as usual."""
    limits = [f"{name.replace('_', ' ')} {limit:g}" for name, limit in plan.limits.dump().items()]
    frozen = [f"frozen {listed(search.frozen())}"] if search.frozen() else []
    told = [*limits, *frozen]
    return "" if plan.objective.usual and not told else "; ".join([plan.objective.name, *told])


def _say_ceiling(task: Task, ceiling: CeilingOutlook, console: Console) -> None:
    """What of a ceiling is left to search with, before anybody waits for a search that has no room."""
    from flowbot.optimizer.ceilings import amount

    test = len(task.splits["test"])

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


def _dry(job: Job, search: SearchOptions, plan: Plan, console: Console) -> None:
    expected = plan.estimate
    console.json(
        {
            "dry_run": True,
            "task": job.task.name,
            "models": plan.asked,
            "effort": job.effort,
            **{name: getattr(search, name) for name in ("method", "seed", "meta_mode", "feedback", "order")},
            "objective": plan.objective.name,
            "limits": plan.limits.dump(),
            "frozen": search.frozen(),
            "estimate": {
                "calls": expected.calls,
                "tokens": expected.tokens,
                "usd": expected.usd,
                "by_purpose": dict(expected.by_purpose),
                "by_model": {name: each.model_dump() for name, each in expected.by_model.items()},
            },
            "ceilings": {each.ceiling: _dump(each) for each in plan.ceilings},
        }
    )
    for purpose, number in expected.by_purpose.items():
        console.result(f"{number:>8,}  {PURPOSES.get(purpose, purpose)}")
    if plan.choices:
        for name, each in expected.by_model.items():
            console.result(f"{each.calls:>8,}  of these of {name}, {priced(each.usd)}")
    console.result(
        f"{expected.calls:>8,}  {'model call' if expected.calls == 1 else 'model calls'}, about {count(expected.tokens, 'token')}; none was made. Retries and larger workflows may add some."
    )
    console.say()


def _dump(each: CeilingOutlook) -> dict[str, float]:
    facts = {name: getattr(each, name) for name in ("given", "least", "enough", "start", "test")}
    return {**facts, "test_rows": each.rows}
