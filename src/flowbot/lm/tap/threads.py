"""A program's own threads run in the context that started them, so that their model calls, steps and texts are its own.

What it puts into the threads of the event loop that it shares with the run goes to others: when each of the loop's waited for a model, none
were left for the local server, the look-up of a host and whatever else an answer needs there, and all stood still.
"""

from __future__ import annotations

import threading
from asyncio import base_events
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
    wrapt.wrap_function_wrapper(base_events.BaseEventLoop, "run_in_executor", _run_in_executor)


def _submit(wrapped: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if tapping.get() is None or not args:
        return wrapped(*args, **kwargs)
    return wrapped(forked(args[0]), *args[1:], **kwargs)


def _start(wrapped: Callable[[], None], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    # A pool's thread serves many: each of its calls brings a context of its own.
    if tapping.get() is not None and getattr(instance, "_target", None) is not _WORKER:
        instance.run = forked(instance.run)
    return wrapped(*args, **kwargs)


def _run_in_executor(wrapped: Callable[..., Any], loop: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    tap = tapping.get()
    if tap is not None and args and args[0] is None:
        args = (tap.threads(loop), *args[1:])
    return wrapped(*args, **kwargs)


_WORKER: Any = getattr(thread, "_worker", None)
