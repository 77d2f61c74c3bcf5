"""Somebody's value as JSON data, by rules that are the same in FlowBot's process and in the confined one.

The confined process is given this file alone: it imports the standard library, and of that what costs no time.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from json.encoder import encode_basestring

TYPE_CHECKING = False  # `typing` itself would cost a millisecond of each run
if TYPE_CHECKING:
    from typing import Any

MAX_BYTES = 1_000_000
MAX_DEPTH = 40
MAX_INT_BITS = 1023
MAX_NAME = 200
_BITS_A_DIGIT = 3
_LEAST, _CONTAINER = 8, 16
"""Bytes that a number, and a list or object besides what it holds, count as at least: of small ones the work is the cost."""


class Unfit(Exception):
    """A value that JSON cannot hold; the text says where."""


class Plain:
    """One conversion. Counts as it goes: a few lists that hold one another twice unfold to more than fits anywhere."""

    def __init__(self) -> None:
        self.left = MAX_BYTES

    def value(self, value: Any, place: str = "result", depth: int = 0) -> Any:
        """`value` with lists for tuples, sorted lists for sets, objects for dataclasses.

        Raises:
            Unfit: for anything that JSON cannot hold (NaN, bytes, other classes), too deep or too large.
        """
        if depth > MAX_DEPTH:
            raise Unfit(f"{place[:80]}: nested deeper than {MAX_DEPTH}")
        if isinstance(value, str):
            return self._text(value, place)
        if value.__class__ is dict:  # to ask of a plain one whether it is any mapping costs most of the work
            self._count(_CONTAINER, place)
            return self._members(value.items(), place, depth)
        if value is None or isinstance(value, bool | int | float):
            return self._scalar(value, place)
        self._count(_CONTAINER, place)
        held: Any = value
        if isinstance(value, list | tuple):
            return [self.value(each, f"{place}[{index}]", depth + 1) for index, each in enumerate(held)]
        if isinstance(value, set | frozenset):
            # A set has no order of its own; sorted, so that equal sets are equal results.
            return sorted((self.value(each, place, depth + 1) for each in held), key=_canonical)
        if isinstance(value, Mapping):
            return self._members(held.items(), place, depth)
        kind: Any = held.__class__
        if hasattr(kind, "__dataclass_fields__"):
            from dataclasses import fields  # there already, where there is a dataclass

            return self._members([(each.name, getattr(held, each.name)) for each in fields(held)], place, depth)
        raise Unfit(f"{place}: found {kind.__name__}; expected a JSON value")

    def _members(self, items: Iterable[tuple[Any, Any]], place: str, depth: int) -> dict[str, Any]:
        """An object's members; whole numbers may be keys."""
        found: dict[str, Any] = {}
        for key, each in items:
            name = str(self._scalar(key, place)) if isinstance(key, int) and not isinstance(key, bool) else key
            if not isinstance(name, str):
                raise Unfit(f"{place}: found a key of type {type(key).__name__}; expected str")
            found[self._text(name, place)] = self.value(each, f"{place}.{name[:MAX_NAME]}", depth + 1)
        return found

    def _text(self, text: str, place: str) -> str:
        try:
            written = encode_basestring(text)
            self._count((len(written) if text.isascii() else len(written.encode())) + 2, place)
        except UnicodeEncodeError:
            raise Unfit(f"{place}: text that is not valid Unicode") from None
        return str(text)

    def _scalar(self, value: float | None, place: str) -> float | None:
        if value is None or isinstance(value, bool):
            self._count(_LEAST, place)
            return value
        if isinstance(value, int):
            if value.bit_length() > MAX_INT_BITS:
                raise Unfit(f"{place}: an integer of more than {MAX_INT_BITS} bits")
            self._count(max(_LEAST, value.bit_length() // _BITS_A_DIGIT), place)
            return int(value)
        self._count(max(_LEAST, len(repr(value))), place)
        if not math.isfinite(value):
            raise Unfit(f"{place}: found {value}; expected a finite number")
        return float(value)

    def _count(self, size: int, place: str) -> None:
        self.left -= size
        if self.left < 0:
            raise Unfit(f"{place[:80]}: the result is larger than {MAX_BYTES:,} bytes")


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
