"""Asks a task's metric what a run is worth."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import TYPE_CHECKING

from flowbot.fields import Score, StepError, stable_hash
from flowbot.task import MetricError

from .executors import Call, FunctionError
from .memo import Result
from .trace import Trace

if TYPE_CHECKING:
    from flowbot.task import Example, Task

    from .engine import Engine


async def scored(engine: Engine, task: Task, example: Example, trace: Trace) -> Score:
    """The metric's score. A user's function is not taken to be pure, fast or safe to call from two threads at once.

    Raises:
        MetricError: if the metric raises, returns what is no score, or ends its process each time; names the example.
        InfrastructureError: if the executor has nowhere to run it.
        Paused: if somebody asked to stop, or the seconds are over, before it was asked.
    """
    metric = task.metric
    if metric.built_in or trace.outputs is None:
        return metric(example, trace.outputs)
    outputs = deepcopy(
        dict(trace.outputs)
    )  # what a user's function does to what it gets changes neither trace nor task
    own = replace(
        example,
        inputs=deepcopy(dict(example.inputs)),
        expected=deepcopy(dict(example.expected)),
        extra=deepcopy(dict(example.extra)),
    )
    call = Call("metric", metric.name, metric.call, {"example": own, "outputs": outputs})

    async def make() -> Result:
        engine.session.check()  # somebody may have asked to stop while others were scored
        outcome = await engine.executor.run(call)
        if outcome.error is None:
            return outcome.value
        if isinstance(outcome.error, MetricError):
            raise outcome.error
        told = isinstance(outcome.error, StepError | FunctionError)
        said = str(outcome.error) if told else f"{type(outcome.error).__name__}: {outcome.error}"
        raise MetricError(said, metric=metric.name, example=example.id) from outcome.error

    async with engine.executor.turn(call):
        if metric.pure or not metric.kept:
            return Score(**await make())
        key = stable_hash(
            {
                "metric": metric.identity,
                "example": [
                    example.id,
                    dict(example.inputs),
                    dict(example.expected),
                    example.group,
                    dict(example.extra),
                ],
                "outputs": outputs,
            }
        )
        return Score(**await engine.memo.once(key, "metric", make))
