"""The built-in metrics: each compares every expected output of an example and takes the mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from flowbot.fields import Field, Score

from .compare import Comparison, contains, exact, f1, json_fields, normalised, numeric
from .example import Example

VERSION = 2
"""Another where any of them scores otherwise than before, so that runs and scores are not mixed."""
COMPARISONS: Mapping[str, Comparison] = MappingProxyType(
    {each.__name__: each for each in (exact, normalised, numeric, f1, contains, json_fields)}
)
"""How each compares one output, by name."""


def comparing(name: str, outputs: Sequence[Field] = ()) -> Callable[[Example, Mapping[str, Any]], Score]:
    """The built-in metric of that name as a function; told a task's `outputs`, some compare by their types."""
    compare, kinds = COMPARISONS[name], {field.name: field.type for field in outputs}

    def call(example: Example, outputs: Mapping[str, Any]) -> Score:
        verdicts = {
            field: compare(outputs.get(field), wanted, kinds.get(field)) for field, wanted in example.expected.items()
        }
        if not verdicts:
            return Score(0.0, "the example has no expected outputs")
        faults = [f"{field}: {verdict.fault}" for field, verdict in verdicts.items() if verdict.fault]
        parts = {field: verdict.value for field, verdict in verdicts.items()}
        return Score(sum(parts.values()) / len(parts), "; ".join(faults), parts if len(parts) > 1 else {})

    return call
