"""DSPy and Optuna print, draw bars and log to the terminal. Where they work for a search they do not; for anybody else they do as ever."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from importlib import import_module
from threading import Lock
from types import SimpleNamespace
from typing import Any

_SAY = print
_QUIET = ContextVar("flowbot_dspy_quiet", default=False)
_PRINTS = ("teleprompt.bootstrap", "teleprompt.utils", "propose.grounded_proposer", "propose.utils")
_DRAWS = ("teleprompt.bootstrap", "evaluate.evaluate", "utils.parallelizer")
_LOCK = Lock()
_before: list[int] = []
"""Optuna's verbosity when each began that is quiet now: DSPy sets it for all threads. Whoever ends last puts back the first."""


@contextmanager
def quiet_dspy() -> Generator[None]:
    """Within it DSPy is quiet in this thread: in the context of it, to be exact."""
    optuna = _teach()
    with _LOCK:
        _before.append(optuna.logging.get_verbosity())
    quiet = _QUIET.set(True)
    try:
        yield
    finally:
        _QUIET.reset(quiet)
        with _LOCK:
            optuna.logging.set_verbosity(_before.pop())


class _Bar:
    """`tqdm.tqdm` for others. A bar that is only hidden is still entered in a list that all threads share, and that DSPy clears."""

    def __init__(self, drawn: Any) -> None:
        self._drawn = drawn

    @property
    def _instances(self) -> Any:
        return set[object]() if _QUIET.get() else self._drawn._instances

    def __call__(self, *args: Any, **given: Any) -> Any:
        return _Nothing(*args) if _QUIET.get() else self._drawn(*args, **given)


class _Nothing:
    """A bar that is not there."""

    def __init__(self, of: Iterable[Any] = ()) -> None:
        self._of = of

    def __iter__(self) -> Iterator[Any]:
        return iter(self._of)

    def __getattr__(self, name: str) -> Callable[..., None]:
        return _ignored


def _ignored(*args: object, **given: object) -> None:
    """Nothing."""


@cache
def _teach() -> Any:
    bar = SimpleNamespace(tqdm=_Bar(import_module("tqdm").tqdm))
    for name in {*_PRINTS, *_DRAWS}:
        module: Any = import_module(f"dspy.{name}")
        if name in _PRINTS:
            module.print = _print
        if name in _DRAWS:
            module.tqdm = bar
    optuna = import_module("optuna")
    optuna.logging.get_verbosity()  # it sets its logger up when that is first needed
    for handler in (*logging.getLogger("dspy").handlers, *logging.getLogger("optuna").handlers):
        handler.addFilter(lambda record: not _QUIET.get())
    return optuna


def _print(*args: Any, **given: Any) -> None:
    if not _QUIET.get():
        _SAY(*args, **given)
