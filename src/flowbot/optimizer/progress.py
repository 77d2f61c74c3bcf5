"""What a run tells while it works: one stream of events, for the command line's display and for callbacks alike."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from flowbot.fields import Paused, UserError
from flowbot.fields.bounds import raised
from flowbot.fields.numbers import shown
from flowbot.fields.words import money, percent

_NEARLY = 0.99
"""Of a part that is still going on: only the end is the end."""
_log = logging.getLogger(__name__)

What = Literal["step", "scored", "kept", "rejected", "news", "ended"]
Phase = Literal["start", "search", "validation", "test", "evaluation", "comparison"]
PHASES: dict[Phase, str] = {
    "start": "Scoring the start",
    "search": "Searching",
    "validation": "Validating the best",
    "test": "Closing test",
    "evaluation": "Scoring",
    "comparison": "Comparing",
}
"""What a run is at, for a person."""


@dataclass(frozen=True, slots=True)
class ProgressEvent:
    """Something happened in a run.

    Args:
        phase: `start`: the start is run on its first examples; `search`: changes are tried on training examples;
            `validation`: winner and start are run on unseen examples, as far as needed; `test`: both are tested, once;
            `evaluation`: an evaluation outside of a search; `comparison`: a cell of a comparison is run.
        text: it in words, one line.
        done: examples done in this step.
        total: examples of this step in all; 0 where there is nothing to count.
        calls: logical model calls so far.
        what: `step`: an example is done, or something begins; `scored`: a workflow was scored on a whole split; `kept`
            and `rejected`: something was decided of a change; `news`: anything else that is worth a line of its own;
            `ended`: the last event, with what came of it.
        planned: model calls that the run is expected to make in all, roughly and rather too many; 0 if unknown.
        score: of what was scored or tried: a mean in [0, 1]. None for other events.
        best: the highest mean on validation so far; None before there is one.
        between: its 95 % interval.
        usd: what was paid so far, by this process; None where a price is unknown.
        share: how much of the planned work is done, in [0, 1]; it never falls, and is 1 at the end alone.

    As text it is a line to print:

        >>> print(ProgressEvent("search", "add a step: 24 training examples", 8, 24, calls=120, planned=508, best=0.3, usd=0.25))
        search: add a step: 24 training examples (8 of 24) · 120 of about 508 calls, $0.25 · best 30 %
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
    between: tuple[float, float] | None = None
    usd: float | None = 0.0
    share: float = 0.0

    @property
    def counted(self) -> str:
        """How far this step is: `8 of 24`, "" where there is nothing to count."""
        return f"{self.done:,} of {self.total:,}" if self.total else ""

    @property
    def paid(self) -> str:
        """Dollars paid so far; "" where nothing has a price."""
        return "" if self.usd == 0 else "unknown cost" if self.usd is None else money(self.usd)

    @property
    def standing(self) -> str:
        """The best score so far with its interval: `best 30 % (18 to 45 %)`; "" where there is none."""
        if self.best is None:
            return ""
        inside = (
            ""
            if self.between is None
            else f" ({percent(self.between[0]).removesuffix(' %')} to {percent(self.between[1])})"
        )
        return f"best {percent(self.best)}{inside}"

    def __str__(self) -> str:
        counted = f" ({self.counted})" if self.counted else ""
        planned = f" of about {self.planned:,}" if self.planned > self.calls else ""
        paid = f", {self.paid}" if self.paid else ""
        best = f" · {self.standing}" if self.standing else ""
        return f"{self.phase}: {self.text}{counted} · {self.calls:,}{planned} calls{paid}{best}"


ProgressCallback: TypeAlias = Callable[[ProgressEvent], object]
"""What `progress=` takes. It is called on the run's own thread, in the order of the events, and must be quick and plain
(not async). An error in it pauses the run; what was paid for is stored, and the same call goes on from there."""


