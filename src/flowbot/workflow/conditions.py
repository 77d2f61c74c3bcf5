"""Conditions: data, not text. `{ref: n, op: ">", value: 20}`, joined by `all`, `any` and `not`."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, Literal, cast

from pydantic import Discriminator, Field, Tag

from flowbot.fields.foreign import Closed

Op = Literal["==", "!=", "<", "<=", ">", ">=", "in", "contains", "empty"]


class Test(Closed, populate_by_name=True):
    """One comparison of what a reference carries with a constant; `empty` compares with nothing."""

    __test__ = False  # not one of pytest's

    ref: str
    op: Op
    value: Any = None


class All(Closed, populate_by_name=True):
    """True when every part is."""

    parts: tuple[Condition, ...] = Field(min_length=1, validation_alias="all", serialization_alias="all")


class AnyOf(Closed, populate_by_name=True):
    """True when one part is."""

    parts: tuple[Condition, ...] = Field(min_length=1, validation_alias="any", serialization_alias="any")


class Not(Closed, populate_by_name=True):
    """True when its part is not."""

    part: Condition = Field(validation_alias="not", serialization_alias="not")


def _form(data: Any) -> str:
    if data == "else":
        return "<else>"
    if isinstance(data, dict):
        given = cast("dict[str, Any]", data)
        return next((f"<{form}>" for form in ("all", "any", "not") if form in given), "<test>")
    return {All: "<all>", AnyOf: "<any>", Not: "<not>"}.get(cast("type[Any]", type(data)), "<test>")


# The tags stand in the place of an error; no name of a file looks like one, so they can be told and left out.
_Forms = (
    Annotated[Test, Tag("<test>")]
    | Annotated[All, Tag("<all>")]
    | Annotated[AnyOf, Tag("<any>")]
    | Annotated[Not, Tag("<not>")]
)
Condition = Annotated[_Forms, Discriminator(_form)]
"""A comparison, or comparisons joined."""

Guard = Annotated[_Forms | Annotated[Literal["else"], Tag("<else>")], Discriminator(_form)]
"""What stands before a way of a branch: a condition, or `else`."""


def tests_of(condition: Condition) -> Iterator[Test]:
    """The comparisons in a condition, from left to right."""
    match condition:
        case Test():
            yield condition
        case Not():
            yield from tests_of(condition.part)
        case All() | AnyOf():
            for part in condition.parts:
                yield from tests_of(part)


def rewired_condition(condition: Condition, swap: Mapping[str, str]) -> Condition:
    """The condition on other references: old to new."""
    match condition:
        case Test():
            return condition.model_copy(update={"ref": swap.get(condition.ref, condition.ref)})
        case Not():
            return Not(part=rewired_condition(condition.part, swap))
        case All() | AnyOf():
            return condition.model_copy(update={"parts": tuple(rewired_condition(p, swap) for p in condition.parts)})


def holds(condition: Condition, value_of: Callable[[str], Any]) -> bool:
    """Whether a condition holds.

    Args:
        condition: as the checker lets it pass, so that values can be compared.
        value_of: the value of a reference.
    """
    match condition:
        case Test():
            return bool(_COMPARISONS[condition.op](value_of(condition.ref), condition.value))
        case All():
            return all(holds(part, value_of) for part in condition.parts)
        case AnyOf():
            return any(holds(part, value_of) for part in condition.parts)
        case Not():
            return not holds(condition.part, value_of)


def is_empty(value: Any) -> bool:
    """Whether a value says nothing: none, a blank text, an empty list or object."""
    return value is None or (isinstance(value, str) and not value.strip()) or value in ([], {})


def say(condition: Condition) -> str:
    """A condition in words, as `n > 20 and not done == true`."""
    match condition:
        case Test(op="empty"):
            return f"{condition.ref} is empty"
        case Test():
            value = condition.value
            shown = str(value).lower() if isinstance(value, bool) else str(value)
            return f"{condition.ref} {condition.op} {shown}"
        case All():
            return " and ".join(_inside(part) for part in condition.parts)
        case AnyOf():
            return " or ".join(_inside(part) for part in condition.parts)
        case Not():
            return f"not {_inside(condition.part)}"


def _inside(condition: Condition) -> str:
    return f"({say(condition)})" if isinstance(condition, All | AnyOf) else say(condition)


_COMPARISONS: Mapping[Op, Callable[[Any, Any], Any]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "in": lambda value, known: value in known,
    "contains": operator.contains,
    "empty": lambda value, _: is_empty(value),
}
