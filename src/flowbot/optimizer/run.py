"""One optimisation from beginning to end: set up, search, choose on validation, test once, write down."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Unpack, cast

from flowbot.fields import DeniedError, InfrastructureError, Paused, UserError, stable_hash
from flowbot.fields.arguments import MODEL
from flowbot.fields.numbers import shown
from flowbot.lm.lm import LM
from flowbot.lm.prices import price_text
from flowbot.lm.session import Session
from flowbot.run.events import Split, Started
from flowbot.run.examples import record_examples
from flowbot.run.journal import Journal
from flowbot.run.lock import claimed
from flowbot.run.result import CostEstimate, Judging, RunResult, Used
from flowbot.run.sessions import Sessions, Spent, spent_in_all
from flowbot.runtime.allowed_models import allowed_models
from flowbot.runtime.blocking import blocking
from flowbot.runtime.engine import Engine
from flowbot.runtime.judge import judge_facts, judge_models
from flowbot.runtime.program import WorkflowProgram
from flowbot.runtime.settings import arguments_of, with_settings
from flowbot.runtime.tools import not_stored
from flowbot.task import MetricError, Task
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
from .ceilings import CeilingOutlook, ceiling_outlooks, first_hold, require_room
from .course import carry_out
from .demands import frozen, require_fits
from .effort import Effort, planned_calls
from .estimate import estimate, sizes_of, typical_usage
from .method import Method, Sizes, follows_ability, gives_models, planned_by_purpose
from .methods import find_method, ordered
from .objective import Limits, Objective
from .prepare import Prepared, prepared
from .progress import Watch
from .seams import AskedMode, FeedbackMode, Order
from .search import Search
from .step_models import StepModels, choices, step_models
from .taking_up import Earlier

SPLITS: tuple[Split, ...] = ("test", "val", "train")
"""In the order in which their examples are recorded."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A search that is ready to begin, and what it would take. No model is opened yet, nothing stored or paid for.

    Args:
        ready: its task, start and what they are run on.
        method: how it is searched.
        lm, meta_lm, judge_lm: model strings.
        choices: those that a step may be given; see `step_models.choices`.
        effort: planned search calls, as they were given.
        seed: of every random choice.
        meta_mode: how the meta model is asked; `auto`: as it is able.
        feedback: what it is told of mistakes.
        order: of changes of structure and parameters.
        objective: what is better.
        limits: what no program may pass.
        run_dir: where journal, results and report go; `runs/NAME-HASH` when None.
        fresh: whether an existing run directory is moved aside.
        sizes: what the search works on.
        estimate: what it takes at most, roughly.
        ceilings: what each of the ceilings that there are allows.
        earlier: the run that it takes up.
    """

    ready: Prepared
    method: Method
    lm: str
    meta_lm: str
    judge_lm: str
    choices: tuple[str, ...]
    effort: Effort
    seed: int
    meta_mode: AskedMode
    feedback: FeedbackMode
    order: Order
    objective: Objective
    limits: Limits
    run_dir: Path | str | None
    fresh: bool
    sizes: Sizes
    estimate: CostEstimate
    ceilings: Sequence[CeilingOutlook]
    earlier: Earlier | None = None

    @property
    def judges(self) -> list[str]:
        """Model strings of the metric's judges, each once."""
        return judge_models(self.ready.task.metric, self.judge_lm)

    def step_models(self, engine: Engine) -> StepModels:
        """The models that a step may be given, opened, with what a call of each counts as.

        Raises:
            UserError: for an unknown model, or a missing key or price.
        """
        return step_models(self.lm, self.choices, partial(typical_usage, self.ready.task), engine.model)

    @property
    def asked(self) -> dict[str, str]:
        """The model strings by what they are asked for; `other`: what a step may be given beside the task model."""
        lists = {"judge": self.judges, "other": [each for each in self.choices if each != self.lm]}
        return {
            "task": self.lm,
            "meta": self.meta_lm,
            **{role: ", ".join(names) for role, names in lists.items() if names},
        }

    def require_room(self) -> None:
        """Refuse a ceiling at which nothing sensible can be done.

        Raises:
            UserError: with the smallest ceiling that is taken.
        """
        require_room(self.ceilings, self.ready.task, self.estimate)

    def identity(self, engine: Engine) -> dict[str, Any]:
        """All that decides what the run proposes and chooses, as JSON data; ceilings do not.

        Args:
            engine: what the run works with; `ready.engine(lm, judge_lm)`.

        Raises:
            UserError: for an unknown model, or a missing key or price.
        """
        ready = self.ready
        judges = [engine.model(each).identity.dump() for each in self.judges]
        steps = [
            [engine.model(each).identity.dump(), weight] for each, weight in self.step_models(engine).weights.items()
        ]
        return {
            "task": ready.task.identity,
            "models": {
                role: engine.model(name).identity.dump() for role, name in (("task", self.lm), ("meta", self.meta_lm))
            },
            "method": self.method.name,
            "seed": self.seed,
            "effort": planned_calls(self.effort),
            "start": ready.workflow.hash,
            **({"meta_mode": self.meta_mode} if self.meta_mode != "auto" else {}),
            **({"feedback": self.feedback} if self.feedback != "real" else {}),
            **({"order": self.order} if self.order != "free" else {}),
            **({} if self.objective.usual else {"objective": self.objective.name, "price": price_text(ready.price)}),
            **self.limits.dump(),
            **({"judges": judges} if judges else {}),
            **({"step_models": steps} if steps else {}),
            **({"sandbox": ready.bench.sandbox.name} if ready.bench.sandbox.name else {}),
            **({"allow_writes": True} if ready.allow_writes else {}),
        }

    async def run(self) -> RunResult:
        """Search, choose and test; see `optimize_async`."""
        self.require_room()
        ready, task, start = self.ready, self.ready.task, self.ready.workflow
        watch, price, effort = ready.watch, ready.price, planned_calls(self.effort)
        watch.planned = self.estimate.calls
        async with AsyncExitStack() as stack:
            engine = await stack.enter_async_context(ready.engine(self.lm, self.judge_lm))
            session = engine.session
            roles = dict.fromkeys((self.lm, self.meta_lm, *self.judges, *self.choices))
            models = [engine.model(each) for each in roles]
            asked = self.asked
            identity = self.identity(engine)
            hold = stack.enter_context(first_hold(session.budget, task, start, (self.lm, self.judge_lm), price))
            run_id = f"{task.name}-{stable_hash(identity)[:12]}"
            directory = Path(self.run_dir or Path("runs") / run_id)
            stack.enter_context(claimed(directory, run_id, fresh=self.fresh, named=self.run_dir is not None))
            stack.push_async_callback(engine.close)  # what is under way ends while the directory is held
            fetched = _fetching(models)  # by earlier runs on the workbench
            sessions = Sessions(directory, session.ledger, ready.began)
            stack.callback(sessions.close)
            session.ledger.noted = sessions.note
            journal = Journal.open(directory / "journal.jsonl")
            stack.callback(journal.close)
            search = Search(
                task=task,
                start=WorkflowProgram(start),
                engine=engine,
                meta=engine.model(self.meta_lm),
                session=session,
                journal=journal,
                seed=self.seed,
                planned=sum(planned_by_purpose(self.method, self.sizes).values()),
                model=self.lm,
                price=price,
                watch=watch,
                meta_mode="small" if self.meta_mode == "auto" else self.meta_mode,
                measures=self.meta_mode == "auto" and follows_ability(self.method, self.sizes),
                feedback_mode=self.feedback,
                models=self.step_models(engine),
                objective=self.objective,
                limits=self.limits,
            )
            search.record(
                Started(
                    run=run_id,
                    task=task.name,
                    goal=task.goal,
                    method=self.method.name,
                    seed=self.seed,
                    effort=effort,
                    models=asked,
                    meta_mode=self.meta_mode,
                    feedback=self.feedback,
                    order=self.order,
                    objective=self.objective.name,
                    limits=self.limits.dump(),
                    price="" if self.objective.usual and not self.choices else price_text(price),
                    start=start.hash,
                    program=start.dump(),
                )
            )
            start.save(directory / "start.flow.yaml")
            blank = RunResult(
                run_id=run_id, run_dir=directory, status="paused", stopped_by="", method=self.method.name,
                effort=str(self.effort), seed=self.seed, task=task.name, task_hash=stable_hash(task.identity),
                metric=task.metric.identity, models=asked, found=None, start=start, feedback=self.feedback,
                objective=self.objective.name, limits=self.limits.dump(),
            )  # fmt: skip
            try:
                with ExitStack() as given_up:
                    loop = self.method.loop(self.sizes)
                    result = await carry_out(search, loop, self.estimate, blank, hold, models, given_up)
            except DeniedError:
                await engine.settle()
                sessions.end("failed", time.monotonic() - ready.began)
                raise  # a pause would hold out that something goes on
            except (Paused, InfrastructureError, MetricError) as error:
                stopped_by = "metric" if isinstance(error, MetricError) else "infrastructure"
                stopped_by = error.stopped_by if isinstance(error, Paused) else stopped_by
                result = replace(blank, stopped_by=stopped_by, reason=str(error))
            if self.earlier is not None:
                found = result.found and WorkflowProgram(result.found)
                tested = search.scores_of(search.start, found, "test") if found else {}
                result = replace(result, before=self.earlier.beside(task, tested, directory))
            await engine.settle()  # what is still under way is paid for too
            fetching = _fetching(models) - fetched
            worked = sessions.end(result.status, time.monotonic() - ready.began - fetching)
            result = replace(
                result,
                meta_mode=search.ability.mode if search.ability else self.meta_mode,
                **_costs(session),
                spent=spent_in_all(worked),
                seconds=sum(each.seconds for each in worked),
                sessions=worked,
                by_purpose=_ledger(session),
                by_model=_by_model(session),
                judge=Judging(**judge_facts(asked["judge"], session.ledger, search.spreads())) if self.judges else None,
                replayed_events=journal.replayed,
            )
            record_examples(
                directory,
                ((split, search.order(split)) for split in SPLITS),
                search.row,
                journal.events(),
                start.hash,
                result.found.hash if result.found is not None else None,
            )
            result.save()
            watch.ended(result.reason or result.verdict)
            return result


