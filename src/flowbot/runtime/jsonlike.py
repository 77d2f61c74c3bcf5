"""What a tool or a piece of code gave, as JSON values: nothing else may enter a trace or the store."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from json.encoder import encode_basestring
from typing import Any, cast

from flowbot.fields import Field, StepError, ValueMismatch, canonical_json
from flowbot.fields.bounds import NAME, VALUE_BYTES, bounded
from flowbot.fields.yaml_core import MOST_BITS

_MAX_DEPTH = 40
_BITS_A_DIGIT = 3
_LEAST, _CONTAINER = 8, 16
"""Bytes that a number, and a list or object besides what it holds, count as at least: of small ones the work is the cost."""


def to_json(value: Any, place: str = "result") -> Any:
    """`value` as plain JSON data: tuples become lists, sets sorted lists, dataclasses objects.

    Raises:
        StepError: for anything that JSON cannot hold (NaN, bytes, other classes), too deep or too large.
    """
    return _Converter().plain(value, place, 0)


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


class _Converter:
    """One conversion. Counts as it goes: a few lists that hold one another twice unfold to more than fits anywhere."""

    def __init__(self) -> None:
        self.left = VALUE_BYTES

    def plain(self, value: Any, place: str, depth: int) -> Any:
        if depth > _MAX_DEPTH:
            raise StepError(f"{place[:80]}: nested deeper than {_MAX_DEPTH}")
        match value:
            case str():
                return self.text(value, place)
            case None | bool() | int() | float():
                return self.scalar(value, place)
            case _:
                self.count(_CONTAINER, place)
        match value:
            case list() | tuple():
                items = cast("list[Any] | tuple[Any, ...]", value)
                return [self.plain(each, f"{place}[{index}]", depth + 1) for index, each in enumerate(items)]
            case set() | frozenset():
                members = cast("set[Any] | frozenset[Any]", value)
                # A set has no order of its own; sorted, so that equal sets are equal results.
                return sorted((self.plain(each, place, depth + 1) for each in members), key=canonical_json)
            case Mapping():
                mapping = cast("Mapping[Any, Any]", value)
                return self.members(mapping.items(), place, depth)
            case _ if is_dataclass(value) and not isinstance(value, type):
                return self.members([(each.name, getattr(value, each.name)) for each in fields(value)], place, depth)
            case _:
                raise StepError(f"{place}: found {type(value).__name__}; expected a JSON value")

    def members(self, items: Iterable[tuple[Any, Any]], place: str, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, each in items:
            name = str(self.scalar(key, place)) if isinstance(key, int) and not isinstance(key, bool) else key
            if not isinstance(name, str):
                raise StepError(f"{place}: found a key of type {type(key).__name__}; expected str")
            found[self.text(name, place)] = self.plain(each, f"{place}.{bounded(name, NAME)}", depth + 1)
        return found

    def text(self, text: str, place: str) -> str:
        try:
            self.count(len(encode_basestring(text).encode()) + 2, place)
        except UnicodeEncodeError:
            raise StepError(f"{place}: text that is not valid Unicode") from None
        return str(text)

    def scalar(self, value: bool | float | None, place: str) -> bool | int | float | None:
        match value:
            case None | bool():
                self.count(_LEAST, place)
                return value
            case int():
                if value.bit_length() > MOST_BITS:
                    raise StepError(f"{place}: an integer of more than {MOST_BITS} bits")
                self.count(max(_LEAST, value.bit_length() // _BITS_A_DIGIT), place)
                return int(value)
            case float():
                self.count(max(_LEAST, len(repr(value))), place)
                if not math.isfinite(value):
                    raise StepError(f"{place}: found {value}; expected a finite number")
                return float(value)

    def count(self, size: int, place: str) -> None:
        self.left -= size
        if self.left < 0:
            raise StepError(f"{place[:80]}: the result is larger than {VALUE_BYTES:,} bytes")
