"""What a person sees while a run works: a few live lines with the time left on a terminal, else a plain line now and then."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import TYPE_CHECKING

from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from flowbot.fields.words import count, duration
from flowbot.optimizer.progress import PHASES, ProgressEvent

from .console import WIDEST, Console, is_terminal
from .text import shown, wrap

if TYPE_CHECKING:
    from rich.console import Console as RichConsole
    from rich.console import RenderableType


WINDOW = 90.0
"""Seconds of the past that the speed is read from."""
LEAST = 5.0
"""Seconds to watch before the time left is shown."""
LEAST_SHARE = 0.01
"""Share of the work to watch before that."""
PLAIN_EVERY = 15.0
"""Seconds between plain lines on one and the same step."""


class Status(Progress):
    """What stands at the bottom of a terminal while a run works: what is done, how far it is, what it took.

    Args:
        console: where it stands.
        now: the clock, in seconds.
    """

    def __init__(self, console: RichConsole, now: Callable[[], float]) -> None:
        super().__init__(
            SpinnerColumn(),
            BarColumn(30),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
            console=console,
            get_time=now,
            transient=True,
            speed_estimate_period=WINDOW,
        )
        self._facts: list[str] = []
        self._task = self.add_task("Starting", total=1.0, left="")

    def show(self, event: ProgressEvent) -> None:
        """The run has come to `event`."""
        self.update(self._task, completed=event.share)
        left = self.left()
        what = f"{PHASES[event.phase]}: {shown(event.text)}"
        self.update(self._task, description=what, left="" if left is None else f"about {duration(left)} left")
        self._facts = [each for each in (event.counted, *_facts(event)) if each]

    def left(self) -> float | None:
        """Seconds left by the speed of late, as exact as such a guess deserves; None while it cannot be known."""
        task = self.tasks[0]
        left = task.time_remaining
        if not left or (task.elapsed or 0) < LEAST or task.completed < LEAST_SHARE:
            return None
        step = 60 if left >= 120 else 10
        return max(step, round(left / step) * step)

    def get_renderables(self) -> Iterable[RenderableType]:
        """The lines, as rich asks for them several times a second."""
        for task in self.tasks:
            yield Text(task.description, no_wrap=True, overflow="ellipsis")
            yield self.make_tasks_table([task])
            yield Text(" · ".join(self._facts), "dim")


class Display:
    """Shows progress events. A context manager; `show` and `news` are safe in every mode.

    Args:
        console: decides between live lines, plain lines and silence.
        now: the clock, in seconds.
    """

    def __init__(self, console: Console, *, now: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._now = now
        self._began = now()
        self._shown: dict[tuple[str, str], float] = {}
        self._live = console.mode == "rich" or (console.mode == "json" and is_terminal(sys.stderr))
        self._status = Status(console.rich(), now)

    def __enter__(self) -> Display:
        if self._live:
            self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live = False
            self._status.stop()

    def show(self, event: ProgressEvent) -> None:
        """The run has come to `event`."""
        if event.what == "step":
            self._status.show(event)
            if self._console.mode == "plain":
                self._plain(event)
        elif event.what != "ended":  # the verb itself says what came of the run
            self.news(event.text)

    def news(self, text: str) -> None:
        """A line that stays."""
        if self._live:
            console = self._status.console
            for line in wrap(text, max(20, console.width - 1), subsequent_indent="  "):
                console.print(Text(line, "dim"), soft_wrap=True)
        else:
            self._say(text)

    def _plain(self, event: ProgressEvent) -> None:
        now, what = self._now(), (event.phase, event.text)
        if (
            now - self._shown.get(what, -PLAIN_EVERY) < PLAIN_EVERY
        ):  # steps run side by side, so each has a time of its own
            return
        self._shown[what] = now
        counted = f" ({event.counted})" if event.done and event.counted else ""
        left = self._status.tasks[0].fields["left"]
        facts = ", ".join(each for each in (*_facts(event), left) if each)
        self._say(f"{PHASES[event.phase]}: {event.text}{counted} · {facts}")

    def _say(self, text: str) -> None:
        """A plain line with the time, wrapped where it is long."""
        seconds = int(self._now() - self._began)
        stamp = f"[{seconds // 60}:{seconds % 60:02}] "
        for line in wrap(text, WIDEST, initial_indent=stamp, subsequent_indent=" " * len(stamp)):
            self._console.say(line)


def _facts(event: ProgressEvent) -> tuple[str, ...]:
    """What the run took, and the best score so far."""
    return count(event.calls, "call"), event.paid, event.standing
