"""How good a workflow is on a split of a task: `evaluate`, from Python and from the command line."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Unpack, cast

from flowbot.fields import UserError
from flowbot.fields.near import one_of
from flowbot.fields.numbers import shown
from flowbot.fields.words import count
from flowbot.lm.callable_model import ModelLike, model_string
from flowbot.run.eval_result import EvalResult, EvalRow
from flowbot.run.events import Split
from flowbot.runtime.blocking import blocking
from flowbot.runtime.evaluation import Row, evaluate_each
from flowbot.runtime.flow import Flow
from flowbot.runtime.judge import judge_facts, judge_models, require_verdicts
from flowbot.runtime.settings import arguments_of, with_settings
from flowbot.stats import estimate_mean
from flowbot.task import Example, Task
from flowbot.workflow.calls import asked_models, most_calls
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
from .prepare import Prepared, prepared
from .program_start import with_program
from .progress import Watch


@dataclass(frozen=True, slots=True)
class EvaluationPlan:
    """An evaluation that is ready to begin. No model is opened yet, nothing stored or paid for.

    Args:
        ready: its task, workflow and what they are run on.
        split: which examples.
        lm, judge_lm: model strings.
        judges: model strings of the metric's judges, each once.
        traces: whether what each step received and gave is kept.
    """

    ready: Prepared
    split: Split
    lm: str | None
    judge_lm: str | None
    judges: Sequence[str]
    traces: bool

    @property
    def examples(self) -> tuple[Example, ...]:
        """What is run."""
        return self.ready.task.splits[self.split]

    @property
    def judge_calls(self) -> int:
        """Model calls of judges."""
        return len(self.examples) * self.ready.task.metric.judge_calls

    @property
    def calls(self) -> int:
        """Model calls at most, judging included, besides those that ask again."""
        return len(self.examples) * most_calls(self.ready.workflow) + self.judge_calls

    async def run(self) -> EvalResult:
        """Run and score; see `evaluate_async`."""
        ready, examples, watch = self.ready, self.examples, self.ready.watch
        watch.planned = self.calls
        rows: list[EvalRow | None] = [None] * len(examples)

        def take(number: int, row: Row | None) -> None:
            if row is not None:
                rows[number] = EvalRow.of(row, traced=self.traces)

        def step(done: int, total: int) -> None:
            watch.step(f"on {count(total, f'{self.split} example')}", done, total)

        async with ready.engine(self.lm, self.judge_lm) as engine:
            await evaluate_each(
                engine, ready.workflow, ready.task, examples, purpose=self.split, take=take, progress=step
            )
            await engine.settle()  # second tries of stragglers are paid for too
        ledger = engine.session.ledger
        kept = tuple(row for row in rows if row is not None)
        require_verdicts(ready.task.metric, examples, len(kept))
        spreads = [row.score.spread for row in kept if row.score.spread is not None]
        result = EvalResult(
            workflow=ready.workflow,
            task=ready.task.name,
            split=self.split,
            lm=self.lm,
            estimate=estimate_mean([row.score.value for row in kept]),
            rows=kept,
            dropped=tuple(example.id for example, row in zip(examples, rows, strict=True) if row is None),
            calls=sum(ledger.calls.values()),
            usage=ledger.logical,
            spent=ledger.spent,
            seconds=time.monotonic() - ready.began,
            requests=sum(ledger.requests.values()),
            passed=engine.session.budget.passed,
            judge=judge_facts(", ".join(self.judges), ledger, spreads) if self.judges else None,
            by_model=dict(sorted(ledger.logical_by_model.items())),
        )
        watch.ended(str(result))
        return result


@asynccontextmanager
@with_settings(*SETTINGS, defaults=RUN_DEFAULTS)
async def evaluation(
    workflow: WorkflowLike,
    task: TaskLike,
    *,
    split: Split = "val",
    lm: ModelLike | None = None,
    traces: bool = True,
    **settings: Unpack[RunSettings],
) -> AsyncGenerator[EvaluationPlan]:
    """An evaluation that is ready to begin, while inside; arguments and errors as of `evaluate_async`."""
    task = as_task(task)
    require_run("evaluate", settings, {"lm": lm}, traces=traces)
    _require_examples(task, split)
    if (made := with_program(workflow, task, "workflow")) is not None:
        task, workflow = made
    begin = as_workflow(workflow, "workflow")
    lm = model_string(lm or (workflow.lm if isinstance(workflow, Flow) else None), "lm")
    settings["judge_lm"] = judge_lm = model_string(settings.get("judge_lm"), "judge_lm")
    models = users_models(begin, workflow, task, lm, judge_lm, models=settings.get("models"))
    watch = Watch(settings.get("progress"))
    watch.plan = {"evaluation": 1.0}
    watch.enter("evaluation", len(task.splits[split]))
    async with prepared(task, begin, named(workflow), models, settings, watch, search=False) as ready:
        yield EvaluationPlan(ready, split, lm, judge_lm, _judges(ready.task, ready.workflow, lm, judge_lm), traces)


@with_settings(*SETTINGS)
@arguments_of(evaluation)
async def evaluate_async(*args: Any, **kwargs: Any) -> EvalResult:
    """Score `workflow` on a split of `task`: `evaluate` in plain code, `await evaluate_async` in async code.

    Responses are stored, so the same evaluation again costs nothing and gives the same result.

        >>> found = fb.evaluate("found.flow.yaml", task, split="val", lm="openai/gpt-4.1-mini")
        >>> found.mean, found.low, found.high
        (0.82, 0.68, 0.91)
        >>> found.failures[0].feedback
        'total: found 7, expected 9'

    Args:
        workflow: what to score: a workflow, a flow (its model serves where `lm` is not given), a file, a start's name, a run that found
            one, or a program: a callable of your own, or `app.py:answer`.
        task: for its examples, metric and tools; a task or its file.
        split: which examples. The test is for once, at the end.
        lm: model string of the steps that name no model, and of a program's calls; without it a program's own clients call what they
            name. Or a function of your own from messages to a text, see `CallableModel`.
        traces: False: what each step received and gave is not kept, for splits that are larger than memory.

    Raises:
        UserError: for anything wrong in what was given, before the first paid call.
        Paused: if the infrastructure failed, somebody stopped it, or the time is up; the same call goes on from there.
        DeniedError: if a model refuses the key or knows no such name, and has answered nothing yet.
        BudgetExceeded: if a ceiling would be passed.
        MetricError: if the metric raised; it names the example.
    """
    async with evaluation(*args, **kwargs) as plan:
        return await plan.run()


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


def _require_examples(task: Task, split: str) -> None:
    """Refuse a split without examples.

    Raises:
        UserError: if there is no such split, or it is empty.
    """
    known = {str(name): examples for name, examples in task.splits.items()}
    if not isinstance(cast("object", split), str) or split not in known:
        raise UserError("split", shown(split), one_of(shown(split).strip("'"), known))
    if not known[split]:
        filled = " or ".join(name for name, examples in known.items() if examples)
        raise UserError(f"{task.name}: split {split}", "no examples", f"at least one, or another split: {filled}")


evaluate = blocking(evaluate_async, "evaluate")
