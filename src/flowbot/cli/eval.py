"""`flowbot eval`: how good is a workflow on a task's examples?"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from flowbot.fields import UserError
from flowbot.fields.words import count, duration, interval, percent

from .console import Console
from .options import ALLOW_WRITES, CEILINGS, Calls, JudgeModel, Output, StepsModel, TaskFile, whole
from .text import complain

if TYPE_CHECKING:
    from flowbot.lm.stop import StopSignal
    from flowbot.run.eval_result import EvalResult

_FLOW = "The workflow's file, a run's folder or name, a name that flowbot starts lists, or a program, as app.py:answer."
SHOWN = 5
"""Wrong examples that a person is shown."""


def evaluate_flow(
    flow: Annotated[str, Parameter(name="FLOW", negative=(), help=_FLOW)],
    task: TaskFile,
    /,
    *,
    split: Literal["train", "val", "test"] = "val",
    limit: Annotated[int | None, Parameter(group=CEILINGS, converter=whole)] = None,
    fail_under: float | None = None,
    model: StepsModel = None,
    judge_model: JudgeModel = None,
    allow_writes: Annotated[bool, ALLOW_WRITES] = False,
    calls: Calls = Calls(),  # noqa: B008
    output: Output = Output(),  # noqa: B008
) -> int:
    """Score a workflow on a split of a task's examples.

    Parameters
    ----------
    split
        Which examples. The test is for once, at the end.
    limit
        Only the first examples of the split, in the order of the file: as many as this.
    fail_under
        Exit with status 1 if the mean score is below this, a number from 0 to 1.
    allow_writes
        Call tools that write, for real, on every example.
    """
    from flowbot.fields.numbers import require_above_0
    from flowbot.optimizer.evaluate import evaluation
    from flowbot.runtime.allowed_models import allowed_models, require_allowed_models
    from flowbot.task import Task

    from .engine import require_judge, require_model, require_price
    from .progress import Display
    from .signals import run_pausing
    from .starts import start_workflow
    from .summary import within

    console = Console.open(output)
    loaded = Task.load(task)
    loaded, workflow, _, given = start_workflow(flow, loaded, cache_dir=calls.cache_dir, where="FLOW")
    own = allowed_models(model, judge_model, models=calls.listed(), metric=loaded.metric)
    require_allowed_models(own, workflow=workflow, where=flow, metric=loaded.metric)
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

    display = Display(console)

    async def evaluated(stop: StopSignal) -> EvalResult | None:
        """The result; None where nothing shall be called."""
        async with evaluation(
            given,
            loaded,
            split=split,
            lm=model,
            judge_lm=judge_model,
            models=calls.listed(),
            allow_writes=allow_writes,
            traces=False,  # a split may be larger than memory
            progress=display.show,
            **calls.settings(stop),
        ) as plan:
            about = f"{of}, at most {count(plan.calls, 'model call')}"
            if plan.judge_calls:
                about += f" ({plan.judge_calls} of them by the judge, {', '.join(judges)})"
            about += ", besides those that ask again or probe the model"
            if calls.dry_run:
                by_judge = {"judge": {"model": ", ".join(judges), "calls": plan.judge_calls}} if judges else {}
                console.json({"dry_run": True, "n": len(examples), "calls": plan.calls, **by_judge})
                console.result(f"{about}; none was made.")
                return None
            console.say(f"{about}.", "soft")
            with display:
                return await plan.run()

    found = run_pausing(evaluated, say=display.news)
    if found is None:
        return 0
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
    from flowbot.run.result import Judging
    from flowbot.run.sessions import Spent
    from flowbot.run.taken import by_model, evaluation, judged
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
    if models := by_model({name: Spent(**each) for name, each in facts["by_model"].items()}):
        console.say(models, "soft")
    took = evaluation(facts["calls"], facts["requests"], facts["tokens"], facts["usd"], Spent(**facts["spent"]))
    console.say(f"{took}, {duration(facts['seconds'])}.", "soft")
