"""Who watches a program run: asked for texts and values, told of steps. Where nobody watches, a program is plain Python.

Both are context variables, so that two candidates may run at once in one process: each task, and each thread that is
started with a copy of its context, sees its own.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

Scalar = bool | int | float | str
"""What a `Value` may be."""
Pair = tuple[str, str]
"""A worked example as two turns: what the user says, and the reply."""
SPEAKERS = ("user", "assistant")
"""Of its turns."""


MISSING: Final[Any] = object()
"""No result: None is one."""


@dataclass(frozen=True, slots=True)
class StepInfo:
    """What is known of a step before it is called.

    Args:
        name: the function's own name, or the one that it was given.
        id: the function, whatever others have that name: `MODULE.CLASS.NAME`, the same in every process.
        kind: `step`, or `tool` for a function that asks no model.
        pure: its result depends on its arguments alone, and is stored.
        reads: names of the steps that it reads; empty: they are found from what it is handed.
        where: `FILE:LINE` of its definition.
        doc: its documentation; "" where it has none.
        function: the function itself.
    """

    name: str
    id: str = ""
    kind: str = "step"
    pure: bool = False
    reads: tuple[str, ...] = ()
    where: str = ""
    doc: str = ""
    function: Callable[..., Any] | None = field(default=None, compare=False, repr=False)


class Call(Protocol):
    """One call of a step, from `Watcher.enter` until it is done or has failed."""

    @property
    def stored(self) -> Any:
        """The result of a pure step that is known already; `MISSING` otherwise, or where it is not at hand without waiting."""
        ...

    def known(self) -> Awaitable[Any]:
        """As `stored`, for async code, which can wait for it."""
        ...

    def done(self, result: object) -> None:
        """It returned; of a generator, the list of what it gave."""
        ...

    def failed(self, error: BaseException) -> None:
        """It raised."""
        ...


class Watcher(Protocol):
    """Watches one run of a program."""

    def text(self, name: str, default: str) -> str:
        """The text of a `Param` in this run."""
        ...

    def turns(self, name: str, default: Sequence[Pair]) -> Sequence[Pair]:
        """The worked examples of a `Param` that are turns, those of the source where it is told none."""
        ...

    def value(self, name: str, default: Scalar) -> Scalar:
        """What a `Value` is in this run."""
        ...

    def enter(self, step: StepInfo, arguments: Mapping[str, object]) -> Call:
        """A step is called. The one that it is called in is `current`."""
        ...

    async def slot(self, name: str, values: Mapping[str, object]) -> Any:
        """What a place gives back: the first of `values`, or what fills the place makes of them."""
        ...

    def slot_sync(self, name: str, values: Mapping[str, object]) -> Any:
        """The same, waited for in a thread."""
        ...


watcher: ContextVar[Watcher | None] = ContextVar("watcher", default=None)
"""Who watches; None: nobody."""
current: ContextVar[Call | None] = ContextVar("current", default=None)
"""The step in which the code runs; None: in none."""
