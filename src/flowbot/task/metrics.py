"""Metrics: how good the outputs for an example are; and scores in parts, several metrics, each on some outputs, weighted."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Union, cast

from flowbot.fields import Field, FlowBotError, Score, UserError, stable_hash
from flowbot.fields.bounds import bounded, raised
from flowbot.fields.plugins import find_plugin
from flowbot.fields.words import kind_of

from .built_in import COMPARISONS, VERSION, comparing
from .example import Example
from .identity import callable_identity, is_told_apart
from .judge import Judge, weight_of
from .mapping import placed
from .returned import NotAScore, score_of
from .source_code import underlying

Returned = float | bool | Score | tuple[float, str] | Mapping[str, Any]
MetricCall = Callable[[Example, Mapping[str, Any]], Returned]
"""What a user's metric is: `(example, outputs)` to a number from 0 to 1, a bool, a `Score`, `(number, feedback)` or
`{"score": number, "feedback": text, "parts": {name: number}}`. Not async."""
MetricGiven = Union[str, MetricCall, "Metric", Judge, "Parts"]
"""What may be given as a metric: a built-in's name, a callable, a judge, or parts."""
_LONGEST_NAME = 64

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
        identity: the built-in's name and version, or what tells the user's callable from others: its source and what is bound to it.
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
        match metric:
            case Metric():
                return metric
            case str():
                return METRICS[metric] if metric in METRICS else _installed(metric, pure)
            case Judge():
                return Metric("judge", True, metric.identity, _asks_a_model, judge=metric)
            case Parts():
                return metric.metric()
            case _:
                return _own(metric, pure)

    def for_outputs(self, outputs: Sequence[Field]) -> Metric:
        """The same metric, told the types of a task's outputs: `json_fields` takes lists of labels in any order, and labels
        that look the same are told apart."""
        if self.parts:
            told = {
                name: Part(part.metric.for_outputs(outputs), on=part.on, weight=part.weight)
                for name, part in self.parts.items()
            }
            return Parts(told).metric()
        return replace(self, call=comparing(self.name, outputs)) if self.built_in else self

    @property
    def needs_model(self) -> bool:
        """Whether a model is asked for the score, or for a part of it."""
        return bool(self.judges)

    @property
    def judges(self) -> Mapping[str, Judge]:
        """The judges by the name of their part; "" names that of a metric without parts."""
        own = {} if self.judge is None else {"": self.judge}
        return own or {name: part.metric.judge for name, part in self.parts.items() if part.metric.judge is not None}

    @property
    def judge_calls(self) -> int:
        """Model calls that judging one answer takes."""
        return sum(each.repeats for each in self.judges.values())

    def without_model(self) -> Metric | None:
        """What of it can be called without a model: all, the parts that are no judge's, or nothing."""
        if not self.needs_model:
            return self
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
        python = "a built-in's name, a function, fb.Judge or fb.Parts; a mapping is what fb.Task and task files take"
        raise UserError("metric", kind_of(given), python if isinstance(given, Mapping) else FORMS)
    function = underlying(metric)
    name = str(getattr(function, "__name__", type(metric).__name__))
    if getattr(getattr(function, "__code__", None), "co_flags", 0) & _COROUTINE:
        raise UserError("metric", f"the async function {name}", "a plain function (example, outputs)")
    return Metric(name, pure, callable_identity(metric), metric, kept=is_told_apart(metric))


def _installed(name: str, pure: bool) -> Metric:
    """The metric that an installed package offers under a name. Within a version of a package it stands for one function."""
    plugin = find_plugin("metrics", name)
    if plugin is None:
        raise UserError("metric", repr(name), FORMS)
    found = plugin.load()
    if not callable(found):
        raise plugin.refused(kind_of(found), "a function (example, outputs)")
    own = _own(cast("MetricCall", found), pure)
    return replace(own, name=name, identity=plugin.identity(own.identity), kept=True)


def _asks_a_model(example: Example, outputs: Mapping[str, Any]) -> Score:
    raise MetricError("a model gives this score, and none is asked here", metric="judge", example=example.id)


