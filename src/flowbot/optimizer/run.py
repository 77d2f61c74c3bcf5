"""One optimisation from beginning to end: what was given is checked and made ready, then run; see `plan`."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack

from flowbot.fields import UserError
from flowbot.fields.arguments import MODEL
from flowbot.fields.numbers import shown
from flowbot.lm.callable_model import ModelLike, model_string
from flowbot.run.folders import named_folder
from flowbot.run.result import RunResult
from flowbot.runtime.allowed_models import allowed_models
from flowbot.runtime.blocking import blocking
from flowbot.runtime.settings import arguments_of, with_settings
from flowbot.runtime.tools import not_stored
from flowbot.task import MetricError, Task
from flowbot.workflow.nodes import ProgramNode
from flowbot.workflow.workflow import Workflow

from .arguments import (
    RUN_DEFAULTS,
    SETTINGS,
    RunSettings,
    TaskLike,
    WorkflowLike,
    as_task,
    as_workflow,
    named,
    require_run,
    users_models,
)
from .ceilings import ceiling_outlooks
from .demands import frozen, require_fits
from .effort import Effort, planned_calls
from .estimate import estimate, sizes_of
from .method import Method, gives_models
from .methods import find_method, ordered
from .objective import Limits, Objective
from .plan import Plan
from .prepare import prepared
from .program_start import with_program
from .progress import Watch
from .seams import AskedMode, FeedbackMode, Order
from .step_models import choices
from .taking_up import Earlier


@asynccontextmanager
@with_settings(*SETTINGS, defaults=RUN_DEFAULTS)
async def planned(
    task: TaskLike,
    *,
    lm: ModelLike | None = None,
    meta_lm: ModelLike | None = None,
    start: WorkflowLike | None = None,
    method: Method | str = "flowbot+blame",
    effort: Effort = "medium",
    seed: int = 0,
    meta_mode: AskedMode = "auto",
    feedback: FeedbackMode = "real",
    order: Order = "free",
    objective: str | Mapping[str, float] = "score",
    max_calls_per_example: int | None = None,
    max_nodes: int | None = None,
    max_latency: float | None = None,
    freeze: Sequence[str] = (),
    name: str | None = None,
    run_dir: Path | str | None = None,
    fresh: bool = False,
    **settings: Unpack[RunSettings],
) -> AsyncGenerator[Plan]:
    """A search that is ready to begin, while inside; arguments and errors as of `optimize_async`."""
    found, sizes_effort = find_method(method), planned_calls(effort)
    aim, limits = Objective.parse(objective), Limits(max_calls_per_example, max_nodes, max_latency)
    task = as_task(task)
    if start is not None and (made := with_program(start, task, "start")) is not None:
        task, start = made
    require_run(
        "optimize", settings, {"lm": lm, "meta_lm": meta_lm}, seed=seed, meta_mode=meta_mode, feedback=feedback,
        order=order, name=name, run_dir=run_dir, fresh=fresh, freeze=freeze, **limits.dump(),
    )  # fmt: skip
    if name is not None and run_dir is not None:
        raise UserError("name", "run_dir beside it, which names the folder", "one or the other")
    lm, meta_lm = model_string(lm, "lm"), model_string(meta_lm, "meta_lm")
    settings["judge_lm"] = judge_lm = model_string(settings.get("judge_lm"), "judge_lm")
    folder = run_dir if name is None else named_folder(name)
    strategy = ordered(found, order)
    watch = Watch(settings.get("progress"))
    begin = None if start is None else as_workflow(start, "start")
    stand_in = lm is not None
    if lm is None:  # a program's own clients call what they name; what a search adds asks the meta model
        lm = _in_stead(begin, meta_lm)
    earlier = Earlier.of(start) if isinstance(begin, Workflow) else None
    if earlier is not None and isinstance(begin, Workflow):
        own = allowed_models(lm, meta_lm, judge_lm, models=settings.get("models"), metric=task.metric)
        begin, earlier = earlier.begin(begin, task, own)
        for line in earlier.notes:
            watch.news(line)
    models = users_models(begin, start, task, lm, meta_lm, judge_lm, models=settings.get("models"))
    others = choices(lm, settings.get("models"), task.metric) if gives_models(strategy) else ()
    _check_task(task)
    async with prepared(task, begin, named(start), models, settings, watch, search=True, stand_in=stand_in) as ready:
        ready = replace(ready, workflow=frozen(ready.workflow, freeze))
        require_fits(ready, strategy, aim, limits, (lm, *others))
        for line in not_stored(ready.task):
            watch.news(line)
        sizes = sizes_of(ready.task, ready.workflow, sizes_effort)
        expected = estimate(
            ready.task, lm=lm, meta_lm=meta_lm, judge_lm=judge_lm, method=strategy, effort=effort, start=ready.workflow,
            price=ready.price, meta_mode=meta_mode, choices=others, batch=ready.bench.batches,
        )  # fmt: skip
        judged_by = judge_lm or meta_lm or lm
        ceilings, least_test = ceiling_outlooks(
            ready.budget, ready.task, ready.workflow, (lm, judged_by), ready.price, batch=ready.bench.batches
        )
        yield Plan(
            ready, strategy, lm, meta_lm or lm, judged_by, others, effort, seed, meta_mode, feedback, order, aim, limits,
            folder, run_dir is not None, fresh, sizes, expected, ceilings, least_test, earlier, "" if start is None else named(start),
        )  # fmt: skip


def _in_stead(begin: object, meta_lm: str | None) -> str:
    """The model of steps that a search adds, where no task model is given: then only programs can be run, which have their own.

    Raises:
        UserError: if there is no program, or no meta model.
    """
    nodes = begin.sketch.nodes.values() if isinstance(begin, Workflow) else ()
    if not any(isinstance(node, ProgramNode) for node in nodes):
        raise UserError("lm", shown(None), MODEL[1])
    if meta_lm is None:
        raise UserError("meta_lm", shown(None), f"{MODEL[1]}; a program's own clients are no model that writes changes")
    return meta_lm


@with_settings(*SETTINGS)
@arguments_of(planned)
async def optimize_async(*args: Any, **kwargs: Any) -> RunResult:
    """Find a better workflow for `task`: `optimize` in plain code, `await optimize_async` in async code.

    The same arguments again resume, or replay, the same run: responses come from the store, and nothing is paid for twice.

        >>> result = fb.optimize(task, lm="openai/gpt-4.1-mini", budget=fb.Budget(usd=2), progress=print)
        >>> result.workflow.save("found.flow.yaml")

    Args:
        task: what to solve, or its file; needs training, validation and test examples.
        lm: model string of the task model, which runs the steps, and answers the calls of a program; without it a program's own clients
            call what they name, and `meta_lm` is needed. Or a function of your own from messages to a text, see `CallableModel`.
        meta_lm: the meta model, which writes gradients and edits; the task model when None.
        start: the workflow to improve: a workflow, a file, a start's name, an earlier run, which the result is then compared with
            (`before`), or a program: a callable of your own, or `app.py:answer`; a single call that reasons when None.
        method: `OUTER[+INNER]`, or a method of your own; see `optimizer.methods.Method`.
        effort: planned search calls: low (200), medium (500), high (2000), or a whole number. It is no ceiling.
        seed: of every random choice of the search.
        meta_mode: how the meta model is asked: `small` for one short decision at a time, `large` for several proposals at once from all
            that is known; `auto`: as it is able, by a few small questions that are stored.
        feedback: what the meta model is told of a mistake: `real`, what was expected and said of it; `shuffled`, the same of
            another mistake; `blind`, nothing. The two others are controls that show what the feedback is worth.
        order: which changes are tried first: `free`, those of which most is believed; `prompts-first`, those of parameters, and of the
            structure once some have failed or a diagnosis says that no prompt can mend it; `alternate`, both in turn.
        objective: what is better: `score`, by which a further call an example must gain a point; `cost` or `latency`, the cheapest
            or fastest within three points of the best; or what a unit is worth in score, as `score=1,usd=0.2` or a mapping: of
            `usd` a dollar a thousand examples, of `tokens` a thousand tokens an example, of `calls` and `seconds` one an example.
        max_calls_per_example: model calls an example, at most, of any workflow that is tried.
        max_nodes: its steps at most, those in bodies included.
        max_latency: seconds an example at most, on average, along the critical path, as stored with the responses: what is slower is
            dropped.
        freeze: steps of the start that nothing changes, by path; the found workflow says `frozen: true` of them, too.
        name: what the run is called: its folder is `runs/NAME`.
        run_dir: where journal, results and report go; `runs/TASK-HASH` when None.
        fresh: True: an existing run directory is moved aside and the journal begins anew (stored responses still serve).

    Returns:
        the result; its `status` is `paused` with a reason when the same command should be run again.

    Raises:
        UserError: for anything wrong in what was given, before the first paid call.
        DeniedError: if a model refuses the key or knows no such name, and has answered nothing yet.
    """
    async with planned(*args, **kwargs) as plan:
        return await plan.run()


optimize = blocking(optimize_async, "optimize")


def _check_task(task: Task) -> None:
    """What must be right before anything is paid for: examples in every split, and a metric that takes its own gold where
    there is some."""
    for split in ("train", "val", "test"):
        if not task.splits.get(split):
            raise UserError(
                f"{task.name}: split {split}", "no examples", "at least one; optimising needs train, val and test"
            )
        example = task.splits[split][0]
        plain = task.metric.without_model()
        if plain is None or len(example.expected) < len(task.outputs):
            continue  # what is right is not known, or only a model can say whether it is
        try:
            plain(example, example.expected)
        except MetricError as error:
            raise UserError(
                f"metric {task.metric.name}", f"an error on the expected outputs of {example.id} ({error})", "a score"
            ) from error
