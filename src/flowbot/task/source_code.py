"""Where a callable comes from: its source, and which of the functions in that it is."""

from __future__ import annotations
import __future__

import ast
import hashlib
import linecache
import warnings
from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any, cast

from flowbot.fields.files import read_bytes

from .imports import MOST_SOURCE, content_hash

CACHED: type = type(lru_cache(int))
"""What `functools.cache` and `lru_cache` make of a function."""
_FUTURE = sum({getattr(__future__, name).compiler_flag for name in __future__.all_feature_names})
"""The flags of compiled code that `from __future__ import` sets."""


def source_identity(call: Callable[..., Any]) -> str:
    """`name@sha256`: the qualified name of the function behind a callable, and the hash of its source file and of what that
    imports of the user's own; or of a notebook's cell.

    Of several functions of one name in a source the second is `name#1`, and so on. Where no source holds the function, its
    compiled code is hashed too. A built-in function is known by its name.
    """
    function = underlying(call)
    if isinstance(function, FunctionType):
        return function_identity(function)
    return f"{getattr(function, '__module__', '')}.{getattr(function, '__qualname__', type(call).__qualname__)}"


def function_identity(function: FunctionType) -> str:
    """As `source_identity`, of a function itself: not of one that it wraps."""
    name, code = function.__qualname__, function.__code__
    source = _source(code)
    if source is None:
        return f"{name}@{_code_hash(code)}"
    file = source_file(function)
    told = hashlib.sha256(source).hexdigest() if file is None else content_hash(file)
    place = _place(code, source)
    if place is None:
        return f"{name}@{told} as {_code_hash(code)[:16]}"
    return f"{name}{f'#{place}' if place else ''}@{told}"


def is_current(function: FunctionType) -> bool:
    """Whether the source of a function is still that which it was made from: a file may be changed after its import."""
    source = _source(function.__code__)
    return source is None or _place(function.__code__, source) is not None


def source_file(function: FunctionType) -> Path | None:
    """The file that a function stands in; None for a console's or a notebook's."""
    path = Path(function.__code__.co_filename)
    return path if path.is_file() else None


def underlying(call: Callable[..., Any]) -> Any:
    """The function behind partials, decorators that keep `__wrapped__`, bound methods and callable objects."""
    found: Any = call
    for _ in range(32):
        if isinstance(found, partial):
            found = cast("Any", found).func
        elif isinstance(found, FunctionType | CACHED):
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


def _source(code: CodeType) -> bytes | None:
    path = Path(code.co_filename)
    if path.is_file():
        return read_bytes(path, limit=MOST_SOURCE)
    # A notebook's cell has no file, but its lines are kept for tracebacks.
    lines = linecache.getlines(code.co_filename)
    return "".join(lines).encode(errors="surrogatepass") if lines else None


def _place(code: CodeType, source: bytes) -> int | None:
    """Which of the functions of its name in the source it is; None for one that is not there.

    Compiled code says where it stands to the column, so two lambdas of one line are told apart.
    """
    for apart in (False, True):
        compiled = _compiled(source, code.co_flags & _FUTURE, apart=apart)
        named = [each for each in compiled if each.co_qualname == code.co_qualname]
        if code in named:
            return named.index(code)
    return None


@lru_cache(maxsize=8)
def _compiled(source: bytes, flags: int, *, apart: bool) -> tuple[CodeType, ...]:
    """All code in a source, in its order. It is compiled and not run.

    Args:
        source: the text.
        flags: what `from __future__ import` sets elsewhere.
        apart: each statement alone, as notebooks do it; the code of calls can differ from that of a whole module.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its author was told when it was imported
        try:
            tree = ast.parse(source)
            parts = [ast.Module([each], []) for each in tree.body] if apart else [tree]
            flags |= ast.PyCF_ALLOW_TOP_LEVEL_AWAIT  # a cell may have it
            found = [compile(each, "source", "exec", flags=flags, dont_inherit=True) for each in parts]
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return ()
    for each in found:  # which grows meanwhile
        found += [part for part in each.co_consts if isinstance(part, CodeType)]
    return tuple(found)


def _code_hash(code: CodeType) -> str:
    return hashlib.sha256(repr(_code(code)).encode(errors="surrogatepass")).hexdigest()


def _code(code: CodeType) -> tuple[Any, ...]:
    names = (code.co_names, code.co_varnames, code.co_freevars)
    return code.co_code.hex(), [_constant(each) for each in code.co_consts], *names


def _constant(value: object) -> object:
    """A constant of compiled code, equal in every process: a set has its order by chance."""
    match value:
        case CodeType():
            return _code(value)
        case tuple():
            return [_constant(each) for each in cast("tuple[object, ...]", value)]
        case frozenset():
            return sorted(repr(_constant(each)) for each in cast("frozenset[object]", value))
        case _:
            return repr(value)
