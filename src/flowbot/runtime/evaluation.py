"""Scores a workflow on examples: all side by side (the limit is on calls), rows in the examples' order."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Generator, Iterable, Sequence, Sized
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

from flowbot.fields import BudgetExceeded, DeniedError, InfrastructureError, Paused, RefusedError, Score, Usage
from flowbot.lm.gate import TURN
from flowbot.task import Example, Task

from .scoring import scored
from .together import together
from .trace import Trace

if TYPE_CHECKING:
    from flowbot.workflow.workflow import Workflow

    from .engine import Engine


OBJECTS = 50_000
"""New objects between two looks of Python's cycle collector while many examples are worked on. With thousands of calls under way
every look goes through hundreds of thousands of living objects and finds nothing: measured, a third of all the processor time at
500 calls in flight."""
_thresholds_before: list[tuple[int, int, int]] = []


@dataclass(frozen=True, slots=True)
class Row:
    """One example, what the workflow did with it, and what that is worth."""

    example: Example
    trace: Trace
    score: Score


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The rows of all examples in their order.

    `dropped` names those that the endpoint refuses, or on which a judge gives no verdict, on every try.
    """

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
    """As `evaluate_each`, with all rows in the examples' order.

    Raises:
        Paused, DeniedError, BudgetExceeded, MetricError: as `evaluate_each`.
    """
    rows: list[Row | None] = [None] * len(examples)
    await evaluate_each(
        engine,
        workflow,
        task,
        examples,
        purpose=purpose,
        take=rows.__setitem__,
        progress=progress,
        replicate=replicate,
    )
    return Evaluation(
        rows=tuple(each for each in rows if each is not None),
        dropped=tuple(example.id for example, each in zip(examples, rows, strict=True) if each is None),
    )


async def evaluate_each(
    engine: Engine,
    workflow: Workflow,
    task: Task,
    examples: Iterable[Example],
    *,
    purpose: str,
    take: Callable[[int, Row | None], object],
    progress: Callable[[int, int], None] | None = None,
    replicate: int = 0,
) -> None:
    """Run and score a workflow on any number of examples: each row is handed over as soon as it is there and kept no longer.

    A failed step is part of the result: the metric is asked about outputs that are None. No row is made up: when the
    infrastructure fails or the budget ends, no new call is sent, those in flight end and are stored, and the error is
    raised. So many examples are worked on at once that calls are always waiting at the endpoint, and no more.

    Args:
        engine: what runs it.
        workflow: a valid workflow for the task.
        task: for its metric.
        examples: which ones.
        purpose: what the ledger charges the calls to.
        take: called with each example's number, from 0, and its row, or None if the endpoint refuses it, or a judge gives
            no verdict on it, on every try. The order is that in which they end.
        progress: called with examples done and all of them.
        replicate: as for `Engine.run`.

    Raises:
        Paused: if the infrastructure failed, a signal came or the time is up.
        DeniedError: if a model refuses the key or the name, and has answered nothing.
        BudgetExceeded: if a ceiling would be passed.
        MetricError: if the metric raised; it names the example.
    """
    total = len(examples) if isinstance(examples, Sized) else 0
    coming = enumerate(examples)
    done = 0

    async def work() -> None:
        nonlocal done
        for number, example in coming:
            TURN.set(number)
            engine.session.check()
            inputs = {name: example.inputs[name] for name in workflow.sketch.inputs if name in example.inputs}
            try:
                with nullcontext() if parking is None else parking.example():
                    trace = await engine.run(workflow, inputs, example=example.id, purpose=purpose, replicate=replicate)
                    score = await scored(engine, task, example, trace)
            except RefusedError:
                take(number, None)
            else:
                take(number, Row(example, trace, score))
            done += 1
            if progress is not None:
                progress(done, max(total, done))

    parking, most = engine.session.connections.parking, engine.session.connections.width
    width = min(total or most, most)
    try:
        with fewer_collections():
            await together([asyncio.create_task(work()) for _ in range(width)])
    except BudgetExceeded:
        raise  # nothing is in flight when a ceiling is reached, and what is left of it serves the closing test
    except Exception as fault:
        await engine.settle()
        if isinstance(fault, InfrastructureError) and not isinstance(fault, DeniedError):
            raise Paused(str(fault), stopped_by="infrastructure") from fault
        raise


@contextmanager
def fewer_collections() -> Generator[None]:
    """Inside, the collector looks after `OBJECTS` new objects at the earliest; what was set before is set again after.

    Blocks may nest and overlap, on one thread. A collector that looks as seldom already is left alone.
    """
    threshold = gc.get_threshold()
    _thresholds_before.append(threshold)
    if 0 < threshold[0] < OBJECTS:
        gc.set_threshold(OBJECTS, *threshold[1:])
    try:
        yield
    finally:
        first = _thresholds_before[0]
        _thresholds_before.pop()
        if not _thresholds_before:
            gc.set_threshold(*first)
