"""What a program starts in other processes comes by the tap's proxy: subprocesses by their environment, forks by the address."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import wrapt

from .tap import tapping

_ENV = 10
"""Where the environment stands among `Popen`'s arguments, for whoever does not name it."""


def follow_processes() -> None:
    """From now on a process that is started in a tap's context has its model calls go past it. Python's own way of spawning workers
    takes no environment: a worker that is not forked is not followed."""
    wrapt.wrap_function_wrapper(subprocess.Popen, "__init__", _popen)
    os.register_at_fork(before=_before_fork)


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
