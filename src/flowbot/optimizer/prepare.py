"""What an optimisation and an evaluation begin with: a workflow and a task that fit each other, and what they are run on."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from flowbot.lm.budget import Budget
from flowbot.lm.prices import Price
from flowbot.runtime.engine import Engine
from flowbot.runtime.judge import judge_models
from flowbot.runtime.toolbox import opened_task
from flowbot.runtime.tools import require_stand_ins
from flowbot.runtime.workbench import Workbench, on_workbench
from flowbot.store.noted import NotedStore
from flowbot.task import Task, Tool
from flowbot.workflow.check import require_valid
from flowbot.workflow.starts import Start, single_call
from flowbot.workflow.workflow import Workflow

from .arguments import RunSettings, fitted
from .progress import Watch


@dataclass(frozen=True, slots=True)
class Prepared:
    """A task with its tools opened and a workflow that is valid for it. No model is opened yet, nothing stored or paid for.

    Args:
        task: its tools are opened.
        workflow: fits it.
        bench: what it is run on.
        budget: ceilings, within those of the workbench.
        settings: as they were given.
        models: the user's list of models; see `allowed_models`.
        watch: told what happens.
    """

    task: Task
    workflow: Workflow
    bench: Workbench
    budget: Budget
    settings: RunSettings
    models: frozenset[str]
    watch: Watch
    stand_in: bool = True
    began: float = field(default_factory=time.monotonic)

    @property
    def price(self) -> Price | None:
        """USD per million input and output tokens, where a model's price is not known."""
        return self.settings.get("price") or self.bench.price

    @property
    def allow_writes(self) -> bool:
        """Whether tools that write are called for real."""
        return self.settings.get("allow_writes", False)

    @asynccontextmanager
    async def engine(
        self, lm: str | None, judge_lm: str | None, keys: set[str] | None = None
    ) -> AsyncGenerator[Engine]:
        """What runs the workflow. The models that it and the metric's judges name are opened: a missing key or price is found
        now and not in mid-run.

        Args:
            lm: model string of the steps that name none.
            judge_lm: model string of the judges that name none; `lm` when None.
            keys: gets the keys of the stored responses that are used, where somebody wants to know them.

        Raises:
            UserError: for an unknown model, a missing key or price, or a store that cannot serve.
        """
        say = self.watch.news
        session = self.bench.session(self.budget, stop=self.settings.get("stop"), say=say)
        if keys is not None:
            session = session.over(NotedStore(session.store, keys))
        self.watch.calls = lambda: sum(session.ledger.calls.values())
        self.watch.usd = lambda: session.ledger.spent.usd
        async with self.bench.engine(
            lm,
            session,
            tools={tool.signature.name: tool for tool in self.task.tools},
            price=self.price,
            say=say,
            allow_writes=self.allow_writes,
            models=self.models,
            judge_model=judge_lm,
            programs=self.task.programs,
            stand_in=self.stand_in,
        ) as engine:
            engine.open_models(self.workflow)
            for each in judge_models(self.task.metric, judge_lm or lm or ""):
                engine.model(each)
            yield engine


@asynccontextmanager
async def prepared(
    task: Task,
    workflow: Workflow | Start | None,
    where: str,
    models: frozenset[str],
    settings: RunSettings,
    watch: Watch,
    *,
    search: bool,
    stand_in: bool = True,
) -> AsyncGenerator[Prepared]:
    """A task's tools opened, on a workbench, and the workflow made to fit it.

    Args:
        task: the task.
        workflow: what is run; a single call that reasons when None.
        where: how errors name the workflow.
        models: the user's list of models.
        settings: as they were given.
        watch: told what happens.
        stand_in: whether the task model answers in place of the models that programs name.
        search: whether other workflows are made of it: where tools may write for real, a found one may call them, too.

    Raises:
        UserError: if a tool cannot be opened or writes without a stand-in, or the workflow does not fit the task.
    """
    allow_writes = settings.get("allow_writes", False)
    async with (
        on_workbench(settings.get("workbench"), settings) as bench,
        bench.working(),
        opened_task(task, sandbox=bench.sandbox, cache_dir=bench.cache_dir, say=watch.news) as opened,
    ):
        if search and allow_writes:
            opened = replace(opened, tools=[_as_simulated(tool) for tool in opened.tools])
        require_stand_ins(opened.tools, allow_writes=allow_writes)
        begun = (
            single_call(task.inputs, task.outputs, task.goal, reasoning=True)
            if workflow is None
            else fitted(workflow, opened)
        )
        require_valid(
            begun,
            where=where,
            tools=opened.signatures,
            task_inputs=task.inputs,
            task_outputs=task.outputs,
            allow_writes=allow_writes,
        )
        budget = bench.budget_within(settings.get("budget"))
        yield Prepared(opened, begun, bench, budget, settings, models, watch, stand_in)


def _as_simulated(tool: Tool) -> Tool:
    """A tool that writes as the search sees it where writing is allowed: one that it may call."""
    return replace(tool, signature=replace(tool.signature, simulated=True))
