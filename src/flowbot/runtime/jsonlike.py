"""What a tool or a piece of code gave, as JSON values: nothing else may enter a trace or the store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from flowbot.fields import Field, StepError, ValueMismatch

from .plain_json import Plain, Unfit

FEW, SHORT = 16, 10_000
"""Members and characters so few that no limit is near."""


def to_json(value: Any, place: str = "result") -> Any:
    """`value` as plain JSON data: tuples become lists, sets sorted lists, dataclasses objects.

    Raises:
        StepError: for anything that JSON cannot hold (NaN, bytes, other classes), too deep or too large.
    """
    if (
        value.__class__ is dict
        and len(value) <= FEW
        and all(_is_short(each) for pair in value.items() for each in pair)
    ):
        return {**value}
    try:
        return Plain().value(value, place)
    except Unfit as error:
        raise StepError(str(error)) from None


def to_outputs(value: Any, out_fields: Sequence[Field]) -> dict[str, Any]:
    """`value` as the outputs that were declared, each of its type.

    A value that is no object stands for the only output, where there is only one.

    Raises:
        StepError: if an output is missing or of another type.
    """
    plain = to_json(value)
    names = [field.name for field in out_fields]
    if not isinstance(plain, dict):
        if len(names) != 1:
            raise StepError(f"result: found {type(value).__name__}; expected an object with {', '.join(names)}")
        plain = {names[0]: plain}
    given = cast("dict[str, Any]", plain)
    missing = [name for name in names if name not in given]
    if missing:
        found = ", ".join(given) or "nothing"
        raise StepError(f"result: {', '.join(missing)} is missing; found {found}; expected {', '.join(names)}")
    try:
        return {field.name: field.type.coerce(given[field.name], field.name) for field in out_fields}
    except ValueMismatch as error:
        raise StepError(f"result: {error}") from None


def _is_short(value: Any) -> bool:
    """Whether it is a text that is JSON as it is: most replies are a few of these and no more."""
    return value.__class__ is str and value.isascii() and len(value) < SHORT
