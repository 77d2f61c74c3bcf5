"""A score in parts: several metrics, each on some of the outputs, weighted."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, cast

from flowbot.fields import Score, UserError, stable_hash

from .example import Example
from .judge import weight_of
from .metrics import Metric, MetricGiven

_LONGEST = 64


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


def leaves(metric: Metric) -> Mapping[str, Part]:
    """The parts of a metric by name; of one without parts the metric itself under ""."""
    return metric.parts or {"": Part(metric)}


def _part(name: object, given: Part | MetricGiven) -> Part:
    if not isinstance(name, str) or not name.strip() or len(name) > _LONGEST:
        raise UserError("metric.parts", f"the name {name!r}", f"a text of at most {_LONGEST} characters")
    from .read_metric import plainly, read_part

    return read_part(given, f"metric.parts.{name}", plainly)
