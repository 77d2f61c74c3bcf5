"""One optimisation from beginning to end: set up, search, choose on validation, test once, write down."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AsyncExitStack, ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from flowbot.fields import DeniedError, InfrastructureError, Paused, UserError, stable_hash
from flowbot.lm.budget import Budget
from flowbot.lm.lm import LM
from flowbot.lm.pace import Pace
from flowbot.lm.session import Session
from flowbot.lm.stop import StopSignal
from flowbot.run.events import Split, Started
from flowbot.run.examples import record_examples
from flowbot.run.journal import Journal
from flowbot.run.lock import claimed
from flowbot.run.result import Judging, RunResult, Used
from flowbot.run.sessions import Sessions, Spent, spent_in_all
from flowbot.runtime.engine import Engine
from flowbot.runtime.executors import ExecutorName
from flowbot.runtime.judge import judge_facts, judge_models
from flowbot.runtime.program import WorkflowProgram
from flowbot.runtime.sandbox import SandboxName
from flowbot.runtime.toolbox import opened_task
from flowbot.runtime.tools import not_stored, require_stand_ins
from flowbot.runtime.workbench import Workbench, on_workbench
from flowbot.task import MetricError, Task, Tool
from flowbot.workflow.calls import asked_models
from flowbot.workflow.check import require_valid
from flowbot.workflow.starts import single_call

from .costs import estimate, sizes_of
from .course import carry_out
from .effort import Effort, planned_calls
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
from .method import Method, planned_by_purpose
from .methods import find_method
from .outlook import first_hold, outlook, require_room
from .progress import ProgressCallback, Watch
from .search import Search

SPLITS: tuple[Split, ...] = ("test", "val", "train")
"""In the order in which their examples are recorded."""


async def optimize_async(
    task: GivenTask,
    *,
    lm: str,
    meta_lm: str | None = None,
    judge_lm: str | None = None,
    models: Sequence[str] | None = None,
    start: GivenWorkflow | None = None,
    method: Method | str = "flowbot+blame",
    effort: Effort = "medium",
    seed: int = 0,
    budget: Budget | None = None,
    run_dir: Path | str | None = None,
    cache_dir: Path | str | None = None,
    pace: Pace | None = None,
    price: tuple[float, float] | None = None,
    fresh: bool = False,
    sandbox: SandboxName | None = None,
    executor: ExecutorName = "loop",
    allow_writes: bool = False,
    stop: StopSignal | None = None,
    progress: ProgressCallback | None = None,
    workbench: Workbench | None = None,
) -> RunResult:
    """Find a better workflow for `task`: `optimize` in plain code, `await optimize_async` in async code.

    The same arguments again resume, or replay, the same run: responses come from the store, and nothing is paid for twice.

        >>> result = fb.optimize(task, lm="openai/gpt-4.1-mini", budget=fb.Budget(usd=2), progress=print)
        >>> result.workflow.save("found.flow.yaml")

    Args:
        task: what to solve, or its file; needs training, validation and test examples.
        lm: model string of the task model, which runs the steps.
        meta_lm: model string of the meta model, which writes gradients and edits; the task model when None.
        judge_lm: model string of the judges of the task's metric that name no model; the meta model when None.
        models: model strings that steps of the start and judges of the task's file may name beside these.
        start: the workflow to improve: a workflow, a file, or a start's name; a single call that reasons when None.
        method: `OUTER[+INNER]`, or a method of your own; see `optimizer.methods.Method`.
        effort: planned search calls: low (200), medium (500), high (2000), or a whole number. It is no ceiling.
        seed: of every random choice of the search.
        budget: ceilings; they end the search but are no part of the run's identity.
        run_dir: where journal, results and report go; `runs/NAME-HASH` when None.
        cache_dir: folder of the store and of local models; the user's cache folder when None.
        pace: how fast each endpoint may be called.
        price: USD per million input and output tokens, where the model's price is not known.
        fresh: True: an existing run directory is moved aside and the journal begins anew (stored responses still serve).
        sandbox: where code runs, `monty` or `bubblewrap`; the first that can be had when None.
        executor: where metrics and tools that are plain functions run: `loop`, in this process, or `processes`.
        allow_writes: True: tools that write are called for real; without it they need a stand-in.
        stop: when set, the run pauses; calls in flight have 10 s to finish.
        progress: called with a `ProgressEvent` at every step and at all news; see `ProgressCallback`.
        workbench: what it shares with other runs, which then says `cache_dir`, `pace`, `sandbox` and `executor`; one of its own
            when None.

    Returns:
        the result; its `status` is `paused` with a reason when the same command should be run again.

    Raises:
        UserError: for anything wrong in what was given, before the first paid call.
        DeniedError: if a model refuses the key or knows no such name, and has answered nothing yet.
    """
    strategy = find_method(method)
    effort_calls = planned_calls(effort)
    task = given_task(task)
    require_models(needed=("lm",), lm=lm, meta_lm=meta_lm, judge_lm=judge_lm)
    require_settings(budget=budget, pace=pace, stop=stop, seed=seed, price=price, run_dir=run_dir, cache_dir=cache_dir)
    require_settings(executor=executor, sandbox=sandbox, workbench=workbench)
    watch = Watch(progress)
    begin = None if start is None else given_workflow(start, "start")
    own = users_models(begin, start, task, lm, meta_lm, judge_lm, models=models)
    _check_task(task)
    began = time.monotonic()
    async with AsyncExitStack() as stack:
        bench = await stack.enter_async_context(
            on_workbench(workbench, cache_dir=cache_dir, pace=pace, sandbox=sandbox, executor=executor)
        )
        opened_tools = opened_task(task, sandbox=bench.sandbox, cache_dir=bench.cache_dir, say=watch.news)
        task = await stack.enter_async_context(opened_tools)
        if allow_writes:
            task = replace(task, tools=[_as_simulated(tool) for tool in task.tools])
        tools = {tool.signature.name: tool for tool in task.tools}
        require_stand_ins(task.tools, allow_writes=allow_writes)
        for line in not_stored(task):
            watch.news(line)
        first = (
            single_call(task.inputs, task.outputs, task.goal, reasoning=True) if begin is None else fitted(begin, task)
        )
        require_valid(
            first,
            tools={name: tool.signature for name, tool in tools.items()},
            task_inputs=task.inputs,
            task_outputs=task.outputs,
        )
        planned = estimate(
            task, lm=lm, meta_lm=meta_lm, judge_lm=judge_lm, method=method, effort=effort, start=first, price=price
        )
        watch.planned = planned.calls
        sizes = sizes_of(task, first, effort)
        session = bench.session(budget, stop=stop, say=watch.news)
        opened = bench.opener(session, price=price, say=watch.news)
        watch.calls = lambda: sum(session.ledger.calls.values())
        watch.usd = lambda: session.ledger.spent.usd
        model = opened(lm)
        stack.push_async_callback(model.close)
        meta = opened(meta_lm or lm)
        stack.push_async_callback(meta.close)
        judge_names = judge_models(task.metric, judge_lm or meta_lm or lm)
        judges = [opened(name) for name in judge_names]
        for each in judges:
            stack.push_async_callback(each.close)
        asked = {"task": lm, "meta": meta_lm or lm, **({"judge": ", ".join(judge_names)} if judges else {})}
        identity = {
            "task": task.identity,
            "models": {"task": model.identity.dump(), "meta": meta.identity.dump()},
            "method": strategy.name,
            "seed": seed,
            "effort": effort_calls,
            "start": first.hash,
            **({"judges": [each.identity.dump() for each in judges]} if judges else {}),
            **({"sandbox": bench.sandbox.name} if bench.sandbox.name else {}),
            **({"allow_writes": True} if allow_writes else {}),
        }
        asking = (lm, judge_lm or meta_lm)
        require_room(outlook(session.budget, task, first, asking, price), task, planned)
        hold = stack.enter_context(first_hold(session.budget, task, first, asking, price))
        run_id = f"{task.name}-{stable_hash(identity)[:12]}"
        directory = Path(run_dir or Path("runs") / run_id)
        stack.enter_context(claimed(directory, run_id, fresh=fresh, named=run_dir is not None))
        engine = Engine(
            model,
            session,
            tools=tools,
            sandbox=bench.sandbox,
            executor=bench.executor,
            allow_writes=allow_writes,
            open_model=opened,
            models=own,
            judge_model=judge_lm or meta_lm,
        )
        stack.push_async_callback(engine.close)
        for _, named in asked_models(first):
            if named is not None:
                engine.model(named)  # a missing key or price is found now and not in mid-run
        fetched = _fetching((model, meta, *judges))  # by earlier runs on the workbench
        sessions = Sessions(directory, session.ledger, began)
        stack.callback(sessions.close)
        session.ledger.noted = sessions.note
        journal = Journal.open(directory / "journal.jsonl")
        stack.callback(journal.close)
        search = Search(
            task=task,
            start=WorkflowProgram(first),
            engine=engine,
            meta=meta,
            session=session,
            journal=journal,
            seed=seed,
            planned=sum(planned_by_purpose(strategy, sizes).values()),
            model=lm,
            price=price,
            watch=watch,
        )
        search.record(
            Started(
                run=run_id,
                task=task.name,
                goal=task.goal,
                method=strategy.name,
                seed=seed,
                effort=effort_calls,
                models=asked,
                start=first.hash,
                program=first.dump(),
            )
        )
        first.save(directory / "start.flow.yaml")
        blank = RunResult(
            run_id=run_id, run_dir=directory, status="paused", stopped_by="", method=strategy.name, effort=str(effort), seed=seed,
            task=task.name, task_hash=stable_hash(task.identity), metric=task.metric.identity, models=asked,
            found=None, start=first,
        )  # fmt: skip
        try:
            with ExitStack() as given_up:
                result = await carry_out(
                    search, strategy.loop(sizes), planned, blank, hold, (model, meta, *judges), given_up
                )
        except DeniedError:
            await engine.settle()
            sessions.end("failed", time.monotonic() - began)
            raise  # a pause would hold out that something goes on
        except (Paused, InfrastructureError, MetricError) as error:
            stopped_by = "metric" if isinstance(error, MetricError) else "infrastructure"
            stopped_by = error.stopped_by if isinstance(error, Paused) else stopped_by
            result = replace(blank, stopped_by=stopped_by, reason=str(error))
        await engine.settle()  # what is still under way is paid for too
        fetching = _fetching((model, meta, *judges)) - fetched
        worked = sessions.end(result.status, time.monotonic() - began - fetching)
        result = replace(
            result,
            **_costs(session),
            spent=spent_in_all(worked),
            seconds=sum(each.seconds for each in worked),
            sessions=worked,
            by_purpose=_ledger(session),
            judge=Judging(**judge_facts(asked["judge"], session.ledger, search.spreads())) if judges else None,
            replayed_events=journal.replayed,
        )
        record_examples(
            directory,
            ((split, search.order(split)) for split in SPLITS),
            search.row,
            journal.events(),
            first.hash,
            result.found.hash if result.found is not None else None,
        )
        result.save()
        watch.ended(result.reason or result.verdict)
        return result


def _as_simulated(tool: Tool) -> Tool:
    """A tool that writes as the search sees it where writing is allowed: one that it may call."""
    return replace(tool, signature=replace(tool.signature, simulated=True))


def _fetching(models: Sequence[LM]) -> float:
    """Seconds in which local models were fetched."""
    clients = {id(each.client): each.client for each in models}
    return sum(getattr(each, "fetch_seconds", 0.0) for each in clients.values())


def _costs(session: Session) -> dict[str, Any]:
    spent = session.ledger.spent
    return {
        "calls": dict(session.ledger.calls),
        "requests": dict(session.ledger.requests),
        "passed": session.budget.passed,
        "now": Spent(calls=spent.calls, tokens=spent.tokens, usd=spent.usd),
    }


def _ledger(session: Session) -> dict[str, Used]:
    """Cost by purpose: logical calls and tokens, and what was really paid."""
    return {
        purpose: Used(
            calls=session.ledger.calls[purpose],
            requests=session.ledger.requests[purpose],
            tokens=usage.tokens,
            usd=None if usage.usd is None else round(usage.usd, 12),  # a sum, in whatever order calls ended
            seconds=round(usage.seconds, 2),
        )
        for purpose, usage in session.ledger.logical_by.items()
    }


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
