"""What a person sees while a run works: one live line with time left on a terminal, else a plain line now and then."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any

from flowbot.report.words import duration

from .console import Console, is_terminal, shown

if TYPE_CHECKING:
    from rich.progress import Progress

    from flowbot.optimize import ProgressEvent
    from flowbot.optimize.progress import Phase

WINDOW = 90.0
"""Seconds of the past that the speed is read from."""
LEAST = 5.0
"""Seconds to watch before anything is said of the time left."""
PLAIN_EVERY = 15.0
"""Seconds between plain lines on one and the same step."""
PHASES: dict[Phase, str] = {
    "start": "Scoring the start",
    "search": "Searching",
    "validation": "Validating the best",
    "test": "Closing test",
    "evaluation": "Scoring",
}


class TimeLeft:
    """Seconds left, from how fast calls went lately.

    Args:
        expected: calls in all, as estimated; 0 when unknown.
    """

    def __init__(self, expected: int) -> None:
        self._expected = expected
        self._past: deque[tuple[float, int]] = deque()

    def add(self, calls: int, now: float) -> None:
        """Note that `calls` have been made by the time `now`, in seconds."""
        if not calls:  # models are being fetched or loaded: no sign of how fast calls go
            return
        self._past.append((now, calls))
        while len(self._past) > 2 and now - self._past[0][0] > WINDOW:
            self._past.popleft()

    def seconds(self) -> float | None:
        """Seconds left; None while there is nothing to tell it from."""
        if not self._expected or len(self._past) < 2:
            return None
        (before, first), (now, last) = self._past[0], self._past[-1]
        left = self._expected - last
        if last - first < 3 or now - before < LEAST or left <= 0:
            return None
        return left * (now - before) / (last - first)


class Display:
    """Shows progress events. A context manager; `show` and `news` are safe in every mode.

    Args:
        console: decides between live line, plain lines and silence.
        expected: calls in all, as estimated; 0 when unknown.
        now: the clock.
    """

    def __init__(self, console: Console, *, expected: int = 0, now: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._expected = expected
        self._now = now
        self._began = now()
        self._left = TimeLeft(expected)
        self._said = ("", "")
        self._said_at = self._began
        self._live: Progress | None = None
        self._task: Any = None

    def __enter__(self) -> Display:
        mode = self._console.mode
        if mode == "rich" or (mode == "json" and is_terminal(sys.stderr)):
            from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
            from rich.table import Column

            self._live = Progress(
                SpinnerColumn(style="cyan"),
                TextColumn("{task.description}", markup=False, table_column=Column(ratio=1, no_wrap=True)),
                BarColumn(bar_width=18, complete_style="cyan", finished_style="cyan"),
                TimeElapsedColumn(),
                TextColumn("{task.fields[left]}", style="dim", markup=False, table_column=Column(no_wrap=True)),
                console=self._console.rich(),
                transient=True,
                expand=True,
            )
            self._live.start()
            self._task = self._live.add_task("Starting", total=None, left="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def show(self, event: ProgressEvent) -> None:
        """The run has come to `event`."""
        now = self._now()
        self._left.add(event.calls, now)
        if event.what == "ended":
            return  # the verb itself says what came of it
        if event.what != "step":
            self.news(event.text)
        elif self._live is not None:
            self._draw(event)
        elif self._console.mode == "plain":
            self._plain(event, now)

    def news(self, text: str) -> None:
        """A line that stays."""
        if self._live is not None:
            from rich.text import Text

            self._live.console.print(Text(shown(text), "dim"), soft_wrap=True)
        else:
            self._console.say(f"[{clock(self._now() - self._began)}] {text}")

    def _draw(self, event: ProgressEvent) -> None:
        assert self._live is not None
        left = self._left.seconds()
        rest = "" if left is None else f"about {duration(_round(left))} left"
        counted = f"  {event.done}/{event.total}" if event.total else ""
        text = f"{PHASES[event.phase]}: {shown(event.text)}{counted}"
        # Never quite full: the estimate may be too low, and only the end is the end.
        whole = max(self._expected, event.calls + 1)
        self._live.update(self._task, description=text, total=whole, completed=event.calls, left=rest)

    def _plain(self, event: ProgressEvent, now: float) -> None:
        what = (event.phase, event.text)
        if what == self._said and now - self._said_at < PLAIN_EVERY:
            return
        self._said, self._said_at = what, now
        counted = f" ({event.done} of {event.total})" if event.total and event.done else ""
        left = self._left.seconds()
        rest = f", about {duration(_round(left))} left" if left is not None else ""
        phase = PHASES[event.phase]
        self._console.say(f"[{clock(now - self._began)}] {phase}: {event.text}{counted} · {event.calls:,} calls{rest}")


def clock(seconds: float) -> str:
    """`4:07`."""
    whole = int(seconds)
    return f"{whole // 60}:{whole % 60:02}"


def _round(seconds: float) -> float:
    """As exact as such a guess deserves: whole minutes from two minutes on, else tens of seconds."""
    step = 60 if seconds >= 120 else 10
    return max(step, round(seconds / step) * step)