@asynccontextmanager
@with_settings(*SETTINGS, defaults=RUN_DEFAULTS)
async def planned(
    task: TaskLike,
    *,
    lm: str,
    meta_lm: str | None = None,
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
    run_dir: Path | str | None = None,
    fresh: bool = False,
    **settings: Unpack[RunSettings],
) -> AsyncGenerator[Plan]:
    """A search that is ready to begin, while inside; arguments and errors as of `optimize_async`."""
    found, sizes_effort = find_method(method), planned_calls(effort)
    aim, limits = Objective.parse(objective), Limits(max_calls_per_example, max_nodes, max_latency)
    task = as_task(task)
    if cast("object", lm) is None:
        raise UserError("lm", shown(lm), MODEL[1])
    require_run(
        "optimize", settings, {"lm": lm, "meta_lm": meta_lm}, seed=seed, meta_mode=meta_mode, feedback=feedback,
        order=order, run_dir=run_dir, fresh=fresh, freeze=freeze, **limits.dump(),
    )  # fmt: skip
    strategy = ordered(found, order)
    watch = Watch(settings.get("progress"))
    begin = None if start is None else as_workflow(start, "start")
    judge_lm = settings.get("judge_lm")
    earlier = Earlier.of(start) if isinstance(begin, Workflow) else None
    if earlier is not None and isinstance(begin, Workflow):
        own = allowed_models(lm, meta_lm, judge_lm, models=settings.get("models"), metric=task.metric)
        begin, earlier = earlier.begin(begin, task, own)
        for line in earlier.notes:
            watch.news(line)
    models = users_models(begin, start, task, lm, meta_lm, judge_lm, models=settings.get("models"))
    others = choices(lm, settings.get("models"), task.metric) if gives_models(strategy) else ()
    _check_task(task)
    async with prepared(task, begin, named(start), models, settings, watch, search=True) as ready:
        ready = replace(ready, workflow=frozen(ready.workflow, freeze))
        require_fits(ready, strategy, aim, limits, (lm, *others))
        for line in not_stored(ready.task):
            watch.news(line)
        sizes = sizes_of(ready.task, ready.workflow, sizes_effort)
        expected = estimate(
            ready.task, lm=lm, meta_lm=meta_lm, judge_lm=judge_lm, method=strategy, effort=effort, start=ready.workflow,
            price=ready.price, meta_mode=meta_mode, choices=others,
        )  # fmt: skip
        judged_by = judge_lm or meta_lm or lm
        ceilings = ceiling_outlooks(ready.budget, ready.task, ready.workflow, (lm, judged_by), ready.price)
        yield Plan(
            ready, strategy, lm, meta_lm or lm, judged_by, others, effort, seed, meta_mode, feedback, order, aim, limits,
            run_dir, fresh, sizes, expected, ceilings, earlier,
        )  # fmt: skip


