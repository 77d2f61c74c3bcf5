"""What is wanted, as it is given: the goal, and the fields that are given and wanted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from flowbot.fields import Field, Type, TypeSyntaxError, UserError, is_name
from flowbot.fields.near import one_of
from flowbot.fields.types import MOST_SHOWN
from flowbot.fields.words import cut, kind_of

_TYPES = ("str", "int", "float", "bool", "object", "list[T]", "Literal['a', 'b']")
Fields = Mapping[str, Any] | Sequence[Field]
"""Fields as they are given: names with types, or a list of `Field`. A type is a Python type (`str`, `list[int]`,
`Literal["a", "b"]`, `Annotated[int, "euros in all"]`, a TypedDict), its text (`"list[int]"`), a `Field`, or
`{"type": "str", "about": "..."}`."""


def goal_of(value: object) -> str:
    """The goal, without blanks around it.

    Raises:
        UserError: if it is no text, or empty.
    """
    if not isinstance(value, str):
        raise UserError("goal", kind_of(value), "a sentence")
    if not value.strip():
        raise UserError("goal", "nothing", "a sentence")
    return value.strip()


def fields_of(value: Fields, where: str) -> tuple[Field, ...]:
    """Fields from any of the ways in which they may be given.

    Raises:
        UserError: naming `where` and the field, for a bad name or type, an unknown key, or no fields.
    """
    if isinstance(cast("object", value), Mapping):
        items = cast("Mapping[object, object]", value)
        fields = [_field(name, each, where) for name, each in items.items()]
    elif isinstance(cast("object", value), list | tuple):
        fields = [each if isinstance(cast("object", each), Field) else None for each in value]
        if None in fields:
            raise UserError(where, "a list of other things than fields", "name: type, or a list of Field")
    else:
        raise UserError(where, kind_of(value), "fields as name: type")
    found = tuple(cast("list[Field]", fields))
    names = [field.name for field in found]
    for name in names:
        if not is_name(name) or names.count(name) > 1:
            raise UserError(where, f"the name {name!r}", "an identifier of at most 64 characters, each once")
    if not found:
        raise UserError(where, "no fields", "at least one")
    return found


def _field(name: object, value: object, where: str) -> Field:
    spot = f"{where}.{name}"
    if isinstance(value, Field):
        return replace(value, name=str(name))
    about: object = ""
    if isinstance(value, Mapping):
        parts = cast("Mapping[str, object]", value)
        unknown = [key for key in parts if key not in ("type", "about")]
        if unknown or "type" not in parts:
            found = f"the key {unknown[0]!r}" if unknown else "no type"
            raise UserError(spot, found, "type and about, or the type alone")
        value, about = parts["type"], parts.get("about") or ""
    if not isinstance(about, str):
        raise UserError(f"{spot}.about", kind_of(about), "a text")
    if value is None or isinstance(value, int | float | list | tuple):
        raise UserError(spot, kind_of(cast("object", value)), "a type, such as str or list[int]")
    if not isinstance(value, str):
        from .signature import read_hint  # only tasks that are made in Python have hints

        kind, note = read_hint(value, spot)
        return Field(str(name), kind, about or note)
    try:
        return Field(str(name), Type.parse(value), about)
    except TypeSyntaxError as error:
        told = cut(value, MOST_SHOWN)
        detail = str(error).removeprefix(f"type {told!r}: ").partition("; expected ")[0]
        found = f"the type {told!r}" + ("" if detail == f"found {told!r}" else f" ({detail})")
        raise UserError(spot, found, one_of(value, _TYPES)) from None
