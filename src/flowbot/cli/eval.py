"""`flowbot eval`: how good is a workflow on a task's examples?"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from .console import Console
from .options import MODELS, Calls, Output

if TYPE_CHECKING:
    from flowbot.lm import StopSignal
    from flowbot.runtime import Row, Sandbox
    from flowbot.task import Task
    from flowbot.workflow import Workflow

SHOWN = 5
"""Wrong examples that a person is shown."""


def evaluate_flow(
    flow: Annotated[Path, Parameter(name="FLOW", negative=())],
    task: Annotated[Path, Parameter(name="TASK", negative=())],
    /,
    *,
    split: Literal["train", "val", "test"] = "val",
    model: Annotated[str | None, Parameter(group=MODELS)] = None,
    allow_writes: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
    calls: Calls = Calls(),  # noqa: B008
    output: Output = Output(),  # noqa: B008
) -> int:
    """Score a workflow on a split of a task's examples.

    Parameters
    ----------
    flow
        The workflow's file.
    task
        The task's file.
    split
        Which examples. The test is for once, at the end.
    model
        Model of the steps that name no other, such as openai/gpt-4.1-mini or local/qwen2.5-coder-0.5b.
    allow_writes
        Call tools that write, for real, on every example.
    """
    import asyncio

    from flowbot.fields import UserError
    from flowbot.lm import StopSignal
    from flowbot.runtime import ChosenSandbox, opened_task, require_stand_ins
    from flowbot.task import Task
    from flowbot.workflow import load, most_calls, require_valid

    from .engine import require_model, require_price
    from .signals import pausing

    console = Console.open(output)
    workflow, loaded = load(flow), Task.load(task)
    examples = loaded.splits.get(split, ())
    if not examples:
        raise UserError(f"{task}: data", f"no {split} examples", "at least one")
    require_model(workflow, model)
    require_price(calls, model)
    calls.budget()
    expected = len(examples) * most_calls(workflow)
    about = f"{len(examples)} {split} examples, at most {expected} model calls"
    stop = StopSignal()

    async def evaluated() -> dict[str, Any] | None:
        sandbox = ChosenSandbox(calls.sandbox)
        async with opened_task(
            loaded, sandbox=sandbox, cache_dir=calls.cache_dir, say=lambda line: console.say(line, "soft")
        ) as ready:
            require_valid(
                workflow,
                where=str(flow),
                tools={tool.signature.name: tool.signature for tool in ready.tools},
                task_inputs=ready.inputs,
                task_outputs=ready.outputs,
                allow_writes=allow_writes,
            )
            require_stand_ins(ready.tools, allow_writes=allow_writes)
            if calls.dry_run:
                return None
            console.say(f"{about}.", "soft")
            return await _evaluate(workflow, ready, split, model, calls, sandbox, allow_writes, stop, console, expected)

    with pausing(stop, say=lambda line: console.say(line, "warn")):
        facts = asyncio.run(evaluated())
    if facts is None:
        console.json({"dry_run": True, "n": len(examples), "calls": expected})
        console.result(f"{about}; none was made.")
        return 0
    console.json(facts)
    _show(console, facts)
    return 0


async def _evaluate(
    workflow: Workflow,
    task: Task,
    split: Literal["train", "val", "test"],
    model: str | None,
    calls: Calls,
    sandbox: Sandbox,
    allow_writes: bool,
    stop: StopSignal,
    console: Console,
    expected: int,
) -> dict[str, Any]:
    from flowbot.fields import Usage
    from flowbot.optimize import ProgressEvent
    from flowbot.runtime import evaluate_each

    from .engine import open_engine
    from .progress import Display

    began = time.monotonic()
    tools = {tool.signature.name: tool for tool in task.tools}
    with Display(console, expected=expected) as display:
        async with open_engine(
            model, calls, tools=tools, sandbox=sandbox, stop=stop, say=display.news, allow_writes=allow_writes
        ) as engine:
            ledger = engine.session.ledger

            def show(done: int, total: int) -> None:
                text = f"on {total} {split} examples"
                display.show(ProgressEvent("Scoring", text, done, total, sum(ledger.calls.values())))

            examples = task.splits[split]
            rows: list[dict[str, Any] | None] = [None] * len(examples)
            usages = [Usage()] * len(examples)

            def take(number: int, row: Row | None) -> None:
                if row is not None:  # its trace is not kept: a split may be larger than memory
                    rows[number], usages[number] = _row(row), row.trace.usage

            await evaluate_each(engine, workflow, task, examples, purpose=split, take=take, progress=show)
            await engine.settle()  # second tries of stragglers are paid for too
            spent = ledger.spent
    used = sum(usages, Usage())
    scored = [row for row in rows if row is not None]
    return {
        **_scores(scored),
        "calls": sum(ledger.calls.values()),
        "tokens": used.tokens,
        "usd": used.usd,
        "spent": {"calls": spent.calls, "tokens": spent.tokens, "usd": spent.usd},
        "seconds": round(time.monotonic() - began, 2),
        "dropped": [example.id for example, row in zip(examples, rows, strict=True) if row is None],
        "rows": scored,
    }


def _row(row: Row) -> dict[str, Any]:
    return {
        "id": row.example.id,
        "score": row.score.value,
        "outputs": None if row.trace.outputs is None else dict(row.trace.outputs),
        "feedback": row.score.feedback,
        "error": row.trace.error,
    }


def _scores(rows: list[dict[str, Any]]) -> dict[str, Any]:
    from flowbot.optimize.acceptance import estimate_mean

    estimate = estimate_mean([row["score"] for row in rows])
    return {**estimate.dump(), "errors": sum(bool(row["error"]) for row in rows)}


def _show(console: Console, facts: dict[str, Any]) -> None:
    from flowbot.report import Interval
    from flowbot.report.words import count, duration, interval, money, percent

    score = Interval(facts["mean"], facts["low"], facts["high"], facts["n"])
    console.result(f"{percent(score.mean)} on {count(score.n, 'example')} (95 % interval {interval(score)})", "title")
    if facts["errors"]:
        console.say(f"{count(facts['errors'], 'run')} gave no result, which counts as the metric says.", "warn")
    if facts["dropped"]:
        console.say(f"Dropped, because the endpoint refuses them on every try: {', '.join(facts['dropped'])}", "warn")
    wrong = [row for row in facts["rows"] if row["score"] < 1]
    if wrong:
        console.say()
        console.say(f"Not right: {len(wrong)}." + (f" The first {SHOWN}:" if len(wrong) > SHOWN else ""))
        for row in wrong[:SHOWN]:
            console.row(row["id"], row["error"] or row["feedback"] or f"score {row['score']:g}")
    console.say()
    console.say(
        f"{count(facts['calls'], 'model call')} ({facts['spent']['calls']:,} made now), {facts['tokens']:,} tokens, "
        f"cost {money(facts['usd'])}, {duration(facts['seconds'])}.",
        "soft",
    )
