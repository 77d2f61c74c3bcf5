"""An example: one row of a task's data, its values checked against the task's fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from flowbot.fields.words import brief, named


@dataclass(frozen=True, slots=True)
class Example:
    """One row: inputs and expected outputs. A notebook shows it as a table.

        >>> fb.Example("row-1", {"note": "Two pens, please"}, {"total": 2})
        Example(row-1: note='Two pens, please' → total=2)

    Args:
        id: names the row in a task; given, or a hash of the row.
        inputs: values of the task's input fields.
        expected: values of the output fields that the row gives.
        group: rows of one group stay together when a file is split.
        extra: the row's other columns as they are, for metrics that need more than the expected outputs.
        feedback: a person's words on what a good answer must have, or what was wrong with one. For the metric and the
            search; a workflow never sees it.
        place: where it stands, for errors: `train.jsonl:4`, or `train[3]` of rows given in Python. A task sets it.
    """

    id: str
    inputs: Mapping[str, Any]
    expected: Mapping[str, Any]
    group: str = ""
    extra: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    feedback: str = ""
    place: str = field(default="", compare=False, repr=False, kw_only=True)

    def __repr__(self) -> str:
        said = f"{self.id}: {named(self.inputs)} → {named(self.expected) or '?'}"
        return f"Example({brief(said)})"
