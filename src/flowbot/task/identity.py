"""The identity of a user's callable: where it comes from, and what is bound to it: arguments, defaults, variables that it reads."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import partial
from math import isfinite
from pathlib import Path, PurePath
from re import Pattern
from types import BuiltinFunctionType, CellType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any, cast

from flowbot.fields import canonical_json, stable_hash

from .imports import content_hash, is_installed, own_imports
from .source_code import CACHED, function_identity, is_current, source_file, source_identity

_PLAIN = (str, int, float, bool, type(None))
_DEPTH = 100
_MOST = 100_000
"""Values that are looked at."""


def file_identity(name: str, path: Path) -> str:
    """`name@sha256` for a callable of that name in a source file that is not imported; see `content_hash`."""
    return f"{name}@{content_hash(path)}"


def callable_identity(call: Callable[..., Any]) -> str:
    """`name@sha256`: see `source_identity`; then a hash of what is bound to it, as far as that can be told.

    Bound are the arguments of a partial, defaults, variables that a function closes over or reads from its module, the
    function that it wraps and the state of an object; see `bound_values`. What the callable reads elsewhere is no part of it.
    """
    values = bound_values(call, strict=False)
    return f"{source_identity(call)} with {stable_hash(values)[:16]}" if values else source_identity(call)


def is_told_apart(call: Callable[..., Any]) -> bool:
    """Whether its identity tells a callable from every other: not so for methods of objects; see `bound_values`."""
    return bound_values(call) is not None


def bound_values(call: Callable[..., Any], *, strict: bool = True) -> list[Any] | None:
    """What is bound to a callable, by value, as JSON data.

    Args:
        call: the callable.
        strict: False: what cannot be told stands as the name of its type, an object with what its attributes hold.

    Returns:
        empty for a plain function; None where it cannot be told: a method of an object, a callable object, a function whose
        file was changed since its import, or a bound value that has no content of its own to go by.
    """
    try:
        return _Reader(strict=strict).of_call(call, _DEPTH)
    except _Untold:
        return None


class _Untold(Exception):
    """A value whose content cannot be told."""


class _Reader:
    """Reads one callable; a function or an object that is met again, as where two hold each other, adds nothing."""

    def __init__(self, *, strict: bool) -> None:
        self.strict = strict
        self.seen: dict[int, object] = {}
        self.known: dict[Path, set[Path]] = {}
        self.left = _MOST

    def of_call(self, call: Any, depth: int) -> list[Any]:
        if depth < 0:
            raise _Untold
        if isinstance(call, partial):
            made = cast("partial[Any]", call)
            given = [self.of_value(list(made.args), depth - 1), self.of_value(made.keywords, depth - 1)]
            return [*self.of_call(made.func, depth - 1), given]
        if isinstance(call, FunctionType):
            return self.of_function(call, depth)
        if isinstance(call, CACHED):
            return self.of_call(call.__wrapped__, depth - 1)
        if isinstance(call, type):
            return [self.of_class(cast("type[Any]", call))]
        if isinstance(call, BuiltinFunctionType) and isinstance(call.__self__, ModuleType | None):
            return []
        is_method = isinstance(call, MethodType)
        if self.strict and not (is_method and isinstance(call.__self__, type)):
            raise _Untold  # what an object's other methods read is not looked at
        if is_method:
            return [*self.of_call(call.__func__, depth - 1), self.of_value(call.__self__, depth - 1)]
        return [self.of_object(call, depth)]

    def of_function(self, function: FunctionType, depth: int) -> list[Any]:
        if not self.is_first(function):
            return []
        if self.strict and not is_current(function):
            raise _Untold
        found: list[Any] = []
        wrapped: Any = getattr(function, "__wrapped__", None)
        if wrapped is not None:
            found += [["wraps", function_identity(function)], *self.of_call(wrapped, depth - 1)]
        for given in (function.__defaults__, function.__kwdefaults__):
            if given:
                found.append(["defaults", self.of_value(given, depth - 1)])
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            held = self.held(cell)
            if wrapped is None or held is not wrapped:
                found.append([name, self.of_value(held, depth - 1)])
        return [*found, *self.of_globals(function, depth)]

    def of_globals(self, function: FunctionType, depth: int) -> Iterator[Any]:
        """Variables of its module that a function reads. The module's file, which is part of the function's own identity, tells
        of most of them; not of a number or a text, which may be set from without. A notebook's cell tells of none."""
        file = source_file(function)
        for name in sorted(_read_globals(function.__code__)):
            value = function.__globals__.get(name)
            if name.startswith("__") or name not in function.__globals__:
                continue
            source = _file_of(value)
            if _is_constant(value) or (file is None and source is None):
                yield [name, self.of_value(value, depth - 1)]
            elif source is not None and not is_installed(source):
                more = self.of_call(value, depth - 1) if isinstance(value, FunctionType) else []
                apart = file is None or source not in self.told_by(file)
                if more or apart:
                    yield [name, content_hash(source) if apart else "", more]

    def told_by(self, file: Path) -> set[Path]:
        """The files whose content is part of the identity of a function in `file`."""
        if file not in self.known:
            self.known[file] = {file.resolve(), *own_imports(file)}
        return self.known[file]

    def of_value(self, value: Any, depth: int) -> Any:
        self.left -= 1
        if depth < 0 or self.left < 0:
            raise _Untold
        kind = type(cast("object", value))
        if kind is float and not isfinite(value):
            return repr(value)
        if kind in _PLAIN:
            return value
        if kind in (list, tuple):
            return [self.of_value(each, depth - 1) for each in value]
        if kind is dict:
            return ["dict", self.of_items(value, depth)]
        if isinstance(value, FunctionType | MethodType | BuiltinFunctionType | partial | CACHED):
            call = cast("Callable[..., Any]", value)
            return [source_identity(call), self.of_call(call, depth - 1)]
        match value:
            case set() | frozenset():
                members = [self.of_value(each, depth - 1) for each in cast("set[Any]", value)]
                return ["set", sorted(members, key=canonical_json)]
            case Enum():
                return [self.of_class(type(value)), value.name]
            case bytes() | PurePath() | Decimal() | date() | time() | timedelta() | range():
                return [type(value).__name__, repr(value)]
            case Pattern():
                pattern = cast("Pattern[Any]", value)
                return ["re", repr(pattern.pattern), pattern.flags]
            case ModuleType():
                content = _own_content(value)
                return [value.__name__, content] if content else value.__name__
            case type():
                return self.of_class(cast("type[Any]", value))
            case _:
                return self.of_object(value, depth)

    def of_items(self, items: Mapping[Any, Any], depth: int) -> list[Any]:
        texts = all(type(name) is str for name in items)
        return [
            [name if texts else self.of_value(name, depth - 1), self.of_value(value, depth - 1)]
            for name, value in items.items()
        ]

    def of_class(self, found: type[Any]) -> Any:
        if self.strict and found.__module__ == "__main__" and not _own_content(found):
            raise _Untold  # of a notebook or a console
        name, content = f"{found.__module__}.{found.__qualname__}", _own_content(found)
        return [name, content] if content else name

    def of_object(self, value: Any, depth: int) -> Any:
        """An object changes as it is used, so its state now does not tell what it gives later; but for one that is nothing but
        fields that stay. What others' objects hold (the cookies of a session) changes of itself, and so is not looked at."""
        kind = cast("type[Any]", type(value))
        fields = _lasting_fields(value)
        if fields is not None:
            return [self.of_class(kind), self.of_items(fields, depth)]
        if self.strict:
            raise _Untold
        state: object = getattr(value, "__dict__", None)
        if type(state) is not dict or not _is_own(kind) or not self.is_first(value):
            return self.of_class(kind)
        return [self.of_class(kind), self.of_value(state, depth - 1)]

    def held(self, cell: CellType) -> Any:
        try:
            return cell.cell_contents
        except ValueError:  # a variable that has no value yet
            if self.strict:
                raise _Untold from None
            return None

    def is_first(self, value: object) -> bool:
        """Whether it was not met before. It is kept, so that no other gets its number."""
        known = id(value) in self.seen
        self.seen[id(value)] = value
        return not known


