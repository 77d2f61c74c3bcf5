"""Metrics: how good the outputs for an example are. The built-in ones are pure and say what was found and expected."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Union

from flowbot.fields import Field, FlowBotError, Score, UserError
from flowbot.fields.bounds import bounded, raised

from .compare import Comparison, contains, exact, f1, json_fields, normalised, numeric
from .example import Example
from .identity import callable_identity, is_told_apart
from .judge import Judge
from .origin import underlying
from .returned import NotAScore, score_of

if TYPE_CHECKING:
    from .parts import Part, Parts

Returned = float | bool | Score | tuple[float, str] | Mapping[str, Any]
MetricCall = Callable[[Example, Mapping[str, Any]], Returned]
"""What a user's metric is: `(example, outputs)` to a number from 0 to 1, a bool, a `Score`, `(number, feedback)` or
`{"score": number, "feedback": text, "parts": {name: number}}`. Not async."""
MetricGiven = Union[str, MetricCall, "Metric", Judge, "Parts", Mapping[str, Any]]
"""What may be given as a metric: a built-in's name, a callable, a judge, parts, or a mapping as it stands in a task file."""

_COROUTINE = 0x80 | 0x200  # inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR, without importing inspect


class MetricError(FlowBotError):
    """A user's metric raised, or returned what is no score.

    Args:
        message: what happened, in one line.
        metric: its name.
        example: id of the example that was scored.
    """

    def __init__(self, message: str, *, metric: str, example: str) -> None:
        self.message = bounded(message)
        super().__init__(f"metric {metric!r} failed on example {example!r}: {self.message}")
        self.metric = metric
        self.example = example


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric with a name and an identity.

        >>> metric = fb.Metric.of("numeric")
        >>> metric(fb.Example("row-1", {"note": "Two pens"}, {"total": 2}), {"total": 3}).feedback
        'total: found 3, expected 2'

    Args:
        name: for people.
        pure: same example and outputs, same score, always: need not be stored.
        identity: the built-in's name, or what tells the user's callable from others: its source and what is bound to it.
        call: what computes it; see `MetricCall`.
        built_in: True for those of `METRICS` and parts that are all such: pure, and in need of expected outputs.
        kept: scores may be stored; False where the identity does not tell the callable from others.
        judge: what a model is asked, where it gives the score; such a metric cannot be called.
        parts: by name, where the score is the weighted mean of several metrics'.
    """

    name: str
    pure: bool
    identity: str
    call: MetricCall
    built_in: bool = False
    kept: bool = True
    judge: Judge | None = None
    parts: Mapping[str, Part] = field(default_factory=lambda: MappingProxyType({}))

    @staticmethod
    def of(metric: MetricGiven, *, pure: bool = False) -> Metric:
        """The metric of what was given; see `MetricGiven`. `pure` is what the user says of a callable.

        Raises:
            UserError: for an unknown name, an async callable or what is no metric; names the place from `metric` on.
        """
        from .parts import Parts
        from .read_metric import plainly, read_metric

        match metric:
            case Metric():
                return metric
            case str():
                if metric not in METRICS:
                    raise UserError("metric", repr(metric), FORMS)
                return METRICS[metric]
            case Judge():
                return Metric("judge", True, metric.identity, _asks_a_model, judge=metric)
            case Parts():
                return metric.metric()
            case Mapping():
                return read_metric(metric, "metric", plainly)
            case _:
                return _own(metric, pure)

    def for_outputs(self, outputs: Sequence[Field]) -> Metric:
        """The same metric, told the types of a task's outputs: `json_fields` takes lists of labels in any order."""
        if self.parts:
            from .parts import Part, Parts

            told = {
                name: Part(part.metric.for_outputs(outputs), on=part.on, weight=part.weight)
                for name, part in self.parts.items()
            }
            return Parts(told).metric()
        if not self.built_in or self.name != "json_fields":
            return self
        return _built_in(self.name, json_fields, {each.name: partial(json_fields, kind=each.type) for each in outputs})

    @property
    def needs_model(self) -> bool:
        """Whether a model is asked for the score, or for a part of it."""
        return bool(self.judges)

    @property
    def judges(self) -> Mapping[str, Judge]:
        """The judges by the name of their part; "" names that of a metric without parts."""
        own = {} if self.judge is None else {"": self.judge}
        return own or {name: part.metric.judge for name, part in self.parts.items() if part.metric.judge is not None}

    def without_model(self) -> Metric | None:
        """What of it can be called without a model: all, the parts that are no judge's, or nothing."""
        if not self.needs_model:
            return self
        from .parts import Parts

        left = {name: part for name, part in self.parts.items() if part.metric.judge is None}
        return Parts(left).metric() if left else None

    def __call__(self, example: Example, outputs: Mapping[str, Any] | None) -> Score:
        """The score of `outputs` for `example`. No outputs (a failed run) score 0 and the callable is not asked.

        Raises:
            MetricError: if the user's callable raises or returns what is no score (see `MetricCall`), or a model would
                have to be asked.
        """
        if outputs is None:
            return Score(0.0, "there are no outputs to score", dict.fromkeys(self.parts, 0.0))
        try:
            return score_of(self.call(example, outputs))
        except MetricError:
            raise  # a part's
        except NotAScore as error:
            raise MetricError(str(error), metric=self.name, example=example.id) from None
        except Exception as error:
            raise MetricError(raised(error), metric=self.name, example=example.id) from error


def _own(metric: MetricCall, pure: bool) -> Metric:
    """The metric of a user's callable."""
    given: object = metric
    if not callable(given):
        raise UserError("metric", "nothing" if given is None else f"a {type(given).__name__}", FORMS)
    function = underlying(metric)
    name = str(getattr(function, "__name__", type(metric).__name__))
    if getattr(getattr(function, "__code__", None), "co_flags", 0) & _COROUTINE:
        raise UserError("metric", f"the async function {name}", "a plain function (example, outputs)")
    return Metric(name, pure, callable_identity(metric), metric, kept=is_told_apart(metric))


def _asks_a_model(example: Example, outputs: Mapping[str, Any]) -> Score:
    raise MetricError("a model gives this score, and none is asked here", metric="judge", example=example.id)


def _built_in(name: str, compare: Comparison, own: Mapping[str, Comparison] = MappingProxyType({})) -> Metric:
    """The metric that compares each expected output, some in a way of their own, and takes the mean over them."""

    def call(example: Example, outputs: Mapping[str, Any]) -> Score:
        verdicts = {
            field: own.get(field, compare)(outputs.get(field), wanted) for field, wanted in example.expected.items()
        }
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

FORMS = f"one of {', '.join(METRICS)}; FILE.py:NAME; {{judge: {{rubric: TEXT}}}}; or {{parts: {{NAME: METRIC}}}}"
"""What a metric may be, in one line."""
