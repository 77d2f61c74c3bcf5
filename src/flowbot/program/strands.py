"""Strands: the tasks and threads of one run, each with the moment at which it was forked from another.

What came before a call must not depend on how fast others were. Of its own strand everything did that had ended; of the others
what had ended when its strand was forked: a group of tasks that is made at once has nothing of one another before it,
whatever ends first.
"""

from __future__ import annotations

import asyncio
import threading
from asyncio import base_events
from collections.abc import Callable
from concurrent import futures
from contextvars import Context, ContextVar, copy_context
from functools import wraps
from itertools import count
from typing import Any, ParamSpec, TypeVar

from .sites import Sites, here

P = ParamSpec("P")
T = TypeVar("T")
_clock = count(1)


def tick() -> int:
    """The next moment of the logical clock."""
    return next(_clock)


class Strand:
    """One task or thread.

    Args:
        parent: which it was forked from; None for where a run begins.
        born: the moment of that.
        sites: where in the user's code that was.
    """

    __slots__ = ("born", "group", "latest", "owner", "parent", "sites")

    def __init__(self, parent: Strand | None, born: int, sites: Sites | None = None) -> None:
        self.parent, self.born, self.latest, self.sites = parent, born, born, sites
        self.owner: object = None
        self.group: tuple[int, int] = (0, 0)
        """When the threads that it started last were forked, as one group, and what was its own latest moment then."""

    def line(self) -> list[tuple[Strand, int]]:
        """Itself and those that it comes of, the first last, each with the moment at which the way to it was forked off; 0 for itself."""
        found: list[tuple[Strand, int]] = []
        strand, born = self, 0
        while True:
            found.append((strand, born))
            if strand.parent is None:
                return found
            strand, born = strand.parent, strand.born


_here: ContextVar[Strand | None] = ContextVar("strand", default=None)
_job = threading.local()


def begin() -> Strand:
    """A first strand in this context, for a run that begins: of the task or thread that first does something in it."""
    _follow()
    strand = Strand(None, tick())
    _here.set(strand)
    return strand


def current() -> Strand:
    """The strand in which the code runs, and does something now."""
    strand = _found()
    strand.latest = tick()
    return strand


def _found() -> Strand:
    strand, owner = _here.get(), _owner()
    if strand is None:
        strand = begin()
    job: Strand | None = getattr(_job, "strand", None)
    if job is not None and any(
        each is strand for each, _ in job.line()[1:]
    ):  # a context of its own inside what was submitted to a thread
        strand = job
        _here.set(strand)
    if strand.owner is None:
        strand.owner = owner
    elif strand.owner != owner:  # a task that some other loop made
        strand = Strand(strand, strand.latest)
        strand.owner = owner
        _here.set(strand)
    return strand


def forked(function: Callable[P, T]) -> Callable[P, T]:
    """`function` as it is to run in another thread: in a copy of this context, as a strand of its own."""
    # The one that forks is found first: it may not have done anything yet.
    parent = None if _here.get() is None else _found()
    context = copy_context()
    if parent is None:
        return lambda *args, **kwargs: context.run(function, *args, **kwargs)
    # A thread may have ended before the next of its group is started: the group counts as forked at once, until somebody waits.
    if parent.group[1] != parent.latest or isinstance(parent.owner, asyncio.Task):
        parent.group = (tick(), parent.latest)
    strand = Strand(parent, parent.group[0], here(parent.sites, fork=True))
    context.run(_here.set, strand)

    @wraps(function)
    def job(*args: P.args, **kwargs: P.kwargs) -> T:
        before = getattr(_job, "strand", None)
        _job.strand, strand.owner = strand, _owner()
        try:
            return context.run(function, *args, **kwargs)
        finally:
            _job.strand = before

    return job


def _owner() -> object:
    try:
        task = asyncio.current_task()
    except RuntimeError:
        task = None
    return task if task is not None else threading.get_ident()


def _follow() -> None:
    """Let asyncio's own loops say when a task is made, and threads when somebody has waited for them; where no run is watched all is as
    ever."""
    plain: Any = base_events.BaseEventLoop.create_task
    if hasattr(plain, "__wrapped__"):
        return
    for waits in ((futures.Future, "result"), (threading.Thread, "join")):
        _note_end(*waits)

    @wraps(plain)
    def create_task(loop: Any, coro: Any, **options: Any) -> Any:
        known = _here.get()
        if known is not None and loop.get_task_factory() is None:
            parent = _found()
            context: Context = options.get("context") or copy_context()
            if context.get(_here) in (known, parent):  # or else several tasks share it
                context.run(_here.set, Strand(parent, tick(), here(parent.sites, fork=True)))
                options["context"] = context
        return plain(loop, coro, **options)

    base_events.BaseEventLoop.create_task = create_task  # pyright: ignore[reportAttributeAccessIssue]


def _note_end(owner: Any, name: str) -> None:
    plain = getattr(owner, name)

    @wraps(plain)
    def waited(*args: Any, **options: Any) -> Any:
        try:
            return plain(*args, **options)
        finally:
            if _here.get() is not None:
                current()

    setattr(owner, name, waited)
