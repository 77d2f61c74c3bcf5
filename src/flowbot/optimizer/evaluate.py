"""How good a workflow is on a split of a task: `evaluate`, from Python and from the command line."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Unpack, cast

from flowbot.fields import UserError
from flowbot.fields.near import one_of
from flowbot.fields.numbers import shown
from flowbot.fields.words import count
from flowbot.run.eval_result import EvalResult, EvalRow
from flowbot.run.events import Split
from flowbot.runtime.blocking import blocking
from flowbot.runtime.evaluation import Row, evaluate_each
from flowbot.runtime.flow import Flow
from flowbot.runtime.judge import judge_facts, judge_models, require_verdicts
from flowbot.runtime.settings import with_settings
from flowbot.stats import estimate_mean
from flowbot.workflow.calls import asked_models, most_calls

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
from .prepare import prepared
from .progress import Watch

if TYPE_CHECKING:
    from flowbot.task import Example, Task
    from flowbot.workflow.workflow import Workflow


@with_settings(*SETTINGS, defaults=RUN_DEFAULTS)
async def evaluate_async(
    workflow: WorkflowLike,
    task: TaskLike,
    *,
    split: Split = "val",
    lm: str | None = None,
    traces: bool = True,
    **settings: Unpack[RunSettings],
) -> EvalResult:
    """Score `workflow` on a split of `task`: `evaluate` in plain code, `await evaluate_async` in async code.

    Responses are stored, so the same evaluation again costs nothing and gives the same result.

        >>> found = fb.evaluate("found.flow.yaml", task, split="val", lm="openai/gpt-4.1-mini")
        >>> found.mean, found.low, found.high
        (0.82, 0.68, 0.91)
        >>> found.failures[0].feedback
        'total: found 7, expected 9'

    Args:
        workflow: what to score: a workflow, a flow (its model serves where `lm` is not given), a file, or a start's name.
        task: for its examples, metric and tools; a task or its file.
        split: which examples. The test is for once, at the end.
        lm: model string of the steps that name no model.
        traces: False: what each step received and gave is not kept, for splits that are larger than memory.

    Raises:
        UserError: for anything wrong in what was given, before the first paid call.
        Paused: if the infrastructure failed, somebody stopped it, or the time is up; the same call goes on from there.
        DeniedError: if a model refuses the key or knows no such name, and has answered nothing yet.
        BudgetExceeded: if a ceiling would be passed.
        MetricError: if the metric raised; it names the example.
    """
    task = as_task(task)
    require_run("evaluate", settings, {"lm": lm})
    examples = _examples(task, split)
    begin = as_workflow(workflow, "workflow")
    lm = lm or (workflow.lm if isinstance(workflow, Flow) else None)
    judge_lm = settings.get("judge_lm")
    models = users_models(begin, workflow, task, lm, judge_lm, models=settings.get("models"))
    watch = Watch(settings.get("progress"))
    watch.plan = {"evaluation": 1.0}
    watch.enter("evaluation", len(examples))
    async with prepared(task, begin, named(workflow), models, settings, watch, search=False) as ready:
        judges = _judges(ready.task, ready.workflow, lm, judge_lm)
        watch.planned = len(examples) * (most_calls(ready.workflow) + task.metric.judge_calls)
        async with ready.engine(lm, judge_lm) as engine:
            rows: list[EvalRow | None] = [None] * len(examples)

            def take(number: int, row: Row | None) -> None:
                if row is not None:
                    rows[number] = EvalRow.of(row, traced=traces)

            def step(done: int, total: int) -> None:
                watch.step(f"on {count(total, f'{split} example')}", done, total)

            await evaluate_each(engine, ready.workflow, ready.task, examples, purpose=split, take=take, progress=step)
            await engine.settle()  # second tries of stragglers are paid for too
    ledger = engine.session.ledger
    kept = tuple(row for row in rows if row is not None)
    require_verdicts(task.metric, examples, len(kept))
    spreads = [row.score.spread for row in kept if row.score.spread is not None]
    result = EvalResult(
        workflow=ready.workflow,
        task=task.name,
        split=split,
        lm=lm,
        estimate=estimate_mean([row.score.value for row in kept]),
        rows=kept,
        dropped=tuple(example.id for example, row in zip(examples, rows, strict=True) if row is None),
        calls=sum(ledger.calls.values()),
        usage=ledger.logical,
        spent=ledger.spent,
        seconds=time.monotonic() - ready.began,
        requests=sum(ledger.requests.values()),
        passed=engine.session.budget.passed,
        judge=judge_facts(", ".join(judges), ledger, spreads) if judges else None,
    )
    watch.ended(str(result))
    return result


def _judges(task: Task, workflow: Workflow, lm: str | None, judge_lm: str | None) -> list[str]:
    """The model strings of the metric's judges, each once.

    Raises:
        UserError: if a step or a judge asks a model and none is given.
    """
    nameless = [path for path, model in asked_models(workflow) if model is None]
    if nameless and lm is None:
        raise UserError(f"step {nameless[0]}", "no model", 'lm="PROVIDER/NAME"')
    judges = judge_models(task.metric, judge_lm or lm or "")
    if "" in judges:
        raise UserError("judge_lm", "nothing, and the metric's judge asks a model", 'judge_lm="PROVIDER/NAME"')
    return judges


def _examples(task: Task, split: str) -> tuple[Example, ...]:
    """The examples of a split.

    Raises:
        UserError: if there is no such split, or it is empty.
    """
    known = {str(name): examples for name, examples in task.splits.items()}
    if not isinstance(cast("object", split), str) or split not in known:
        raise UserError("split", shown(split), one_of(shown(split).strip("'"), known))
    if not known[split]:
        filled = " or ".join(name for name, examples in known.items() if examples)
        raise UserError(f"{task.name}: split {split}", "no examples", f"at least one, or another split: {filled}")
    return known[split]


evaluate = blocking(evaluate_async, "evaluate")