def _read_globals(code: CodeType) -> set[str]:
    """Names of the module's variables that a function, or one inside of it, reads and does not set."""
    from dis import get_instructions

    read: set[str] = set()
    written: set[str] = set()
    for each in get_instructions(code):
        if each.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            read.add(each.argval)
        elif each.opname in ("STORE_GLOBAL", "DELETE_GLOBAL"):
            written.add(each.argval)
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            read |= _read_globals(inner)
    return read - written


def _is_constant(value: object) -> bool:
    """Whether it is a number, a text or a tuple of such, which nothing changes but another assignment."""
    return type(value) in _PLAIN or (type(value) is tuple and all(map(_is_constant, cast("tuple[object, ...]", value))))


def _lasting_fields(value: Any) -> dict[str, Any] | None:
    """What a named tuple or a frozen dataclass holds; None for what may hold more, or something else later."""
    kind = cast("type[Any]", type(value))
    made: Any = getattr(kind, "__dataclass_params__", None)
    names: tuple[str, ...]
    if tuple in kind.__mro__ and hasattr(kind, "_fields"):
        names = kind._fields
    elif made is not None and made.frozen:
        names = tuple(kind.__dataclass_fields__)
    else:
        return None
    more = set[str](getattr(value, "__dict__", ())) - set(names)
    if more or "<locals>" in kind.__qualname__:  # a class that may close over something
        return None
    return {name: getattr(value, name, None) for name in names}


def _is_own(found: type[Any]) -> bool:
    """Whether a class is the user's own: it stands in a file that is not installed, or in a notebook."""
    file = _file_of(found)
    return found.__module__ not in sys.builtin_module_names if file is None else not is_installed(file)


def _file_of(value: object) -> Path | None:
    """The file that a function, class or module stands in, where there is one."""
    if isinstance(value, FunctionType):
        return source_file(value)
    module = value if isinstance(value, ModuleType) else None
    if isinstance(value, type | BuiltinFunctionType | CACHED):
        module = sys.modules.get(str(value.__module__))
    file: object = getattr(module, "__file__", None)
    return Path(file).resolve() if isinstance(file, str) and Path(file).is_file() else None


def _own_content(value: object) -> str:
    """What tells of the content of a user's own class or module; "" for what is installed, and for what has no file."""
    file = _file_of(value)
    return "" if file is None or is_installed(file) else content_hash(file)
