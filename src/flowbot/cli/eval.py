"""`flowbot eval`: how good is a workflow on a task's examples?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from flowbot.fields.words import count

from .console import Console
from .options import ALLOW_WRITES, CEILINGS, MODEL, MODELS, Calls, Output, whole
from .text import complain

SHOWN = 5
"""Wrong examples that a person is shown."""


def evaluate_flow(
    flow: Annotated[Path, Parameter(name="FLOW", negative=())],
    task: Annotated[Path, Parameter(name="TASK", negative=())],
    /,
    *,
    split: Literal["train", "val", "test"] = "val",
    limit: Annotated[int | None, Parameter(group=CEILINGS, converter=whole)] = None,
    fail_under: float | None = None,
    model: Annotated[str | None, MODEL] = None,
    judge_model: Annotated[str | None, Parameter(group=MODELS)] = None,
    allow_writes: Annotated[bool, ALLOW_WRITES] = False,
    calls: Calls = Calls(),  # noqa: B008
    output: Output = Output(),  # noqa: B008
) -> int:
    """Score a workflow on a split of a task's examples.

    Parameters
    ----------
    flow
        The workflow's file, or a run's folder or name.
    task
        The task's file.
    split
        Which examples. The test is for once, at the end.
    limit
        Only the first examples of the split, in the order of the file: as many as this.
    fail_under
        Exit with status 1 if the mean score is below this, a number from 0 to 1.
    model
        Model of the steps that name no other, such as openai/gpt-4.1-mini or local/qwen2.5-coder-0.5b.
    judge_model
        Model of the metric's judge, where it has one that names none; --model otherwise.
    allow_writes
        Call tools that write, for real, on every example.
    """
    import asyncio
    from dataclasses import replace

    from flowbot.fields import UserError
    from flowbot.fields.numbers import require_above_0
    from flowbot.lm.stop import StopSignal
    from flowbot.optimizer.evaluate import evaluate_async
    from flowbot.runtime.own_models import own_models, require_own_models
    from flowbot.task import Task
    from flowbot.workflow.calls import most_calls
    from flowbot.workflow.workflow import Workflow

    from .engine import require_judge, require_model, require_price
    from .progress import Display
    from .runs import flow_file
    from .search import require_tools
    from .signals import pausing
    from .summary import within

    console = Console.open(output)
    flow = flow_file(flow)
    workflow, loaded = Workflow.load(flow), Task.load(task)
    own = own_models(model, judge_model, models=calls.listed(), metric=loaded.metric)
    require_own_models(own, workflow=workflow, where=str(flow), metric=loaded.metric)
    require_above_0(limit, "--limit")
    if fail_under is not None and not 0 <= fail_under <= 1:
        raise UserError("--fail-under", f"{fail_under:g}", "a mean score from 0 to 1, as 0.8 for 80 %")
    every = loaded.splits.get(split, ())
    if not every:
        raise UserError(f"{task}: data", f"no {split} examples", "at least one")
    examples = every[:limit]
    loaded = replace(loaded, splits={**loaded.splits, split: examples})
    of = (
        count(len(examples), f"{split} example")
        if limit is None
        else f"the first {len(examples)} of {count(len(every), f'{split} example')}"
    )
    require_model(workflow, model)
    judges = require_judge(loaded.metric, judge_model, model)
    require_price(calls, model, *judges)
    calls.budget()  # a ceiling that is none is refused also where nothing is called
    judged = len(examples) * loaded.metric.judge_calls
    expected = len(examples) * most_calls(workflow) + judged
    about = f"{of}, at most {count(expected, 'model call')}"
    if judged:
        about += f" ({judged} of them by the judge, {', '.join(judges)})"
    about += ", besides those that ask again or probe the model"
    if calls.dry_run:
        asyncio.run(require_tools(loaded, calls, console, allow_writes=allow_writes, flow=(str(flow), workflow)))
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
                **calls.settings(stop),
                allow_writes=allow_writes,
                traces=False,  # a split may be larger than memory
                progress=display.show,
            )
        )
    facts = found.to_json()
    if limit is not None:
        facts["limit"] = {"n": len(examples), "of": len(every)}
    console.json(facts)
    _show(console, facts)
    return within(found.passed) or _reached(facts["mean"], fail_under)


def _reached(mean: float, least: float | None) -> int:
    """The exit status for a mean score, of which `least` is wanted; one line says that it is below."""
    if least is None or mean >= least:
        return 0
    complain(f"the mean score {mean:.4g} is below --fail-under {least:g}")
    return 1


def _show(console: Console, facts: dict[str, Any]) -> None:
    from flowbot.fields.words import duration, interval, percent
    from flowbot.run.result import Judging
    from flowbot.run.sessions import Spent
    from flowbot.run.taken import evaluation, judged
    from flowbot.stats import Estimate

    score = Estimate(facts["mean"], facts["low"], facts["high"], facts["n"])
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
        console.say(judged(Judging(**facts["judge"])), "soft")
    took = evaluation(facts["calls"], facts["requests"], facts["tokens"], facts["usd"], Spent(**facts["spent"]))
    console.say(f"{took}, {duration(facts['seconds'])}.", "soft")
