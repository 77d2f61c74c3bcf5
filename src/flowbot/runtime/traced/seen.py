"""What a call was handed or gave, as it was at that moment: plain data, and which objects it held."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass, fields, is_dataclass
from datetime import date, time
from enum import Enum
from pathlib import PurePath
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

MOST_LETTERS = 400_000
MOST_PARTS = 20_000
MOST_DEPTH = 12
"""Of one value. What is beyond is left out, as `…`."""
_AS_TEXT = (date, time, PurePath, UUID, BaseException)


@dataclass(frozen=True, slots=True)
class Seen:
    """A value as it was.

    Args:
        value: as JSON-like data; an object that is none by its members, or `<Class>`.
        objects: the mutable ones that it held, which are known again when somebody else is handed them. Kept alive, so that
            no other gets their place.
    """

    value: Any
    objects: tuple[object, ...] = ()


def seen(value: object) -> Seen:
    """A value as it is now."""
    look = _Look()
    return Seen(look.plain(value, 0), tuple(look.objects.values()))


def plain(value: Any, told: Callable[[str], str] = str) -> Any:
    """What was seen without what no JSON can hold, each text as it is `told`."""
    if isinstance(value, float) and not abs(value) < float("inf"):
        return str(value)
    if isinstance(value, dict):
        return {told(name): plain(each, told) for name, each in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [plain(each, told) for each in cast("list[Any]", value)]
    return told(value) if isinstance(value, str) else value


class _Look:
    def __init__(self) -> None:
        self.objects: dict[int, object] = {}
        self.open: set[int] = set()
        self.letters, self.parts = MOST_LETTERS, MOST_PARTS

    def plain(self, value: Any, depth: int) -> Any:
        """As JSON-like data."""
        self.parts -= 1
        if isinstance(value, Enum):
            value = value.value
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, _AS_TEXT):
            value = str(value)
        if isinstance(value, str):
            kept = str(value)[: max(0, self.letters)]
            self.letters -= len(kept)
            return kept
        if self.parts < 0 or depth > MOST_DEPTH or id(value) in self.open:
            return "…"
        self.open.add(id(value))
        try:
            return self.held(value, depth + 1)
        finally:
            self.open.discard(id(value))

    def held(self, value: Any, depth: int) -> Any:
        """What an object holds."""
        members = _members(value)
        if members is not None:
            if value:
                self.objects[id(value)] = value
            return {name: self.plain(each, depth) for name, each in members}
        if isinstance(value, list | tuple | deque | Set):
            items = cast("Iterable[Any]", value)
            if not isinstance(items, tuple | frozenset):
                self.objects[id(items)] = items
            plain = [self.plain(each, depth) for each in items]
            # A set has no order of its own.
            return sorted(plain, key=_sorted_by) if isinstance(items, Set) else plain
        if isinstance(value, bytes | bytearray):
            return f"<{len(value)} bytes>"
        if not callable(value):
            self.objects[id(value)] = value
        kind = cast("Any", type(value))
        return f"<{kind.__name__}>"


def _sorted_by(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def _is_of_dspy(kind: Any) -> bool:
    """An example, or a prediction, which is one: it has items and is no mapping."""
    return any(each.__name__ == "Example" and each.__module__.startswith("dspy.") for each in kind.__mro__)


def _members(value: Any) -> list[tuple[str, Any]] | None:
    """The members of what is data: mappings, dataclasses, named tuples, pydantic and attrs models, namespaces, DSPy's examples."""
    kind = cast("Any", type(value))
    if isinstance(value, Mapping) or _is_of_dspy(kind):
        return [(str(name), each) for name, each in cast("Mapping[Any, Any]", value).items()]
    if is_dataclass(kind):
        names = [each.name for each in fields(kind)]
    elif hasattr(kind, "model_fields") or isinstance(value, SimpleNamespace):
        # A pydantic model keeps what it was given beside its fields in `__pydantic_extra__`.
        return [*vars(value).items(), *(getattr(value, "__pydantic_extra__", None) or {}).items()]
    elif hasattr(kind, "__attrs_attrs__"):
        names = [each.name for each in kind.__attrs_attrs__]
    elif hasattr(kind, "_fields") and issubclass(kind, tuple):
        names = [*value._fields]
    else:
        return None
    return [(name, getattr(value, name)) for name in names if hasattr(value, name)]
