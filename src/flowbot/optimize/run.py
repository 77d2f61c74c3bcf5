"""One optimisation from beginning to end: set up, search, choose on validation, test once, write down."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowbot.fields import BudgetExceeded, InfrastructureError, Paused, Usage, UserError, stable_hash
from flowbot.lm import Budget, Session, StopSignal, open_lm, price_of
from flowbot.lm.budget import Hold
from flowbot.runtime import DEFAULT_MAX_TOKENS, Engine
from flowbot.store import Journal, Store, default_cache_dir, read_journal, run_lock
from flowbot.task import MetricError, Task
from flowbot.workflow import LLMNode, LLMParameters, Workflow, require_valid, save, single_call

from .acceptance import Estimate, paired_difference
from .bilevel import Schedule, bilevel
from .effort import EFFORTS, EffortName
from .methods import Method
from .result import RunResult, Scores
from .search import Member, ProgressEvent, Search, Split

if TYPE_CHECKING:
    from flowbot.runtime import Row

SHOWN_TRACES = 8
MOST_STEPS = 2
"""Calls an example of the workflow that the closing test has room for under a ceiling."""
PROMPT_BYTES = 2000


async def optimize_async(
    task: Task,
    *,
    lm: str,
    meta_lm: str | None = None,
    start: Workflow | None = None,
    method: str = "flowbot+blame",
    effort: EffortName = "medium",
    seed: int = 0,
    budget: Budget | None = None,
    run_dir: Path | None = None,
    cache_dir: Path | None = None,
    concurrency: int | None = None,
    price: tuple[float, float] | None = None,
    fresh: bool = False,
    stop: StopSignal | None = None,
    progress: Callable[[ProgressEvent], None] | None = None,
    say: Callable[[str], None] | None = None,
) -> RunResult:
    """Find a better workflow for `task`.

    The same arguments again resume, or replay, the same run: responses come from the store, and nothing is paid for twice.

    Args:
        task: what to solve; needs training, validation and test examples.
        lm: model string of the task model, which runs the steps.
        meta_lm: model string of the meta model, which writes gradients and edits; the task model when None.
        start: the workflow to improve; a single call with a reasoning field when None.
        method: `OUTER[+INNER]`.
        effort: how much is tried.
        seed: of every random choice of the search.
        budget: ceilings; they end the search but are no part of the run's identity.
        run_dir: where journal, results and report go; `runs/NAME-HASH` when None.
        cache_dir: folder of the store and of local models; the user's cache folder when None.
        concurrency: calls in flight at most; the endpoint's default when None.
        price: USD per million input and output tokens, where the model's price is not known.
        fresh: True: an existing run directory is moved aside and the journal begins anew (stored responses still serve).
        stop: when set, the run pauses after the calls in flight.
        progress: called with every step.
        say: called with one-line news, as of models that are being fetched.

    Returns:
        the result; its `status` is `paused` with a reason when the same command should be run again.

    Raises:
        UserError: for anything wrong in what was given, before the first paid call.
    """
    strategy = Method.parse(method)
    if effort not in EFFORTS:
        raise UserError("effort", repr(effort), f"one of {', '.join(EFFORTS)}")
    first = start or single_call(task.inputs, task.outputs, task.goal, reasoning=True)
    tools = {tool.signature.name: tool for tool in task.tools}
    require_valid(
        first,
        tools={name: tool.signature for name, tool in tools.items()},
        task_inputs=task.inputs,
        task_outputs=task.outputs,
    )
    _check_task(task)
    cache = cache_dir or default_cache_dir()
    began = time.monotonic()
    async with AsyncExitStack() as stack:
        store = Store.open(cache / "store.sqlite")
        stack.push_async_callback(store.close)
        session = Session(
            store=store, budget=budget or Budget(), stop=stop or StopSignal(), max_concurrency=concurrency
        )
        model = open_lm(lm, session, cache_dir=cache, price=price, concurrency=concurrency, say=say)
        stack.push_async_callback(model.close)
        meta = open_lm(meta_lm or lm, session, cache_dir=cache, price=price, concurrency=concurrency, say=say)
        stack.push_async_callback(meta.close)
        identity = {
            "task": task.identity,
            "models": {"task": model.identity.dump(), "meta": meta.identity.dump()},
            "method": str(strategy),
            "seed": seed,
            "effort": effort,
            "start": first.hash,
        }
        hold = _closing_test(session, task, first, lm, price)
        run_id = f"{task.name}-{stable_hash(identity)[:12]}"
        directory = run_dir or Path("runs") / run_id
        _make(directory, run_id, fresh=fresh)
        stack.enter_context(run_lock(directory))
        engine = Engine(
            model,
            session,
            tools=tools,
            open_model=lambda name: open_lm(
                name, session, cache_dir=cache, price=price, concurrency=concurrency, say=say
            ),
        )
        stack.push_async_callback(engine.close)
        for parameters in first.parameters.values():
            if isinstance(parameters, LLMParameters) and parameters.model is not None:
                engine.model(parameters.model)  # a missing key or price is found now and not in mid-run
        journal = Journal.open(directory / "journal.jsonl")
        stack.callback(journal.close)
        search = Search(
            task=task,
            engine=engine,
            meta=meta,
            session=session,
            journal=journal,
            seed=seed,
            effort=EFFORTS[effort],
            progress=progress or (lambda _: None),
            price=price,
            model=lm,
        )
        journal.record(
            {
                "event": "start",
                "run": run_id,
                "task": task.name,
                "goal": task.goal,
                "method": str(strategy),
                "seed": seed,
                "effort": effort,
                "models": {"task": lm, "meta": meta_lm or lm},
                "workflow": first.dump(),
                "hash": first.hash,
            }
        )
        save(first, directory / "start.flow.yaml")
        blank = RunResult(
            run_id=run_id, run_dir=directory, status="paused", stopped_by="", method=str(strategy), effort=effort, seed=seed,
            workflow=first, start=first, start_scores=Scores(), final_scores=Scores(), difference=Scores(), calls={},
            spent={}, seconds=0.0, details={"task": task.name, "models": {"task": lm, "meta": meta_lm or lm}},
        )  # fmt: skip
        try:
            result = await _search(search, strategy, first, blank, hold)
        except (Paused, InfrastructureError, MetricError) as error:
            stopped_by = "metric" if isinstance(error, MetricError) else "infrastructure"
            stopped_by = error.stopped_by if isinstance(error, Paused) else stopped_by
            result = replace(blank, stopped_by=stopped_by, reason=str(error))
        fetching = sum(
            getattr(each.client, "fetch_seconds", 0.0) for each in {id(x.client): x for x in (model, meta)}.values()
        )
        result = replace(result, **_costs(session), seconds=time.monotonic() - began - fetching)
        result = replace(
            result, details={**result.details, "replayed_events": journal.replayed, "by_purpose": _ledger(session)}
        )
        _write(directory / "result.json", result.to_json())
        return result


async def _search(search: Search, method: Method, start: Workflow, blank: RunResult, hold: Hold) -> RunResult:
    """Search, choose on validation, test once. Room for validation and test is set aside first."""
    val = search.order("val")
    stopped_by = "finished"
    schedule = method.schedule(search.order("train"), search.effort)
    start_val = 0.0
    with hold:
        room = _validation_room(search, schedule)
        try:
            search.phase = "start"
            start_val = (await search.score_split(start, "val", "start", val)).mean
            search.phase = "search"
            await bilevel(search, start, method.build_outer(), method.build_inner(), schedule)
        except BudgetExceeded:
            await search.session.drain()
            stopped_by = "budget"
        if room is not None:
            room.release()
        best, best_val = Member(start, 0.0, "start", "start"), start_val
        search.phase = "validation"
        for member in finalists(search.pool, start, None if schedule.validate else search.effort.finalists):
            if search.session.budget.limited and _model_calls(member.workflow) > MOST_STEPS:
                continue  # its closing test might pass a ceiling
            try:
                mean = (await search.score_split(member.workflow, "val", "finalist", val)).mean
            except BudgetExceeded:
                stopped_by = "budget"
                continue
            if mean > best_val:
                best, best_val = member, mean
    search.phase = "test"
    return await _close(search, start, best, stopped_by, blank)


def _validation_room(search: Search, schedule: Schedule) -> Hold | None:
    """Room to validate as many finalists as fit; None where there are no ceilings, or no room for one."""
    budget = search.session.budget
    if not budget.limited:
        return None
    for number in range(1 if schedule.validate else search.effort.finalists, 0, -1):
        try:
            return budget.hold(**_room(search, "val", number * MOST_STEPS))
        except BudgetExceeded:
            continue
    return None


def _room(search: Search, split: Split, steps: int) -> dict[str, Any]:
    return room_for(search.task, split, steps, search.model, search.price, search.session.budget)


def room_for(
    task: Task, split: Split, steps: int, lm: str, price: tuple[float, float] | None, budget: Budget
) -> dict[str, Any]:
    """What running `steps` model calls on every example of a split takes: arguments of `Budget.hold`."""
    examples = task.splits[split]
    calls = len(examples) * steps
    longest = max(len(json.dumps(dict(example.inputs), ensure_ascii=False).encode()) for example in examples)
    written = calls * DEFAULT_MAX_TOKENS
    read = calls * (longest + PROMPT_BYTES)
    usd = 0.0 if budget.usd is None else price_of(lm, Usage(calls, read, written), price) or 0.0
    return {"calls": calls, "tokens": read + written, "usd": usd}


def _closing_test(session: Session, task: Task, start: Workflow, lm: str, price: tuple[float, float] | None) -> Hold:
    """Room for the closing test: the start, and a workflow of at most `MOST_STEPS` calls, on every test example.

    Raises:
        UserError: if the ceilings leave no room for it.
    """
    room = room_for(task, "test", _model_calls(start) + MOST_STEPS, lm, price, session.budget)
    try:
        return session.budget.hold(**room)
    except BudgetExceeded as error:
        raise UserError(
            f"the ceiling of {error.ceiling}",
            str(error),
            f"room for the closing test: {room['calls']} calls, about {room['tokens']} tokens",
        ) from error


def finalists(pool: list[Member], start: Workflow, most: int | None) -> list[Member]:
    """The workflows of the pool to validate: the best on training first, each once, the start left out; None: all."""
    seen = {start.hash}
    unique: list[Member] = []
    for member in sorted(pool, key=lambda each: -each.train) if most is not None else pool:
        if member.workflow.hash not in seen:
            seen.add(member.workflow.hash)
            unique.append(member)
    return unique if most is None else unique[:most]


async def _close(search: Search, start: Workflow, best: Member, stopped_by: str, blank: RunResult) -> RunResult:
    """The closing comparison: start and final on all of validation and, once, on test."""
    scores: dict[str, dict[str, Estimate | None]] = {"start": {}, "final": {}}
    splits: tuple[Split, ...] = ("test", "val")  # the test first: room was kept for it
    for split in splits:
        for what, workflow in (("start", start), ("final", best.workflow)):
            try:
                scores[what][split] = await search.score_split(workflow, split, what, search.order(split))
            except BudgetExceeded:
                await search.session.drain()
                scores[what][split], stopped_by = None, "budget"
    difference = Scores(
        **{
            split: await _difference(search, start, best.workflow, split)
            for split in splits
            if scores["start"][split] and scores["final"][split]
        }
    )
    changed = best.workflow.hash != start.hash
    search.journal.record(
        {
            "event": "result",
            "workflow": best.workflow.hash,
            "title": best.title,
            "source": best.source,
            "difference": difference.dump(),
        }
    )
    save(best.workflow, blank.run_dir / "found.flow.yaml")
    shown = search.order("test")[:SHOWN_TRACES]
    traces = {
        what: [_trace(row) for row in await search.score(workflow, shown, "test")] if scores[what]["test"] else []
        for what, workflow in (("start", start), ("final", best.workflow))
    }
    _write(blank.run_dir / "traces.json", traces)
    return replace(
        blank,
        status="done",
        stopped_by=stopped_by,
        workflow=best.workflow,
        start_scores=Scores(**scores["start"]),
        final_scores=Scores(**scores["final"]),
        difference=difference,
        details={
            **blank.details,
            "kept_from": _sources(search.journal.events(), best.workflow.hash) if changed else ["start"],
            "kept": best.title,
            "dropped": sorted(search.dropped),
            "curve": _curve(search.journal.events(), best.workflow.hash),
        },
    )


async def _difference(search: Search, start: Workflow, final: Workflow, split: Split) -> Estimate:
    examples = search.order(split)
    before = {row.example.id: row.score.value for row in await search.score(start, examples, split)}
    after = {row.example.id: row.score.value for row in await search.score(final, examples, split)}
    both = [each.id for each in examples if each.id in before and each.id in after]
    return paired_difference([after[each] for each in both], [before[each] for each in both])


def _sources(events: list[dict[str, Any]], final: str) -> list[str]:
    """Where the kept changes came from, from the start to the final workflow: a line `source: title` each."""
    proposals: dict[str, dict[str, Any]] = {}
    for event in events:
        if event["event"] == "proposal" and event["workflow"]:
            proposals.setdefault(event["workflow"], event)
    lines: list[str] = []
    seen: set[str] = set()
    current = final
    while current in proposals and current not in seen:
        seen.add(current)
        lines.append(f"{proposals[current]['source']}: {proposals[current]['title']}")
        current = proposals[current]["parent"]
    return lines[::-1]


def _curve(events: list[dict[str, Any]], final: str) -> list[dict[str, Any]]:
    """Validation scores in the order in which they were paid for."""
    points: dict[str, dict[str, Any]] = {}
    for event in events:
        if event["event"] == "evaluated" and event["split"] == "val":
            kept = event["workflow"] == final
            point = {key: event[key] for key in ("calls", "workflow", "mean", "low", "high")}
            points.setdefault(event["workflow"], {**point, "kept": kept, "what": event["what"]})
    return list(points.values())


def _model_calls(workflow: Workflow) -> int:
    return sum(isinstance(node, LLMNode) for node in workflow.sketch.nodes.values())


def _trace(row: Row) -> dict[str, Any]:
    return {
        "example": row.example.id,
        "expected": dict(row.example.expected),
        "score": row.score.value,
        "feedback": row.score.feedback,
        "trace": row.trace.dump(),
    }


def _costs(session: Session) -> dict[str, Any]:
    spent = session.ledger.spent
    return {
        "calls": dict(session.ledger.calls),
        "spent": {"calls": spent.calls, "tokens": spent.tokens, "usd": spent.usd},
    }


def _ledger(session: Session) -> dict[str, Any]:
    """Cost by purpose: logical calls and tokens, and what was really paid."""
    return {
        purpose: {
            "calls": session.ledger.calls[purpose],
            "tokens": usage.tokens,
            "usd": usage.usd,
            "seconds": round(usage.seconds, 2),
        }
        for purpose, usage in session.ledger.logical_by.items()
    }


def _check_task(task: Task) -> None:
    """What must be right before anything is paid for: examples in every split, and a metric that takes its own gold."""
    for split in ("train", "val", "test"):
        if not task.splits.get(split):
            raise UserError(
                f"{task.name}: split {split}", "no examples", "at least one; optimising needs train, val and test"
            )
        example = task.splits[split][0]
        try:
            task.metric(example, example.expected)
        except MetricError as error:
            raise UserError(
                f"metric {task.metric.name}", f"an error on the expected outputs of {example.id} ({error})", "a score"
            ) from error


def _make(directory: Path, run_id: str, *, fresh: bool) -> None:
    """The run's directory; an old one is moved aside when the run starts anew.

    Raises:
        UserError: if another run stands there, a process works in it, or it cannot be written.
    """
    try:
        if fresh and directory.exists():
            with run_lock(directory):
                number = next(n for n in range(1, 10_000) if not directory.with_name(f"{directory.name}.{n}").exists())
                directory.rename(directory.with_name(f"{directory.name}.{number}"))
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"run directory {directory}", str(error.strerror), "a folder that can be written") from error
    journal = directory / "journal.jsonl"
    before = read_journal(journal)[:1] if journal.exists() else []
    if before and before[0].get("run") != run_id:
        raise UserError(
            f"run directory {directory}", f"another run ({before[0].get('run')})", f"that of {run_id}, or --fresh"
        )


def _write(path: Path, value: Mapping[str, Any]) -> None:
    """Write JSON so that a kill leaves the old file or the new one."""
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(value, ensure_ascii=False, indent=1), encoding="utf-8")
    temporary.replace(path)