@dataclass(frozen=True, init=False)
class Part:
    """One metric among several.

        >>> fb.Part("exact", on="urgency", weight=2)

    Args of the constructor:
        metric: any metric but one of parts.
        on: the output field, or the fields, that it sees, of outputs and expected outputs alike; none: all of them.
        weight: its share of the score, beside the others' weights.

    Raises:
        UserError: naming the place, for what is no metric, field name or weight.
    """

    metric: Metric
    on: tuple[str, ...]
    weight: float

    def __init__(self, metric: MetricGiven, *, on: str | Sequence[str] = (), weight: float = 1.0) -> None:
        made = Metric.of(metric)
        if made.parts:
            raise UserError("metric", "parts inside of parts", "a metric without parts")
        names = (on,) if isinstance(on, str) else tuple(on) if isinstance(cast("object", on), Sequence) else (on,)
        if any(not isinstance(cast("object", name), str) or not name for name in names):
            raise UserError("on", repr(on), "the name of an output, or a list of names")
        for name, value in {"metric": made, "on": names, "weight": weight_of(weight, "weight")}.items():
            object.__setattr__(self, name, value)

    def view(self, example: Example, outputs: Mapping[str, Any]) -> tuple[Example, Mapping[str, Any]]:
        """What the part sees of an example and of what a workflow gave."""
        if not self.on:
            return example, outputs
        expected = {name: value for name, value in example.expected.items() if name in self.on}
        return replace(example, expected=expected), {name: outputs[name] for name in self.on if name in outputs}


@dataclass(frozen=True, init=False)
class Parts:
    """Several metrics by name, weighted.

        >>> fb.Parts({"urgency": fb.Part("exact", on="urgency", weight=2), "reply": fb.Judge("It is polite.")})

    The score is the weighted mean; each part's own score stands in `Score.parts`, and its feedback begins with its name.

    Raises:
        UserError: naming the part, for a bad name or what is no part; or if there are none.
    """

    parts: Mapping[str, Part]

    def __init__(self, parts: Mapping[str, Part | MetricGiven]) -> None:
        if not isinstance(cast("object", parts), Mapping) or not parts:
            raise UserError("metric.parts", "nothing", "{NAME: METRIC}")
        object.__setattr__(self, "parts", MappingProxyType({name: _part(name, parts[name]) for name in parts}))

    def metric(self) -> Metric:
        """The metric that they make."""
        metrics = [part.metric for part in self.parts.values()]
        told = [[name, part.metric.identity, part.on, part.weight] for name, part in self.parts.items()]

        def call(example: Example, outputs: Mapping[str, Any]) -> Score:
            return weighed(
                self.parts, {name: part.metric(*part.view(example, outputs)) for name, part in self.parts.items()}
            )

        return Metric(
            name=f"parts {', '.join(self.parts)}",
            pure=all(metric.pure for metric in metrics),
            identity=f"parts@{stable_hash(told)}",
            call=call,
            built_in=all(metric.built_in for metric in metrics),
            kept=all(metric.kept for metric in metrics),
            parts=self.parts,
        )


def weighed(parts: Mapping[str, Part], scores: Mapping[str, Score]) -> Score:
    """The weighted mean of the parts' scores. Parts of a part are named `PART.OWN`."""
    total = sum(part.weight for part in parts.values())
    value = sum(part.weight * scores[name].value for name, part in parts.items()) / total
    named = {name: scores[name].value for name in parts}
    for name in parts:
        named |= {f"{name}.{own}": each for own, each in scores[name].parts.items()}
    spreads = [(parts[name].weight / total, scores[name].spread) for name in parts]
    known = [(share * spread) ** 2 for share, spread in spreads if spread is not None]
    return Score(
        min(1.0, value),
        "; ".join(_said(name, scores[name].feedback) for name in parts if scores[name].feedback),
        named,
        math.sqrt(sum(known)) if known else None,
    )


def _said(name: str, feedback: str) -> str:
    """Feedback that begins with the part's name, once: a comparison begins with its field's."""
    return feedback if feedback.startswith(f"{name}: ") else f"{name}: {feedback}"


def parts_of(metric: Metric) -> Mapping[str, Part]:
    """The parts of a metric by name; of one without parts the metric itself under ""."""
    return metric.parts or {"": Part(metric)}


def _part(name: object, value: Part | MetricGiven) -> Part:
    if not isinstance(name, str) or not name.strip() or len(name) > _LONGEST_NAME:
        raise UserError("metric.parts", f"the name {name!r}", f"a text of at most {_LONGEST_NAME} characters")
    if isinstance(value, Part):
        return value
    with placed("metric", f"metric.parts.{name}"):
        return Part(value)


METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        name: Metric(name, pure=True, identity=f"{name}/{VERSION}", call=comparing(name), built_in=True)
        for name in COMPARISONS
    }
)
"""The built-in metrics by name: pure, and they say what was found and what was expected."""

FORMS = f"one of {', '.join(METRICS)}; FILE.py:NAME; {{judge: {{rubric: TEXT}}}}; or {{parts: {{NAME: METRIC}}}}"
"""What a metric may be, in one line."""
