"""A metric as it stands in a task file, or as the same data in Python.

metric: exact
metric: metrics.py:score
metric: {call: metrics.py:score, pure: true}
metric: {judge: {rubric: The reply is polite and names the order., repeats: 3}}
metric: {parts: {urgency: {metric: exact, on: urgency, weight: 2}, reply: {judge: {rubric: …}, on: reply}}}
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from flowbot.fields import UserError
from flowbot.fields.words import kind_of

from .judge import read_judge
from .mapping import mapping, placed
from .metrics import FORMS, Metric, Part, Parts

Named = Callable[[Any, bool, str], Metric]
"""The metric of what is no mapping: `(what was given, whether it is said to be pure, its place)`."""
_KINDS = ("call", "judge", "parts")


def read_metric(value: Any, where: str, named: Named) -> Metric:
    """The metric of what stands in a file.

    Args:
        value: a name, or a mapping of one of the forms above.
        where: its place, for errors.
        named: makes the metric of a name.

    Raises:
        UserError: naming the place.
    """
    if not isinstance(value, Mapping):
        return named(value, False, where)
    data = dict(cast("Mapping[str, Any]", value))
    kinds = [kind for kind in _KINDS if kind in data]
    if len(kinds) != 1:
        keys = f"the keys {', '.join(map(str, data))}" if data else "an empty mapping"
        raise UserError(where, " and ".join(kinds) or keys, FORMS)
    match kinds[0]:
        case "call":
            pure = mapping(data, where, ("call", "pure")).get("pure", False)
            if not isinstance(pure, bool):
                raise UserError(f"{where}.pure", repr(pure), "true or false")
            return named(data["call"], pure, where)
        case "judge":
            return Metric.of(read_judge(mapping(data, where, ("judge",))["judge"], f"{where}.judge"))
        case _:
            return _parts(mapping(data, where, ("parts",))["parts"], where, named)


def plainly(value: Any, pure: bool, where: str) -> Metric:
    """The `Named` of what is given in Python: built-ins by name, callables, judges."""
    with placed("metric", where):
        return Metric.of(value, pure=pure)


def _parts(value: Any, where: str, named: Named) -> Metric:
    if not isinstance(value, Mapping):
        raise UserError(f"{where}.parts", kind_of(value), "{NAME: METRIC}")
    each = cast("Mapping[Any, Any]", value)
    with placed("metric", where):
        return Parts({name: read_part(part, f"{where}.parts.{name}", named) for name, part in each.items()}).metric()


def read_part(value: Any, where: str, named: Named) -> Part:
    """A part: a metric as it stands alone, beside it `on` and `weight`; one that is a name stands under `metric` then.

    Raises:
        UserError: naming the place.
    """
    if isinstance(value, Part):
        return value
    if not isinstance(value, Mapping):
        return Part(named(value, False, where))
    data = dict(cast("Mapping[str, Any]", value))
    on, weight = data.pop("on", ()), data.pop("weight", 1)
    if "metric" in data:
        metric = read_metric(mapping(data, where, ("metric",))["metric"], f"{where}.metric", named)
    else:
        metric = read_metric(data, where, named)
    with placed("weight", f"{where}.weight"), placed("on", f"{where}.on"), placed("metric", where):
        return Part(metric, on=on, weight=weight)
