"""A program's own threads run in the context that started them, so that their model calls, steps and texts are its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, thread
from typing import Any

import wrapt

from flowbot.program.strands import forked

from .tap import tapping


def copy_contexts() -> None:
    """From now on a thread, or a call in a pool of threads, that is started in a tap's context runs in a copy of it."""
    wrapt.wrap_function_wrapper(ThreadPoolExecutor, "submit", _submit)
    wrapt.wrap_function_wrapper(threading.Thread, "start", _start)


def _submit(wrapped: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if tapping.get() is None or not args:
        return wrapped(*args, **kwargs)
    return wrapped(forked(args[0]), *args[1:], **kwargs)


def _start(wrapped: Callable[[], None], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    # A pool's thread serves many: each of its calls brings a context of its own.
    if tapping.get() is not None and getattr(instance, "_target", None) is not _WORKER:
        instance.run = forked(instance.run)
    return wrapped(*args, **kwargs)


_WORKER: Any = getattr(thread, "_worker", None)
