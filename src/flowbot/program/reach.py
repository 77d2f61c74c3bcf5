"""What a program can read: the `Param`s and `Value`s that its code leads to. Nothing is called."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any, cast

from .params import Param, Value
from .sites import of_user

_MOST = 20_000
"""Objects that are looked at."""
_DEPTH = 2
"""Containers and objects within each other that are looked into."""


def tunable(program: Callable[..., Any]) -> tuple[Param | Value, ...]:
    """The texts and values that a program's code reads, by way of functions, classes, modules and containers of the user's own.

    In the order in which the code names them. What it finds in another way (by `getattr` of a text) is not seen, nor what
    installed packages other than the program's own read.

    Raises:
        ValueError: if two of them have one name.
    """
    home = _top(getattr(program, "__module__", None) or type(program).__module__)
    found: dict[str, Param | Value] = {}
    seen: dict[int, Any] = {}
    waiting: list[tuple[Any, int]] = [(program, 0)]
    while waiting and len(seen) < _MOST:
        each, depth = waiting.pop()
        if isinstance(each, Param | Value):
            if found.setdefault(each.name, each) is not each:
                raise ValueError(f"two of the name {each.name!r}: {found[each.name].where} and {each.where}")
        elif id(each) not in seen:
            seen[id(each)] = each  # kept, so that no other gets its number
            waiting += reversed([*_led_to(each, depth, home)])
    return tuple(found.values())


def _led_to(each: Any, depth: int, home: str) -> Iterator[tuple[Any, int]]:
    match each:
        case MethodType():
            yield from ((each.__self__, 0), (each.__func__, 0))
        case FunctionType():
            yield from ((held, 0) for held in _of_function(each, home))
        case staticmethod() | classmethod():
            yield cast("Any", each).__func__, 0
        case property():
            yield each.fget, 0
        case type():
            if _own(each.__module__, home):
                yield from ((member, 0) for member in (*vars(each).values(), *each.__bases__))
        case dict() | list() | tuple() | set() | frozenset():
            if depth < _DEPTH:
                held = cast("dict[Any, Any]", each).values() if isinstance(each, dict) else cast("list[Any]", each)
                yield from ((member, depth + 1) for member in [*held][:_MOST])
        case _:
            yield inspect.getattr_static(each, "__wrapped__", None), 0  # such as a function with a cache
            if depth < _DEPTH and _own(type(each).__module__, home):
                yield from ((member, depth + 1) for member in getattr(each, "__dict__", {}).values())
                yield type(each), 0


def _of_function(function: FunctionType, home: str) -> Iterator[Any]:
    """What a function's code names: globals, attributes of modules, what it closes over, its defaults."""
    yield inspect.unwrap(function)
    if not _own(function.__module__, home):
        return
    names = [*_names(function.__code__)]
    for held in (function.__globals__.get(name) for name in names):
        if not isinstance(held, ModuleType):
            yield held
        elif _own(held.__name__, home):
            yield from (vars(held)[name] for name in names if name in vars(held))
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # a variable that has no value yet
            continue
    yield from (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values())


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _names(inner)


def _top(module: str) -> str:
    return module.partition(".")[0]


def _own(module: str | None, home: str) -> bool:
    """Whether a module is the user's: of the program's own package, or not of an installed one."""
    top = _top(module or "")
    if top == home or not top:
        return bool(top)
    if top in sys.stdlib_module_names or top == _top(__name__):
        return top == "__main__"
    file: object = getattr(sys.modules.get(top), "__file__", None)
    return not isinstance(file, str) or of_user(file)
