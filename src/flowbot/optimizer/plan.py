"""A search that is ready to begin, and its run: search, choose on validation, test once, write down."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from flowbot.fields import DeniedError, InfrastructureError, Paused, stable_hash
from flowbot.lm.lm import LM
from flowbot.lm.prices import price_text
from flowbot.lm.session import Session
from flowbot.run.events import Split, Started
from flowbot.run.examples import record_examples
from flowbot.run.folders import FOLDER as RUNS
from flowbot.run.heartbeat import beating
from flowbot.run.journal import NAME as JOURNAL
from flowbot.run.journal import Journal
from flowbot.run.lock import claimed
from flowbot.run.responses import Responses
from flowbot.run.result import CostEstimate, Judging, RunResult, Used
from flowbot.run.sessions import Sessions, Spent, spent_in_all
from flowbot.runtime.engine import Engine
from flowbot.runtime.judge import judge_facts, judge_models
from flowbot.runtime.program import WorkflowProgram
from flowbot.task import MetricError

from .ceilings import CeilingOutlook, Cost, require_room
from .course import carry_out
from .effort import Effort, planned_calls
from .estimate import typical_usage
from .method import Method, Sizes, follows_ability, planned_by_purpose
from .objective import Limits, Objective
from .prepare import Prepared
from .seams import AskedMode, FeedbackMode, Order
from .search import Search
from .step_models import StepModels, step_models
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
        run_dir: where journal, results and report go; `runs/TASK-HASH` when None.
        placed: whether the user said where that is.
        fresh: whether an existing run directory is moved aside.
        sizes: what the search works on.
        estimate: what it takes at most, roughly.
        ceilings: what each of the ceilings that there are allows.
        least_test: what the smallest closing test takes.
        earlier: the run that it takes up.
        start: the start as it was given; "" for the call that a search begins with by itself.
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
    placed: bool
    fresh: bool
    sizes: Sizes
    estimate: CostEstimate
    ceilings: Sequence[CeilingOutlook]
    least_test: Cost
    earlier: Earlier | None = None
    start: str = ""

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
            **({} if ready.stand_in else {"own_models": True}),
        }

    async def run(self) -> RunResult:
        """Search, choose and test; see `optimize_async`."""
        self.require_room()
        ready, task, start = self.ready, self.ready.task, self.ready.workflow
        watch, price, effort = ready.watch, ready.price, planned_calls(self.effort)
        watch.planned = self.estimate.calls
        async with AsyncExitStack() as stack:
            keys: set[str] = set()
            engine = await stack.enter_async_context(ready.engine(self.lm, self.judge_lm, keys))
            session = engine.session
            roles = dict.fromkeys((self.lm, self.meta_lm, *self.judges, *self.choices))
            models = [engine.model(each) for each in roles]
            asked = self.asked
            identity = self.identity(engine)
            hold = stack.enter_context(self.least_test.hold(session.budget))
            run_id = f"{task.name}-{stable_hash(identity)[:12]}"
            directory = Path(self.run_dir or RUNS / run_id)
            stack.enter_context(claimed(directory, run_id, fresh=self.fresh, named=self.placed))
            stack.push_async_callback(engine.close)  # what is under way ends while the directory is held
            fetched = _fetching(models)  # by earlier runs on the workbench
            sessions = Sessions(directory, session.ledger, ready.began)
            stack.callback(sessions.close)
            journal = Journal.open(directory / JOURNAL)
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
            used = Responses(directory, keys, session.store.path)
            heard = partial(self._heard, session, search)
            paid = await stack.enter_async_context(beating(directory, heard, session.stop.set, used.note))

            def noted() -> None:
                sessions.note()
                paid()

            session.ledger.noted = noted
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

    def _heard(self, session: Session, search: Search) -> dict[str, Any]:
        """What `live.json` says of the run."""
        event, budget, ready = self.ready.watch.now, session.budget, self.ready
        of = {name: getattr(budget, name) for name in ("calls", "tokens", "usd", "seconds")}
        used = {**budget.used, "seconds": (budget.seconds or 0.0) - (budget.seconds_left or 0.0)}
        facts = {
            name: getattr(event, name)
            for name in ("phase", "text", "done", "total", "calls", "planned", "share", "best", "usd")
        }
        return {
            **facts,
            "start": self.start,
            "task": str(ready.task.source or ""),
            "store": str(session.store.path or ""),
            "races": search.races,
            "ceilings": {name: {"used": used[name], "of": most} for name, most in of.items() if most is not None},
        }


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
