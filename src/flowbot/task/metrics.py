"""Metrics: how good the outputs for an example are. The built-in ones are pure and say what was found and expected."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, SupportsFloat, cast

from flowbot.fields import FlowBotError, Score, UserError

from .compare import Comparison, contains, exact, f1, json_fields, normalised, numeric
from .example import Example
from .identity import callable_identity, is_told_apart, underlying

Returned = float | bool | Score
MetricCall = Callable[[Example, Mapping[str, Any]], Returned]
"""What a user's metric is: `(example, outputs)` to a number from 0 to 1, a bool or a `Score`. Not async."""

_COROUTINE = 0x80 | 0x200  # inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR, without importing inspect


class MetricError(FlowBotError):
    """A user's metric raised, or returned what is no score.

    Args:
        message: what happened, in one line.
        metric: its name.
        example: id of the example that was scored.
    """

    def __init__(self, message: str, *, metric: str, example: str) -> None:
        super().__init__(f"metric {metric!r} failed on example {example!r}: {message}")
        self.message = message
        self.metric = metric
        self.example = example


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric with a name and an identity.

    Args:
        name: for people.
        pure: same example and outputs, same score, always: need not be stored.
        identity: the built-in's name, or name and hash of the source file of the user's callable.
        call: what computes it; see `MetricCall`.
        built_in: True for those of `METRICS`, which need an expected output in every example.
        kept: scores may be stored; False where the identity does not tell the callable from others.
    """

    name: str
    pure: bool
    identity: str
    call: MetricCall
    built_in: bool = False
    kept: bool = True

    @staticmethod
    def of(metric: str | MetricCall | Metric, *, pure: bool = False) -> Metric:
        """The metric of a built-in's name or a user's callable. `pure` is what the user says of the callable.

        Raises:
            UserError: for an unknown name, an async callable or what is no callable.
        """
        if isinstance(metric, Metric):
            return metric
        if isinstance(metric, str):
            if metric not in METRICS:
                raise UserError("metric", repr(metric), f"one of {', '.join(METRICS)}, or FILE.py:NAME")
            return METRICS[metric]
        if not callable(cast("Any", metric)):
            raise UserError("metric", f"a {type(metric).__name__}", "a metric's name or a callable")
        function = underlying(metric)
        name = str(getattr(function, "__name__", type(metric).__name__))
        if getattr(getattr(function, "__code__", None), "co_flags", 0) & _COROUTINE:
            raise UserError("metric", f"the async function {name}", "a plain function (example, outputs)")
        return Metric(name, pure, callable_identity(metric), metric, kept=is_told_apart(metric))

    def __call__(self, example: Example, outputs: Mapping[str, Any] | None) -> Score:
        """The score of `outputs` for `example`. No outputs (a failed run) score 0 and the callable is not asked.

        Raises:
            MetricError: if the user's callable raises or returns something else than a number from 0 to 1 or a Score.
        """
        if outputs is None:
            return Score(0.0, "there are no outputs to score")
        try:
            returned: Any = self.call(example, outputs)
            if isinstance(returned, Score):
                return returned
            if isinstance(returned, SupportsFloat):
                return Score(float(returned))
        except Exception as error:
            said = str(error).strip() or "no message"
            raise MetricError(f"{type(error).__name__}: {said}", metric=self.name, example=example.id) from error
        if hasattr(returned, "close") and hasattr(returned, "send"):
            returned.close()  # a coroutine: not awaited, and not to be complained about a second time
        found = f"it returned {'None' if returned is None else f'a {type(returned).__name__}'}"
        raise MetricError(
            f"{found}; expected a number from 0 to 1, a bool or a Score", metric=self.name, example=example.id
        )


def _built_in(name: str, compare: Comparison) -> Metric:
    """The metric that compares each expected output and takes the mean over them."""

    def call(example: Example, outputs: Mapping[str, Any]) -> Score:
        verdicts = {field: compare(outputs.get(field), wanted) for field, wanted in example.expected.items()}
        if not verdicts:
            return Score(0.0, "the example has no expected outputs")
        faults = [f"{field}: {verdict.fault}" for field, verdict in verdicts.items() if verdict.fault]
        parts = {field: verdict.value for field, verdict in verdicts.items()}
        return Score(sum(parts.values()) / len(parts), "; ".join(faults), parts if len(parts) > 1 else {})

    return Metric(name, pure=True, identity=name, call=call, built_in=True)


METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        "exact": _built_in("exact", exact),
        "normalised": _built_in("normalised", normalised),
        "numeric": _built_in("numeric", numeric),
        "f1": _built_in("f1", f1),
        "contains": _built_in("contains", contains),
        "json_fields": _built_in("json_fields", json_fields),
    }
)
"""The built-in metrics by name. Each compares every expected output of the example and takes the mean."""
