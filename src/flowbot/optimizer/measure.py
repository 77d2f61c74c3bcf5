"""How good a workflow is on a split of a task: `evaluate`, from Python and from the command line."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, cast

from flowbot.fields import UserError
from flowbot.fields.near import one_of
from flowbot.fields.numbers import shown
from flowbot.lm.budget import Budget
from flowbot.lm.pace import Pace
from flowbot.lm.stop import StopSignal
from flowbot.run.eval_result import EvalResult, EvalRow
from flowbot.run.events import Split
from flowbot.runtime.evaluation import Row, evaluate_each
from flowbot.runtime.executors import ExecutorName
from flowbot.runtime.flow import Flow
from flowbot.runtime.judge import judge_facts, judge_models, require_verdicts
from flowbot.runtime.sandbox import SandboxName
from flowbot.runtime.toolbox import opened_task
from flowbot.runtime.tools import require_stand_ins
from flowbot.runtime.workbench import Workbench, on_workbench
from flowbot.stats import estimate_mean
from flowbot.workflow.calls import asked_models, most_calls
from flowbot.workflow.check import require_valid

from .given import (
    GivenTask,
    GivenWorkflow,
    fitted,
    given_task,
    given_workflow,
    require_models,
    require_settings,
    users_models,
)
from .progress import ProgressCallback, Watch

if TYPE_CHECKING:
    from flowbot.task import Example, Task
    from flowbot.workflow.workflow import Workflow


async def evaluate_async(
    workflow: GivenWorkflow,
    task: GivenTask,
    *,
    split: Split = "val",
    lm: str | None = None,
    judge_lm: str | None = None,
    models: Sequence[str] | None = None,
    budget: Budget | None = None,
    cache_dir: Path | str | None = None,
    pace: Pace | None = None,
    price: tuple[float, float] | None = None,
    sandbox: SandboxName | None = None,
    executor: ExecutorName = "loop",
    allow_writes: bool = False,
    traces: bool = True,
    stop: StopSignal | None = None,
    progress: ProgressCallback | None = None,
    workbench: Workbench | None = None,
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
        judge_lm: model string of the judges of the task's metric that name no model; `lm` when None.
        models: model strings that steps and judges of files may name beside these.
        budget: ceilings.
        cache_dir: folder of the store and of local models; the user's cache folder when None.
        pace: how fast each endpoint may be called.
        price: USD per million input and output tokens, where the model's price is not known.
        sandbox: where code runs; the first that can be had when None.
        executor: where metrics and tools that are plain functions run: `loop`, in this process, or `processes`.
        allow_writes: True: tools that write are called for real; without it they need a stand-in.
        traces: False: what each step received and gave is not kept, for splits that are larger than memory.
        stop: when set, no new call is sent, those in flight have 10 s to finish, and `Paused` is raised.
        progress: called with a `ProgressEvent` at every example and at all news.
        workbench: what it shares with other runs, which then says `cache_dir`, `pace`, `sandbox` and `executor`; one of its own
            when None.

    Raises:
        UserError: for anything wrong in what was given, before the first paid call.
        Paused: if the infrastructure failed, somebody stopped it, or the time is up; the same call goes on from there.
        DeniedError: if a model refuses the key or knows no such name, and has answered nothing yet.
        BudgetExceeded: if a ceiling would be passed.
        MetricError: if the metric raised; it names the example.
    """
    began = time.monotonic()
    task = given_task(task)
    require_models(lm=lm, judge_lm=judge_lm)
    require_settings(budget=budget, pace=pace, stop=stop, price=price, cache_dir=cache_dir)
    require_settings(executor=executor, sandbox=sandbox, workbench=workbench)
    examples = _examples(task, split)
    given = given_workflow(workflow, "workflow")
    named = lm or (workflow.lm if isinstance(workflow, Flow) else None)
    own = users_models(given, workflow, task, named, judge_lm, models=models)
    watch = Watch(progress)
    watch.plan = {"evaluation": 1.0}
    watch.enter("evaluation", len(examples))
    async with AsyncExitStack() as stack:
        bench = await stack.enter_async_context(
            on_workbench(workbench, cache_dir=cache_dir, pace=pace, sandbox=sandbox, executor=executor)
        )
        opened = opened_task(task, sandbox=bench.sandbox, cache_dir=bench.cache_dir, say=watch.news)
        task = await stack.enter_async_context(opened)
        scored = fitted(given, task)
        judges = _judges(task, scored, named, judge_lm)
        tools = {tool.signature.name: tool for tool in task.tools}
        require_valid(
            scored,
            where=str(workflow) if isinstance(workflow, str | Path) else "workflow",
            tools={name: tool.signature for name, tool in tools.items()},
            task_inputs=task.inputs,
            task_outputs=task.outputs,
            allow_writes=allow_writes,
        )
        require_stand_ins(task.tools, allow_writes=allow_writes)
        watch.planned = len(examples) * (
            most_calls(scored) + sum(judge.repeats for judge in task.metric.judges.values())
        )
        engine = await stack.enter_async_context(
            bench.engine(
                named,
                bench.session(budget, stop=stop, say=watch.news),
                tools=tools,
                price=price,
                say=watch.news,
                allow_writes=allow_writes,
                models=own,
                judge_model=judge_lm,
            )
        )
        ledger = engine.session.ledger
        watch.calls = lambda: sum(ledger.calls.values())
        watch.usd = lambda: ledger.spent.usd
        for other in dict.fromkeys([*(name for _, name in asked_models(scored) if name), *judges]):
            engine.model(other)  # a missing key or price is found now and not in mid-run
        rows: list[EvalRow | None] = [None] * len(examples)

        def take(number: int, row: Row | None) -> None:
            if row is not None:
                rows[number] = EvalRow.of(row, traced=traces)

        def told(done: int, total: int) -> None:
            watch.step(f"on {total} {split} examples", done, total)

        await evaluate_each(engine, scored, task, examples, purpose=split, take=take, progress=told)
        await engine.settle()  # second tries of stragglers are paid for too
    kept = tuple(row for row in rows if row is not None)
    require_verdicts(task.metric, examples, len(kept))
    spreads = [row.score.spread for row in kept if row.score.spread is not None]
    result = EvalResult(
        workflow=scored,
        task=task.name,
        split=split,
        lm=named,
        estimate=estimate_mean([row.score.value for row in kept]),
        rows=kept,
        dropped=tuple(example.id for example, row in zip(examples, rows, strict=True) if row is None),
        calls=sum(ledger.calls.values()),
        usage=ledger.logical,
        spent=ledger.spent,
        seconds=time.monotonic() - began,
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
