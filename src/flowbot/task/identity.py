"""The identity of a user's callable: where it comes from, and the values bound to it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from flowbot.fields import stable_hash

from .bound import bound_values
from .imports import content_hash
from .origin import source_identity


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
