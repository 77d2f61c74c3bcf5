"""Asks a task's metric what a run is worth."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from flowbot.fields import Score, StepError, stable_hash
from flowbot.fields.bounds import raised
from flowbot.fields.secrets import hide_known
from flowbot.task import Example, Metric, MetricError, Task
from flowbot.task.metrics import weighed

from .executors import Call, FunctionError
from .judge import UnjudgedError, judged
from .memo import Result
from .trace import Trace

if TYPE_CHECKING:
    from .engine import Engine

PERSON = "a person says: "
"""What a person's words begin with in a score's feedback."""
_log = logging.getLogger(__name__)


async def scored(engine: Engine, task: Task, example: Example, trace: Trace) -> Score:
    """The metric's score; below 1 a person's words on the example are added to its feedback.

    A user's function is not taken to be pure, fast or safe to call from two threads at once. A judge's model is asked;
    what it takes is charged to the purpose `judge`.

    Raises:
        MetricError: if the metric raises, returns what is no score, or ends its process each time; names the example.
        RefusedError: if a judge is refused the question, or gives no verdict that can be read (`UnjudgedError`).
        InfrastructureError: if the executor has nowhere to run it, or the judge's endpoint fails.
        BudgetExceeded: if a ceiling leaves no room for a judge's call.
        Paused: if somebody asked to stop, or the seconds are over, before it was asked.
    """
    outputs = trace.outputs
    score = task.metric(example, None) if outputs is None else await _score(engine, task, task.metric, example, outputs)
    if score.value == 1 or not example.feedback:
        return score
    said = PERSON + example.feedback
    return replace(score, feedback=f"{score.feedback}; {said}" if score.feedback else said)


async def _score(engine: Engine, task: Task, metric: Metric, example: Example, outputs: Mapping[str, Any]) -> Score:
    if metric.built_in:
        return metric(example, outputs)
    if metric.judge is not None:
        lm = engine.model(metric.judge.model or engine.judge_model)
        try:
            return await judged(lm, metric.judge, task, example, outputs)
        except UnjudgedError as error:
            if example.id not in engine.unjudged:  # told once, however many workflows are scored on it
                engine.unjudged.add(example.id)
                _log.warning("example %s is left out: %s", example.id, error, extra={"event": "judge.failed"})
            raise
    if metric.parts:
        # One after the other: which of them were asked must not depend on when one was refused.
        found = {
            name: await _score(engine, task, part.metric, *part.view(example, outputs))
            for name, part in metric.parts.items()
        }
        return weighed(metric.parts, found)
    return await _called(engine, metric, example, outputs)


async def _called(engine: Engine, metric: Metric, example: Example, given: Mapping[str, Any]) -> Score:
    """The score of a user's function. What it does to what it gets changes neither trace nor task."""
    outputs = deepcopy(dict(given))
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
            return hide_known(outcome.value)  # its feedback is stored, and told to a model
        if isinstance(outcome.error, MetricError):
            raise outcome.error
        told = isinstance(outcome.error, StepError | FunctionError)
        said = str(outcome.error) if told else raised(outcome.error)
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
                    *([example.feedback] if example.feedback else []),
                ],
                "outputs": outputs,
            }
        )
        return Score(**await engine.memo.once(key, "metric", make))
