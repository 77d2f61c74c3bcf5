"""What a program starts belongs to it, so that model calls, steps and texts are its own: threads run in the context that started them,
subprocesses come by the tap's proxy through their environment, forks by the address.

What it puts into the threads of the event loop that it shares with the run goes to others: when each of the loop's waited for a model, none
were left for the local server, the look-up of a host and whatever else an answer needs there, and all stood still.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from asyncio import base_events
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, thread
from typing import Any

import wrapt

from flowbot.program.strands import forked

from .tap import tapping

_ENV = 10
"""Where the environment stands among `Popen`'s arguments, for whoever does not name it."""
_WORKER: Any = getattr(thread, "_worker", None)


def follow() -> None:
    """From now on what is started in a tap's context is followed: threads, calls in a pool of threads, processes. Python's own way of spawning
    workers takes no environment: a worker that is not forked is not."""
    wrapt.wrap_function_wrapper(ThreadPoolExecutor, "submit", _submit)
    wrapt.wrap_function_wrapper(threading.Thread, "start", _start)
    wrapt.wrap_function_wrapper(base_events.BaseEventLoop, "run_in_executor", _run_in_executor)
    wrapt.wrap_function_wrapper(subprocess.Popen, "__init__", _popen)
    os.register_at_fork(before=_before_fork)


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


def _popen(wrapped: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    tap = tapping.get()
    if tap is None or not tap.at_home:
        return wrapped(*args, **kwargs)
    if sys._getframe(1).f_globals.get("__name__") == subprocess.__name__:  # pyright: ignore[reportPrivateUsage]
        tap.require_thread()  # `subprocess.run` and its like wait for the process
    given = args[_ENV] if len(args) > _ENV else kwargs.get("env")
    environment = dict(os.environ if given is None else given)
    environment |= tap.passage(environment).environment
    if len(args) > _ENV:
        return wrapped(*args[:_ENV], environment, *args[_ENV + 1 :], **kwargs)
    return wrapped(*args, **{**kwargs, "env": environment})


def _before_fork() -> None:
    tap = tapping.get()
    if tap is not None and tap.at_home and not tap.closed:
        tap.passage(os.environ)
