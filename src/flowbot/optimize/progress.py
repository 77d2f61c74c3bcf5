"""What a run tells while it works: one stream of events, for the command line's display and for callbacks alike."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias, TypedDict

from flowbot.fields import Paused, UserError
from flowbot.fields.bounds import raised
from flowbot.fields.numbers import shown
from flowbot.fields.words import percent

_log = logging.getLogger(__name__)

What = Literal["step", "scored", "kept", "rejected", "news", "ended"]
Phase = Literal["start", "search", "validation", "test", "evaluation"]


@dataclass(frozen=True, slots=True)
class ProgressEvent:
    """Something happened in a run.

    Args:
        phase: `start`: the start is scored on validation; `search`: changes are tried on training examples;
            `validation`: the best of them are scored; `test`: start and winner are tested, once; `evaluation`: an
            evaluation outside of a search.
        text: it in words, one line.
        done: examples done in this step.
        total: examples of this step in all; 0 where there is nothing to count.
        calls: logical model calls so far.
        what: `step`: an example is done, or something begins; `scored`: a workflow was scored on a whole split; `kept`
            and `rejected`: a change was tried in a race; `news`: anything else that is worth a line of its own;
            `ended`: the last event, with what came of it.
        planned: model calls that the run is expected to make in all, roughly and rather too many; 0 if unknown.
        score: of what was scored or tried: a mean in [0, 1]. None for other events.
        best: the highest mean on validation so far; None before the start is scored.

    As text it is a line to print:

        >>> print(ProgressEvent("search", "racing: add a step", 8, 24, calls=120, planned=508, best=0.3))
        search: racing: add a step (8 of 24) · 120 of about 508 calls · best 30 %
    """

    phase: Phase
    text: str
    done: int = 0
    total: int = 0
    calls: int = 0
    what: What = "step"
    planned: int = 0
    score: float | None = None
    best: float | None = None

    def __str__(self) -> str:
        counted = f" ({self.done} of {self.total})" if self.total else ""
        planned = f" of about {self.planned:,}" if self.planned > self.calls else ""
        best = "" if self.best is None else f" · best {percent(self.best)}"
        return f"{self.phase}: {self.text}{counted} · {self.calls:,}{planned} calls{best}"


ProgressCallback: TypeAlias = Callable[[ProgressEvent], object]
"""What `progress=` takes. It is called on the run's own thread, in the order of the events, and must be quick and plain
(not async). An error in it pauses the run; what was paid for is stored, and the same call goes on from there."""


class _State(TypedDict):
    calls: int
    planned: int
    best: float | None


class Watch:
    """Makes the events of one run and hands them to whoever watches.

    Whoever runs sets `phase`, `planned` and `calls`, see `ProgressEvent`, as soon as they are known, and `noted` to be told
    first.

    Args:
        callback: who watches.

    Raises:
        UserError: if the callback cannot be called as it is.
    """

    def __init__(self, callback: ProgressCallback | None = None) -> None:
        if callback is not None and (not callable(callback) or _is_async(callback)):
            found = "an async function" if callable(callback) else shown(callback)
            raise UserError("progress", found, "a plain function that takes one event")
        self._callback = callback
        self._best: float | None = None
        self.phase: Phase = "start"
        self.planned = 0
        self.calls: Callable[[], int] = lambda: 0
        self.noted: Callable[[], None] = lambda: None

    def step(self, text: str, done: int = 0, total: int = 0) -> None:
        """An example is done, or something begins."""
        self._tell(ProgressEvent(self.phase, text, done, total, **self._state()))

    def news(self, text: str) -> None:
        """A line that stays."""
        self._tell(ProgressEvent(self.phase, text, what="news", **self._state()))

    def scored(self, text: str, score: float, *, validation: bool) -> None:
        """A workflow was scored on a whole split."""
        if validation:
            self._best = max(score, self._best or 0.0)
        self._tell(ProgressEvent(self.phase, text, what="scored", score=score, **self._state()))

    def decided(self, text: str, score: float, *, kept: bool) -> None:
        """A change was tried; `score` is what it reached in its race."""
        self._tell(ProgressEvent(self.phase, text, what="kept" if kept else "rejected", score=score, **self._state()))

    def ended(self, text: str) -> None:
        """It is over: done, or paused with everything stored. No error in the callback can change that any more."""
        self.planned = self.calls()
        self.noted = lambda: None
        try:
            self._tell(ProgressEvent(self.phase, text, what="ended", **self._state()))
        except Paused as error:
            _log.warning("%s", error, extra={"event": "progress.failed"})

    def _state(self) -> _State:
        return {"calls": self.calls(), "planned": self.planned, "best": self._best}

    def _tell(self, event: ProgressEvent) -> None:
        self.noted()
        if self._callback is None:
            return
        try:
            given = self._callback(event)
            if inspect.iscoroutine(given):
                given.close()
                raise TypeError("it is async, so nothing of it ran; it must be a plain function")
        except Exception as error:  # whatever somebody's function raises
            self._callback = None  # it is not asked again while the run comes to its pause
            said = f"the progress callback raised {raised(error)}"
            raise Paused(said, stopped_by="callback") from error


def _is_async(callback: ProgressCallback) -> bool:
    """Whether calling it would only make a coroutine, as far as that can be seen before it is called."""
    return any(map(inspect.iscoroutinefunction, (callback, getattr(callback, "__call__", None))))  # noqa: B004
