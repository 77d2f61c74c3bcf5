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


def goal_of(given: object) -> str:
    """The goal, without blanks around it.

    Raises:
        UserError: if it is no text, or empty.
    """
    if not isinstance(given, str):
        raise UserError("goal", kind_of(given), "a sentence")
    if not given.strip():
        raise UserError("goal", "nothing", "a sentence")
    return given.strip()


def fields_of(given: Fields, where: str) -> tuple[Field, ...]:
    """Fields from any of the ways in which they may be given.

    Raises:
        UserError: naming `where` and the field, for a bad name or type, an unknown key, or no fields.
    """
    if isinstance(cast("object", given), Mapping):
        items = cast("Mapping[object, object]", given)
        fields = [_field(name, each, where) for name, each in items.items()]
    elif isinstance(cast("object", given), list | tuple):
        fields = [each if isinstance(cast("object", each), Field) else None for each in given]
        if None in fields:
            raise UserError(where, "a list of other things than fields", "name: type, or a list of Field")
    else:
        raise UserError(where, kind_of(given), "fields as name: type")
    found = tuple(cast("list[Field]", fields))
    names = [field.name for field in found]
    for name in names:
        if not is_name(name) or names.count(name) > 1:
            raise UserError(where, f"the name {name!r}", "an identifier of at most 64 characters, each once")
    if not found:
        raise UserError(where, "no fields", "at least one")
    return found


def _field(name: object, given: object, where: str) -> Field:
    spot = f"{where}.{name}"
    if isinstance(given, Field):
        return replace(given, name=str(name))
    about: object = ""
    if isinstance(given, Mapping):
        parts = cast("Mapping[str, object]", given)
        unknown = [key for key in parts if key not in ("type", "about")]
        if unknown or "type" not in parts:
            found = f"the key {unknown[0]!r}" if unknown else "no type"
            raise UserError(spot, found, "type and about, or the type alone")
        given, about = parts["type"], parts.get("about") or ""
    if not isinstance(about, str):
        raise UserError(f"{spot}.about", kind_of(about), "a text")
    if given is None or isinstance(given, int | float | list | tuple):
        raise UserError(spot, kind_of(cast("object", given)), "a type, such as str or list[int]")
    if not isinstance(given, str):
        from .signature import read_hint  # only tasks that are made in Python have hints

        kind, note = read_hint(given, spot)
        return Field(str(name), kind, about or note)
    try:
        return Field(str(name), Type.parse(given), about)
    except TypeSyntaxError as error:
        told = cut(given, MOST_SHOWN)
        detail = str(error).removeprefix(f"type {told!r}: ").partition("; expected ")[0]
        found = f"the type {told!r}" + ("" if detail == f"found {told!r}" else f" ({detail})")
        raise UserError(spot, found, one_of(given, _TYPES)) from None
