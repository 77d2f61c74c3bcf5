"""The identity of a user's callable: its name and the hash of the file it stands in."""

from __future__ import annotations

import hashlib
import linecache
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any, cast


def file_identity(name: str, path: Path) -> str:
    """`name@sha256` for a callable of that name in a source file that is not imported."""
    return f"{name}@{hashlib.sha256(path.read_bytes()).hexdigest()}"


def callable_identity(call: Callable[..., Any]) -> str:
    """`name@sha256`: the callable's qualified name and the SHA-256 of its source file.

    Where there is no source file (a console), its compiled code is hashed. What the callable imports or closes over is
    not part of it. A built-in function is known by its name alone.
    """
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
