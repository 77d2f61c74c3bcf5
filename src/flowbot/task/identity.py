"""The identity of a user's callable: its name, the hash of the file it stands in, and the values bound to it."""

from __future__ import annotations

import hashlib
import linecache
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any, cast

from flowbot.fields import stable_hash
from flowbot.fields.files import sha256

from .bound import bound_values


def file_identity(name: str, path: Path) -> str:
    """`name@sha256` for a callable of that name in a source file that is not imported."""
    return f"{name}@{sha256(path)}"


def callable_identity(call: Callable[..., Any]) -> str:
    """`name@sha256`: qualified name and SHA-256 of the source file; then a hash of what is bound, where that can be told.

    Arguments of a partial and variables that a function closes over are bound. What the callable imports or reads is no
    part of it.
    """
    values = bound_values(call)
    return f"{source_identity(call)} with {stable_hash(values)[:16]}" if values else source_identity(call)


def is_told_apart(call: Callable[..., Any]) -> bool:
    """Whether its identity tells a callable from every other: not so for methods of objects; see `bound_values`."""
    return bound_values(call) is not None


def source_identity(call: Callable[..., Any]) -> str:
    """`name@sha256` alone. Without a source file (a console) the compiled code is hashed; a built-in function is known by
    its name."""
    function = underlying(call)
    name = str(getattr(function, "__qualname__", type(call).__qualname__))
    if not isinstance(function, FunctionType):
        return f"{getattr(function, '__module__', '')}.{name}"
    path = Path(function.__code__.co_filename)
    if path.is_file():
        return file_identity(name, path)
    # A notebook's cell has no file, but its lines are kept for tracebacks.
    lines = linecache.getlines(function.__code__.co_filename)
    source = "".join(lines).encode() if lines else _code_bytes(function.__code__)
    return f"{name}@{hashlib.sha256(source).hexdigest()}"


def underlying(call: Callable[..., Any]) -> Any:
    """The function behind partials, decorators that keep `__wrapped__`, bound methods and callable objects."""
    found: Any = call
    for _ in range(32):
        if isinstance(found, partial):
            found = cast("Any", found).func
        elif isinstance(found, FunctionType):
            inner = getattr(found, "__wrapped__", None)
            if inner is None:
                return found
            found = inner
        elif hasattr(found, "__func__"):
            found = found.__func__
        else:
            classes = cast("type[Any]", type(found)).__mro__
            method = next((vars(each)["__call__"] for each in classes if "__call__" in vars(each)), None)
            if not isinstance(method, FunctionType):
                return found
            found = method
    return found


def _code_bytes(code: CodeType) -> bytes:
    constants = [_code_bytes(each).hex() if isinstance(each, CodeType) else repr(each) for each in code.co_consts]
    return repr((code.co_code.hex(), constants, code.co_names, code.co_varnames)).encode()
