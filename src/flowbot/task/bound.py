"""What is bound to a callable beside its source: arguments of partials and variables that functions close over."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from math import isfinite
from types import BuiltinFunctionType, CellType, FunctionType, MethodType, ModuleType
from typing import Any, cast

_PLAIN = (str, int, float, bool, type(None))
_DEPTH = 100


def bound_values(call: Callable[..., Any]) -> list[Any] | None:
    """What is bound to a callable, by value, as JSON data.

    Returns:
        empty for a plain function; None where it cannot be told: a method of an object, a callable object, or a bound
        value that JSON cannot hold.
    """
    try:
        return _Reader().of_call(call, _DEPTH)
    except _Untold:
        return None


class _Untold(Exception):
    """A value whose content cannot be told."""


class _Reader:
    """Reads one callable; a function that is met again, as where two call each other, adds nothing."""

    def __init__(self) -> None:
        self.seen: set[int] = set()

    def of_call(self, call: Any, depth: int) -> list[Any]:
        if isinstance(call, partial):
            made = cast("partial[Any]", call)
            given = [self.of_value(list(made.args), depth - 1), self.of_value(made.keywords, depth - 1)]
            return [*self.of_call(made.func, depth - 1), given]
        if isinstance(call, FunctionType):
            return self.of_function(call, depth)
        if isinstance(call, MethodType) and isinstance(call.__self__, type):
            return [*self.of_call(call.__func__, depth - 1), _name(call.__self__)]
        if isinstance(call, type):
            return []
        if isinstance(call, BuiltinFunctionType) and isinstance(call.__self__, ModuleType | None):
            return []
        raise _Untold

    def of_function(self, function: FunctionType, depth: int) -> list[Any]:
        if id(function) in self.seen:
            return []
        self.seen.add(id(function))
        wrapped: Any = getattr(function, "__wrapped__", None)
        found = [] if wrapped is None else self.of_call(wrapped, depth - 1)
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            held = _held(cell)
            if held is not wrapped:
                found.append([name, self.of_value(held, depth - 1)])
        return found

    def of_value(self, value: Any, depth: int) -> Any:
        if depth < 0:
            raise _Untold
        if type(value) in _PLAIN:
            return repr(value) if isinstance(value, float) and not isfinite(value) else value
        if type(value) in (list, tuple):
            return [self.of_value(each, depth - 1) for each in cast("list[Any]", value)]
        if type(value) is dict:
            return ["dict", self.of_items(cast("Mapping[Any, Any]", value), depth)]
        if isinstance(value, ModuleType):
            return value.__name__
        if isinstance(value, type):
            return _name(cast("type[Any]", value))
        if callable(value):
            from .identity import source_identity

            return [source_identity(value), self.of_call(value, depth - 1)]
        raise _Untold

    def of_items(self, given: Mapping[Any, Any], depth: int) -> list[Any]:
        if not all(type(name) is str for name in given):
            raise _Untold
        return [[name, self.of_value(value, depth - 1)] for name, value in given.items()]


def _held(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # a variable that has no value yet
        raise _Untold from None


def _name(found: type[Any]) -> str:
    return f"{found.__module__}.{found.__qualname__}"
