"""What a person sees while a run works: a few live lines with time left on a terminal, else a plain line now and then."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple

from flowbot.fields.words import count, duration

from .console import WIDEST, Console, is_terminal
from .text import shown, wrap

if TYPE_CHECKING:
    from rich.console import Console as RichConsole
    from rich.console import ConsoleOptions, RenderResult
    from rich.live import Live

    from flowbot.optimizer.progress import Phase, ProgressEvent

WINDOW = 90.0
"""Seconds of the past that the speed is read from."""
LEAST = 5.0
"""Seconds to watch before anything is said of the time left."""
LEAST_SHARE = 0.01
"""Share of the work to watch before that."""
MOST_CELLS = 30
"""Columns of the bar at most."""
FEWEST_CELLS = 8
"""Columns of the bar for which other things are left out."""
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
    """Seconds left, from how fast the planned work went lately."""

    def __init__(self) -> None:
        self._past: deque[tuple[float, float]] = deque()

    def add(self, share: float, now: float) -> None:
        """Note that this share of the work is done by the time `now`, in seconds."""
        if not share:  # models are being fetched or loaded: no sign of how fast the work goes
            return
        self._past.append((now, share))
        while len(self._past) > 2 and now - self._past[0][0] > WINDOW:
            self._past.popleft()

    def seconds(self) -> float | None:
        """Seconds left; None while there is nothing to tell it from."""
        if len(self._past) < 2:
            return None
        (before, first), (now, last) = self._past[0], self._past[-1]
        if last - first < LEAST_SHARE or now - before < LEAST or last >= 1:
            return None
        return (1 - last) * (now - before) / (last - first)


class Shown(NamedTuple):
    """The lines of a `Status`: what is done now, the bar in its two parts with what stands behind it, and facts."""

    what: str
    done: str
    rest: str
    facts: list[str]


class Status:
    """What stands at the bottom of a terminal while a run works, for any width: what is done, how far it is, what it took.

    Whole words and facts are left out where they do not fit; none is broken.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._began = now()
        self._spinner: Any = None
        self.event: ProgressEvent | None = None
        self.left: float | None = None

    def __rich_console__(self, console: RichConsole, options: ConsoleOptions) -> RenderResult:
        """As rich asks for it, several times a second."""
        from rich.spinner import Spinner
        from rich.text import Text

        self._spinner = self._spinner or Spinner("dots", style="cyan")
        spinner = self._spinner.render(console.get_time())
        lines = self.lines(options.max_width - 1)
        yield Text.assemble(spinner if isinstance(spinner, Text) else "", " ", lines.what)
        yield Text.assemble("  ", (lines.done, "cyan"), (lines.rest, "dim"))
        for line in lines.facts:
            yield Text(f"  {line}", "dim")

    def lines(self, width: int) -> Shown:
        """What stands there, in at most `width` columns."""
        event, room = self.event, max(10, width - 2)
        elapsed = clock(self._now() - self._began)
        if event is None:
            return Shown("Starting", "", elapsed, [])
        counted = f" {event.counted}" if event.counted else ""
        what = _cut(f"{PHASES[event.phase]}: {shown(event.text)}", room - len(counted)) + counted
        left = "" if self.left is None else f"about {duration(_round(self.left))} left"
        rest = _fitting([f"{100 * event.share:.0f} %", elapsed, left], "  ", room - FEWEST_CELLS - 1)
        cells = min(MOST_CELLS, room - len(rest) - 1)
        done = round(event.share * cells)
        facts = [count(event.calls, "call"), event.paid, event.standing]
        told = _lines([fact for fact in facts if fact], " · ", room)
        return Shown(what, "━" * done, f"{'╌' * (cells - done)} {rest}", told)


def _cut(text: str, width: int) -> str:
    """As many whole words as fit, and a mark where some are left out."""
    if len(text) <= width:
        return text
    words = text[: max(1, width - 1)].rsplit(" ", 1)
    return (words[0] if len(words) > 1 and len(words[0]) > width // 2 else text[: max(1, width - 1)]).rstrip(
        " ,:("
    ) + "…"


def _fitting(parts: Sequence[str], between: str, width: int) -> str:
    """The parts from the first on that fit in a line."""
    kept = [part for part in parts if part]
    while len(kept) > 1 and len(between.join(kept)) > width:
        kept.pop()
    return between.join(kept)


def _lines(parts: Sequence[str], between: str, width: int) -> list[str]:
    """The parts in lines, none of them broken."""
    lines: list[str] = []
    for part in parts:
        if lines and len(lines[-1]) + len(between) + len(part) <= width:
            lines[-1] += between + part
        else:
            lines.append(part)
    return lines


class Display:
    """Shows progress events. A context manager; `show` and `news` are safe in every mode.

    Args:
        console: decides between live lines, plain lines and silence.
        now: the clock.
    """

    def __init__(self, console: Console, *, now: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._now = now
        self._began = now()
        self._left = TimeLeft()
        self._said = ("", "")
        self._said_at = self._began
        self._live: Live | None = None
        self._status = Status(now)

    def __enter__(self) -> Display:
        mode = self._console.mode
        if mode == "rich" or (mode == "json" and is_terminal(sys.stderr)):
            from rich.live import Live

            self._live = Live(self._status, console=self._console.rich(), transient=True, refresh_per_second=8)
            self._live.start()
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
        self._left.add(event.share, now)
        if event.what == "ended":
            return  # the verb itself says what came of it
        if event.what != "step":
            self.news(event.text)
        elif self._live is not None:
            self._status.event, self._status.left = event, self._left.seconds()
        elif self._console.mode == "plain":
            self._plain(event, now)

    def news(self, text: str) -> None:
        """A line that stays."""
        if self._live is not None:
            from rich.text import Text

            console = self._live.console
            for line in wrap(text, max(20, console.width - 1), subsequent_indent="  "):
                console.print(Text(line, "dim"), soft_wrap=True)
        else:
            self._say(text)

    def _plain(self, event: ProgressEvent, now: float) -> None:
        what = (event.phase, event.text)
        if what == self._said and now - self._said_at < PLAIN_EVERY:
            return
        self._said, self._said_at = what, now
        counted = f" ({event.counted})" if event.total and event.done else ""
        left = self._left.seconds()
        facts = [
            count(event.calls, "call"),
            event.paid,
            event.standing,
            "" if left is None else f"about {duration(_round(left))} left",
        ]
        told = ", ".join(fact for fact in facts if fact)
        self._say(f"{PHASES[event.phase]}: {event.text}{counted} · {told}")

    def _say(self, text: str) -> None:
        """A plain line with the time, wrapped where it is long."""
        stamp = f"[{clock(self._now() - self._began)}] "
        for line in wrap(text, WIDEST, initial_indent=stamp, subsequent_indent=" " * len(stamp)):
            self._console.say(line)


def clock(seconds: float) -> str:
    """`4:07`."""
    whole = int(seconds)
    return f"{whole // 60}:{whole % 60:02}"


def _round(seconds: float) -> float:
    """As exact as such a guess deserves: whole minutes from two minutes on, else tens of seconds."""
    step = 60 if seconds >= 120 else 10
    return max(step, round(seconds / step) * step)