@with_settings(*SETTINGS)
@arguments_of(planned)
async def optimize_async(*args: Any, **kwargs: Any) -> RunResult:
    """Find a better workflow for `task`: `optimize` in plain code, `await optimize_async` in async code.

    The same arguments again resume, or replay, the same run: responses come from the store, and nothing is paid for twice.

        >>> result = fb.optimize(task, lm="openai/gpt-4.1-mini", budget=fb.Budget(usd=2), progress=print)
        >>> result.workflow.save("found.flow.yaml")

    Args:
        task: what to solve, or its file; needs training, validation and test examples.
        lm: model string of the task model, which runs the steps.
        meta_lm: model string of the meta model, which writes gradients and edits; the task model when None.
        start: the workflow to improve: a workflow, a file, a start's name, or an earlier run, which the result is then compared with
            (`before`); a single call that reasons when None.
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
        run_dir: where journal, results and report go; `runs/NAME-HASH` when None.
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
            usd=_rounded(usage.usd),
            seconds=round(usage.seconds, 2),
        )
        for purpose, usage in session.ledger.logical_by.items()
    }


def _by_model(session: Session) -> dict[str, Spent]:
    """Logical calls, tokens and cost by model."""
    ledger = sorted(session.ledger.logical_by_model.items())
    return {model: Spent(calls=usage.calls, tokens=usage.tokens, usd=_rounded(usage.usd)) for model, usage in ledger}


def _rounded(usd: float | None) -> float | None:
    return None if usd is None else round(usd, 12)  # a sum, in whatever order calls ended


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
