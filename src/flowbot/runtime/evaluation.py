"""Scores a workflow on examples: all side by side (the limit is on calls), rows in the examples' order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from statistics import fmean
from typing import TYPE_CHECKING

from flowbot.fields import BudgetExceeded, InfrastructureError, Paused, RefusedError, Score, Usage, stable_hash

from .jsonlike import clean
from .memo import Result
from .threads import in_thread
from .together import together
from .trace import Trace

if TYPE_CHECKING:
    from flowbot.task import Example, Task
    from flowbot.workflow import Workflow

    from .engine import Engine


@dataclass(frozen=True, slots=True)
class Row:
    """One example, what the workflow did with it, and what that is worth."""

    example: Example
    trace: Trace
    score: Score


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The rows of all examples in their order; `dropped` names those that the endpoint refuses on every try."""

    rows: tuple[Row, ...]
    dropped: tuple[str, ...] = ()

    @property
    def values(self) -> list[float]:
        """The score of each row."""
        return [row.score.value for row in self.rows]

    @property
    def mean(self) -> float:
        """Mean score, 0 without rows."""
        return fmean(self.values) if self.rows else 0.0

    @property
    def usage(self) -> Usage:
        """What all rows used."""
        return sum((row.trace.usage for row in self.rows), Usage())


async def evaluate(
    engine: Engine,
    workflow: Workflow,
    task: Task,
    examples: Sequence[Example],
    *,
    purpose: str,
    progress: Callable[[int, int], None] | None = None,
    replicate: int = 0,
) -> Evaluation:
    """Run and score a workflow on examples.

    A failed step is part of the result: the metric is asked about outputs that are None. No row is made up: when the
    infrastructure fails or the budget ends, no new call is sent, those in flight end and are stored, and the error is
    raised.

    Args:
        engine: what runs it.
        workflow: a valid workflow for the task.
        task: for its metric.
        examples: which ones.
        purpose: what the ledger charges the calls to.
        progress: called with examples done and all of them.
        replicate: as for `Engine.run`.

    Raises:
        Paused: if the infrastructure failed, a signal came or the time is up.
        BudgetExceeded: if a ceiling would be passed.
        MetricError: if the metric raised; it names the example.
    """
    scoring = asyncio.Lock()
    done = 0

    async def row(example: Example) -> Row | None:
        nonlocal done
        inputs = {name: example.inputs[name] for name in workflow.sketch.inputs if name in example.inputs}
        try:
            trace = await engine.run(workflow, inputs, example=example.id, purpose=purpose, replicate=replicate)
        except RefusedError:
            made = None
        else:
            made = Row(example, trace, await _scored(engine, task, example, trace, scoring))
        done += 1
        if progress is not None:
            progress(done, len(examples))
        return made

    try:
        rows = await together([asyncio.create_task(row(example)) for example in examples])
    except BudgetExceeded:
        raise  # nothing is in flight when a ceiling is reached, and what is left of it serves the closing test
    except Exception as fault:
        await engine.settle()
        if isinstance(fault, InfrastructureError):
            raise Paused(str(fault), stopped_by="infrastructure") from fault
        raise
    return Evaluation(
        rows=tuple(each for each in rows if each is not None),
        dropped=tuple(example.id for example, each in zip(examples, rows, strict=True) if each is None),
    )


async def _scored(engine: Engine, task: Task, example: Example, trace: Trace, one_at_a_time: asyncio.Lock) -> Score:
    """The metric's score. A user's function is not taken to be pure, fast or safe to call from two threads at once."""
    metric = task.metric
    if metric.pure or trace.outputs is None:
        return metric(example, trace.outputs)
    outputs = deepcopy(dict(trace.outputs))  # what a user's function does to them changes no trace

    async def make() -> Result:
        score = await in_thread(partial(metric, example, outputs))
        return {"value": score.value, "feedback": clean(score.feedback), "parts": dict(score.parts)}

    key = stable_hash(
        {
            "metric": metric.identity,
            "example": [example.id, dict(example.inputs), dict(example.expected), example.group, dict(example.extra)],
            "outputs": outputs,
        }
    )
    async with one_at_a_time:
        return Score(**(await engine.memo.once(key, "metric", make) if metric.kept else await make()))
