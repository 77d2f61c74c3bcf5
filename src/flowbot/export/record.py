"""What a workflow asked its models on examples, and what came back: run for it, or taken from the store of a run."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Collection, Sequence
from contextlib import asynccontextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from flowbot.fields import ModelError, RefusedError, UserError
from flowbot.lm.capabilities import Capabilities
from flowbot.lm.client import Draw, Reply, Request
from flowbot.lm.openai import OpenAIClient
from flowbot.lm.proxy.faults import NotStored
from flowbot.lm.thinking import QUESTION
from flowbot.run.examples import read_examples
from flowbot.runtime.engine import Engine
from flowbot.runtime.together import all_of
from flowbot.runtime.toolbox import opened_task
from flowbot.runtime.trace import Trace
from flowbot.runtime.workbench import Workbench
from flowbot.task import Example, Task
from flowbot.workflow.calls import asked_models
from flowbot.workflow.check import require_valid
from flowbot.workflow.parameters import LLMParameters
from flowbot.workflow.workflow import Workflow

from .exporting import Spoken, sent_besides, speaks

_Heard = tuple[str, Request, Draw, Reply | ModelError]


@dataclass(frozen=True, slots=True)
class Sent:
    """One request, with what the model's options add to it, the number of its sample, and the reply, or the model's error in its place."""

    model: str
    request: Request
    sample: int
    reply: Reply | ModelError


@dataclass(frozen=True, slots=True)
class Recorded:
    """One example as the workflow ran on it."""

    trace: Trace
    sent: tuple[Sent, ...]


@dataclass(frozen=True, slots=True)
class Recording:
    """A workflow on the examples of a split.

    Args:
        split: of which the examples are.
        rows: those that it was run on, in order.
        absent: ids of those whose replies are not all stored, or that the endpoint refuses.
        own: ids of those that a demonstration of the workflow is made of: the run did not show it there, and an export does.
        engine: still open.
        spoken: how its models are spoken to, by model string.
    """

    split: str
    rows: tuple[Recorded, ...]
    absent: tuple[str, ...]
    own: tuple[str, ...]
    engine: Engine
    spoken: dict[str, Spoken]

    def speaks(self, model: str) -> Spoken:
        """How a model is spoken to."""
        return self.spoken.get(model) or speaks(model)


@asynccontextmanager
async def recorded(
    workflow: Workflow,
    split: str,
    examples: Sequence[Example],
    *,
    model: str | None,
    task: Task | None,
    bench: Workbench,
    ask: bool,
    models: Collection[str] = (),
    allow_writes: bool = False,
    say: Callable[[str], None] | None = None,
) -> AsyncGenerator[Recording]:
    """Run a workflow on examples and keep what it asks.

    Args:
        workflow: valid.
        split, examples: on what.
        model: model string of the steps that name none.
        task: for its tools; None where there is none.
        bench: what it is run on.
        ask: whether a model is asked where the store has no reply; otherwise such examples are `absent`.
        models: the user's list.
        allow_writes: let tools write for real.
        say: told news in a line.

    Raises:
        UserError, InfrastructureError, BudgetExceeded, Paused: as running it does.
    """
    heard: ContextVar[list[_Heard]] = ContextVar("heard")
    shown = {
        shown.example
        for told in workflow.parameters.values()
        if isinstance(told, LLMParameters)
        for shown in told.demonstrations
    }
    session = bench.session(say=say)
    store = session.store
    if not ask:

        async def refuse(key: str) -> None:
            if await store.get(key) is None:
                raise NotStored(key)

        session.admit = refuse

    async def run(example: Example) -> Recorded | None:
        heard.set(found := [])
        try:
            trace = await engine.run(workflow, example.inputs, example=example.id, purpose="export")
        except (NotStored, RefusedError):
            return None
        return Recorded(
            trace,
            tuple(
                Sent(name, replace(request, extra=sent_besides(name)), _sample(draw), reply)
                for name, request, draw, reply in sorted(found, key=_order)
            ),
        )

    opening = None if task is None else opened_task(task, sandbox=bench.sandbox, cache_dir=bench.cache_dir, say=say)
    async with opening or nullcontext() as tools:
        signed = {tool.signature.name: tool for tool in tools.tools} if tools is not None else {}
        if tools is not None:
            require_valid(workflow, tools=tools.signatures, allow_writes=allow_writes)
        async with bench.engine(
            model, session, tools=signed, models=models, say=say, allow_writes=allow_writes,
            programs=() if tools is None else tools.programs,
        ) as engine:  # fmt: skip
            engine.open_models(workflow)
            kept = [example for example in examples if example.id not in shown]

            def hear(name: str, request: Request, draw: Draw, reply: Reply | ModelError) -> None:
                if request != QUESTION:  # asked once of a model that may think, and no request of the workflow
                    heard.get([]).append((name, request, draw, reply))

            session.heard = hear
            rows = await all_of(run(example) for example in kept)
            yield Recording(
                split=split,
                rows=tuple(row for row in rows if row is not None),
                absent=tuple(example.id for example, row in zip(kept, rows, strict=True) if row is None),
                own=tuple(example.id for example in examples if example.id in shown),
                engine=engine,
                spoken={name or model or "": await _spoken(engine, name) for _, name in asked_models(workflow)},
            )


def examples_of_run(folder: Path) -> tuple[Literal["val", "train"], list[Example]]:
    """The examples that a run has of its found workflow: those of validation, of training where there are none.

    Raises:
        UserError: if there are none of either, or the run's files are damaged.
    """
    known = [each for each in read_examples(folder) if each.final is not None]
    splits: tuple[Literal["val", "train"], ...] = ("val", "train")
    for split in splits:
        if found := [Example(each.id, each.inputs, each.expected) for each in known if each.split == split]:
            return split, found
    raise UserError(str(folder), "no example of the found workflow in validation or training", "--check TASK")


async def _spoken(engine: Engine, name: str | None) -> Spoken:
    lm = engine.model(name)
    can = await lm.client.recall() if isinstance(lm.client, OpenAIClient) else Capabilities()
    try:
        return Spoken(can, await lm.limit(0))
    except NotStored:
        return Spoken(can)


def _sample(draw: Draw) -> int:
    """The number of a sample is the last of its draw."""
    return int(draw[-1]) if draw else 0


def _order(heard: _Heard) -> list[str]:
    """Equal requests by their draws, whenever their replies came."""
    return [str(part).zfill(8) for part in heard[2]]
