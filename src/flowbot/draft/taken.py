"""A row as it is taken from an export, and what its takers share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

Values = Mapping[str, Any]
NOTHING: Values = {}


@dataclass(frozen=True, slots=True)
class Taken:
    """A row that is taken.

    Args:
        given: what may be an input.
        wanted: what is expected, None where it is not known.
        beside: what is neither.
        prompt: the prompt that goes with it, as a list of messages in JSON.
        metric: how its answer is to be compared, "" where the form does not say.
    """

    given: Values = field(default_factory=dict[str, Any])
    wanted: Values = field(default_factory=dict[str, Any])
    beside: Values = field(default_factory=dict[str, Any])
    prompt: str = ""
    metric: str = ""


def objects(value: Any) -> list[Values]:
    """The objects of a list; none of what is no list."""
    return (
        [cast("Values", each) for each in as_list(value) if isinstance(each, Mapping)]
        if isinstance(value, list)
        else []
    )


def mapping(value: Any) -> Values:
    """An object as it is, an empty one for anything else."""
    return cast("Values", value) if isinstance(value, Mapping) else NOTHING


def as_list(value: Any) -> list[Any]:
    """A list as it is, a value as a list of one, nothing as an empty one."""
    return cast("list[Any]", value) if isinstance(value, list) else [] if value is None else [value]


def without(row: Values, *names: str) -> dict[str, Any]:
    """The row without these columns."""
    return {name: value for name, value in row.items() if name not in names}
