"""A field: a named, typed, described value. Inputs and outputs of tasks, steps and tools are fields."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from .types import Type, object_schema

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}\Z")


@dataclass(frozen=True, slots=True)
class Field:
    """A named, typed, described value.

        >>> fb.Field.of("total", "int", "how many items in all")
        Field(name='total', type=Type(kind='int', …), about='how many items in all')

    Args:
        name: an identifier of at most 64 characters.
        type: a `Type`.
        about: what it is, for people and models. May be empty.
    """

    name: str
    type: Type
    about: str = ""

    @staticmethod
    @lru_cache(4096)  # a step's outputs are asked for at each of its calls
    def of(name: str, type: str, about: str = "") -> Field:
        """A field from a type's notation: `Field.of("total", "int", "euros in all")`."""
        return Field(name, Type.parse(type), about)


def is_name(text: str) -> bool:
    """Whether `text` can name a field or a node: an identifier, not a Python keyword."""
    return bool(NAME.match(text)) and not keyword.iskeyword(text)


def fields_schema(fields: Iterable[Field]) -> dict[str, Any]:
    """JSON schema of an object that holds these fields, all required, in order; `about` becomes the description."""
    listed = list(fields)
    schema = object_schema({field.name: field.type for field in listed})
    for field in listed:
        if field.about:
            schema["properties"][field.name]["description"] = field.about
    return schema


@dataclass(frozen=True, slots=True)
class ToolSignature:
    """What a workflow needs to know of a tool, as data.

    Args:
        name: how workflows call it.
        about: its first docstring line, for models.
        inputs: parameters by name; `optional` names those that have a default.
        outputs: its results by name; a plain return value is the single output `result`.
        effects: `reads` may be called thousands of times; `writes` changes the world.
        pure: same arguments, same result, always: need not be stored.
        simulated: a tool that writes has a stand-in, which a search calls in its place.
    """

    name: str
    about: str
    inputs: tuple[Field, ...]
    outputs: tuple[Field, ...]
    effects: Literal["reads", "writes"] = "reads"
    pure: bool = False
    optional: frozenset[str] = frozenset()
    simulated: bool = False


Values = Mapping[str, Any]
"""Values by field name: JSON values that fit the fields' types."""
