"""DSPy and Optuna print, draw bars and log to the terminal. Where they work for a search they do not; for anybody else they do as ever."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from functools import cache
from importlib import import_module
from types import SimpleNamespace
from typing import Any

_SAY = print
_QUIET = ContextVar("flowbot_dspy_quiet", default=False)
_PRINTS = ("teleprompt.bootstrap", "teleprompt.utils", "propose.grounded_proposer", "propose.utils")
_DRAWS = ("teleprompt.bootstrap", "evaluate.evaluate", "utils.parallelizer")


def quiet_dspy() -> None:
    """From now on DSPy is quiet in this thread: in the context of it, to be exact."""
    _teach()
    _QUIET.set(True)


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
def _teach() -> None:
    bar = SimpleNamespace(tqdm=_Bar(import_module("tqdm").tqdm))
    for name in {*_PRINTS, *_DRAWS}:
        module: Any = import_module(f"dspy.{name}")
        if name in _PRINTS:
            module.print = _print
        if name in _DRAWS:
            module.tqdm = bar
    import_module("optuna").logging.get_verbosity()  # it sets its logger up when that is first needed
    for handler in (*logging.getLogger("dspy").handlers, *logging.getLogger("optuna").handlers):
        handler.addFilter(lambda record: not _QUIET.get())


def _print(*args: Any, **given: Any) -> None:
    if not _QUIET.get():
        _SAY(*args, **given)
