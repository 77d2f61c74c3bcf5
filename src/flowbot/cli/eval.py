"""`flowbot eval`: how good is a workflow on a task's examples?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from .console import Console
from .options import MODELS, Calls, Output

if TYPE_CHECKING:
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
    judge_model: Annotated[str | None, Parameter(group=MODELS)] = None,
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
    judge_model
        Model of the metric's judge, where it has one that names none; --model otherwise.
    allow_writes
        Call tools that write, for real, on every example.
    """
    import asyncio

    from flowbot.fields import UserError
    from flowbot.lm import StopSignal
    from flowbot.optimize import evaluate_async
    from flowbot.runtime.own_models import own_models, require_own_models
    from flowbot.task import Task
    from flowbot.workflow import load, most_calls

    from .engine import require_judge, require_model, require_price
    from .progress import Display
    from .signals import pausing
    from .summary import within

    console = Console.open(output)
    workflow, loaded = load(flow), Task.load(task)
    own = own_models(model, judge_model, models=calls.listed(), metric=loaded.metric)
    require_own_models(own, workflow=workflow, where=str(flow), metric=loaded.metric)
    examples = loaded.splits.get(split, ())
    if not examples:
        raise UserError(f"{task}: data", f"no {split} examples", "at least one")
    require_model(workflow, model)
    judges = require_judge(loaded.metric, judge_model, model)
    require_price(calls, model, *judges)
    budget = calls.budget()
    judged = len(examples) * sum(judge.repeats for judge in loaded.metric.judges.values())
    expected = len(examples) * most_calls(workflow) + judged
    about = f"{len(examples)} {split} examples, at most {expected} model calls"
    if judged:
        about += f" ({judged} of them by the judge, {', '.join(judges)})"
    if calls.dry_run:
        asyncio.run(_check(flow, workflow, loaded, calls, console, allow_writes=allow_writes))
        by_judge = {"judge": {"model": ", ".join(judges), "calls": judged}} if judges else {}
        console.json({"dry_run": True, "n": len(examples), "calls": expected, **by_judge})
        console.result(f"{about}; none was made.")
        return 0
    console.say(f"{about}.", "soft")
    stop = StopSignal()
    with Display(console) as display, pausing(stop, say=display.news):
        found = asyncio.run(
            evaluate_async(
                flow,
                loaded,
                split=split,
                lm=model,
                judge_lm=judge_model,
                models=calls.listed(),
                budget=budget,
                cache_dir=calls.cache_dir,
                pace=calls.pace(),
                price=calls.prices(),
                sandbox=calls.sandbox,
                executor=calls.executor,
                allow_writes=allow_writes,
                traces=False,  # a split may be larger than memory
                stop=stop,
                progress=display.show,
            )
        )
    facts = found.to_json()
    console.json(facts)
    _show(console, facts)
    return within(found.passed)


async def _check(
    flow: Path, workflow: Workflow, task: Task, calls: Calls, console: Console, *, allow_writes: bool
) -> None:
    """Open the tools, which tells what an evaluation would refuse, and close them."""
    from flowbot.runtime import ChosenSandbox, opened_task, require_stand_ins
    from flowbot.workflow import require_valid

    async with opened_task(
        task,
        sandbox=ChosenSandbox(calls.sandbox),
        cache_dir=calls.cache_dir,
        say=lambda line: console.say(line, "soft"),
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


def _show(console: Console, facts: dict[str, Any]) -> None:
    from flowbot.optimize.taken import evaluation
    from flowbot.report import Interval
    from flowbot.report.words import count, duration, interval, percent

    from .summary import judge_line

    score = Interval(facts["mean"], facts["low"], facts["high"], facts["n"])
    console.result(f"{percent(score.mean)} on {count(score.n, 'example')} (95 % interval {interval(score)})", "title")
    if facts["errors"]:
        console.say(f"{count(facts['errors'], 'run')} gave no result, which counts as the metric says.", "warn")
    if facts["dropped"]:
        why = "the endpoint refuses them" + (" or the judge gives no verdict" if "judge" in facts else "")
        console.say(f"Dropped, because {why} on every try: {', '.join(facts['dropped'])}", "warn")
    wrong = [row for row in facts["rows"] if row["score"] < 1]
    if wrong:
        console.say()
        console.say(f"Not right: {len(wrong)}." + (f" The first {SHOWN}:" if len(wrong) > SHOWN else ""))
        for row in wrong[:SHOWN]:
            console.row(row["id"], row["error"] or row["feedback"] or f"score {row['score']:g}")
    console.say()
    if "judge" in facts:
        console.say(judge_line(facts["judge"]), "soft")
    told = evaluation(facts["calls"], facts["requests"], facts["tokens"], facts["usd"], facts["spent"])
    console.say(f"{told}, {duration(facts['seconds'])}.", "soft")
