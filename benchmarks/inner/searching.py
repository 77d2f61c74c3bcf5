"""A search that is opened to be looked at: single proposals and single questions, on the product's own engine, store and rules."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flowbot.optimizer.arguments import users_models
from flowbot.optimizer.prepare import prepared
from flowbot.optimizer.progress import Watch
from flowbot.optimizer.seams import FeedbackMode
from flowbot.optimizer.search import Search
from flowbot.run.journal import Journal
from flowbot.runtime.program import WorkflowProgram
from flowbot.runtime.workbench import Workbench
from flowbot.task import Task
from flowbot.workflow.workflow import Workflow

PLENTY = 1e9
"""Planned calls: what is looked at ends by itself."""


@dataclass(frozen=True, slots=True)
class Ground:
    """What all searches of a measurement share.

    Args:
        bench: store, models and limits.
        lm, meta_lm: model strings.
        folder: for journals, to which nothing but the loops of the product writes.
        seed: of every random choice.
    """

    bench: Workbench
    lm: str
    meta_lm: str
    folder: Path
    seed: int = 0


@asynccontextmanager
async def searching(
    ground: Ground,
    task: Task,
    start: Workflow,
    feedback: FeedbackMode = "real",
    make: Callable[..., Search] = Search,
    **more: Any,
) -> AsyncGenerator[Search]:
    """A search from `start`, which has been run on all training rows.

    Args:
        ground: what is shared.
        task: what is solved.
        start: a workflow that fits it.
        feedback: what questions tell of a mistake.
        make: the class of the search.
        more: further members of it.
    """
    models = users_models(start, start, task, ground.lm, ground.meta_lm, None, models=None)
    settings: Any = {"workbench": ground.bench}
    watch = Watch(None)
    async with (
        prepared(task, start, "the start", models, settings, watch, search=True) as ready,
        ready.engine(ground.lm, ground.meta_lm) as engine,
    ):
        journal = Journal.open(ground.folder / "journal.jsonl")
        try:
            search = make(
                task=ready.task,
                start=WorkflowProgram(ready.workflow),
                engine=engine,
                meta=engine.model(ground.meta_lm),
                session=engine.session,
                journal=journal,
                seed=ground.seed,
                planned=PLENTY,
                model=ground.lm,
                watch=watch,
                feedback_mode=feedback,
                **more,
            )
            await search.run(search.start, search.training, "train")
            yield search
        finally:
            journal.close()
