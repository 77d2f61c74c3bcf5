"""An example: one row of a task's data, its values checked against the task's fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any


@dataclass(frozen=True, slots=True)
class Example:
    """One row: inputs and expected outputs.

    Args:
        id: names the row in a task; given, or a hash of the row.
        inputs: values of the task's input fields.
        expected: values of the output fields that the row gives.
        group: rows of one group stay together when a file is split.
        extra: the row's other columns as they are, for metrics that need more than the expected outputs.
    """

    id: str
    inputs: Mapping[str, Any]
    expected: Mapping[str, Any]
    group: str = ""
    extra: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