class Watch:
    """Makes the events of one run and hands them to whoever watches.

    Whoever runs sets `planned`, `calls` and `usd`, see `ProgressEvent`, as soon as they are known, and the parts of the work in
    `plan`; `enter` and `passed` say how far it is.

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
        self._between: tuple[float, float] | None = None
        self.phase: Phase = "start"
        self.planned = 0
        self.plan: Mapping[Phase, float] = {}
        """Calls planned for each phase, in their order."""
        self.calls: Callable[[], int] = lambda: 0
        self.usd: Callable[[], float | None] = lambda: 0.0
        self._parts, self._done, self._from, self._share = 1, 0, 0, 0.0
        self._at = ("", 0, 0)

    @property
    def now(self) -> ProgressEvent:
        """Where it stands: the last step, with what the run took until now."""
        text, done, total = self._at
        return self._event(text, "step", None, done, total)

    def enter(self, phase: Phase, parts: int) -> None:
        """A phase begins, of so many equal parts: examples to score, or steps of a search."""
        self.phase, self._parts, self._done, self._from = phase, max(1, parts), 0, self.calls()

    def passed(self, parts: int = 1) -> None:
        """So many parts of the phase are done, whatever they took."""
        self._done, self._from = min(self._parts, self._done + parts), self.calls()

    def step(self, text: str, done: int = 0, total: int = 0) -> None:
        """An example is done, or something begins."""
        self._advance(done)
        self._tell(text, "step", done=done, total=total)

    def news(self, text: str) -> None:
        """A line that stays."""
        self._tell(text, "news")

    def scored(self, text: str, score: float, between: tuple[float, float], *, validation: bool) -> None:
        """A workflow was scored on a whole split; `between` is the interval of its score."""
        if validation and (self._best is None or score > self._best):
            self._best, self._between = score, between
        self._tell(text, "scored", score)

    def decided(self, text: str, score: float, *, kept: bool) -> None:
        """Something was decided of a change; `score` is what it reached on the pairs that decided."""
        self._tell(text, "kept" if kept else "rejected", score)

    def ended(self, text: str) -> None:
        """It is over: done, or paused with everything stored. No error in the callback can change that any more."""
        self.planned, self._share = self.calls(), 1.0
        try:
            self._tell(text, "ended")
        except Paused as error:
            _log.warning("%s", error, extra={"event": "progress.failed"})

    def _advance(self, done: int) -> None:
        """Move the share of the work that is done; it stops short of what is not there yet, and never goes back.

        Parts that are examples are counted. How much is searched, and validated, nobody knows: that goes by its planned calls,
        and jumps to its end where it ends before.
        """
        order = list(self.plan)
        if self.phase not in order:
            return
        whole, mine = sum(self.plan.values()), self.plan[self.phase]
        before = sum(self.plan[each] for each in order[: order.index(self.phase)])
        inside = float(done)
        if self.phase in ("search", "validation"):
            inside = min(_NEARLY, (self.calls() - self._from) * self._parts / max(1.0, mine))
        within = min(1.0, (self._done + inside) / self._parts)
        self._share = max(self._share, min(_NEARLY, (before + mine * within) / max(1.0, whole)))

    def _tell(self, text: str, what: What, score: float | None = None, *, done: int = 0, total: int = 0) -> None:
        if what in ("step", "ended"):
            self._at = (text, done, total)
        if self._callback is None:
            return
        try:
            returned = self._callback(self._event(text, what, score, done, total))
            if inspect.iscoroutine(returned):
                returned.close()
                raise TypeError("it is async, so nothing of it ran; it must be a plain function")
        except Exception as error:  # whatever somebody's function raises
            self._callback = None  # it is not asked again while the run comes to its pause
            raise Paused(f"the progress callback raised {raised(error)}", stopped_by="callback") from error

    def _event(self, text: str, what: What, score: float | None, done: int, total: int) -> ProgressEvent:
        return ProgressEvent(
            self.phase, text, done, total, calls=self.calls(), what=what, planned=self.planned, score=score, best=self._best,
            between=self._between, usd=self.usd(), share=self._share,
        )  # fmt: skip


def _is_async(callback: ProgressCallback) -> bool:
    """Whether calling it would only make a coroutine, as far as that can be seen before it is called."""
    return any(map(inspect.iscoroutinefunction, (callback, getattr(callback, "__call__", None))))  # noqa: B004
