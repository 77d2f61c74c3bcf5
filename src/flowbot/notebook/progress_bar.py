"""A progress bar for `progress=`: in a notebook a line that redraws itself below the cell, with the news above it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any, Protocol

from flowbot.fields.secrets import hide_text
from flowbot.fields.words import brief, count, printable
from flowbot.optimizer.progress import ProgressEvent

from .markup import Markup, card, line, soft, strong

EVERY = 0.2
"""Seconds between two drawings."""
MOST_NEWS = 12
"""Lines of news that stay in sight."""


class Drawn(Protocol):
    """What a notebook gives back for something on display: it can be drawn again."""

    def update(self, shown: object) -> None:
        """Draw it anew."""
        ...


class ProgressBar:
    """Shows how a run goes.

        >>> result = fb.optimize(task, lm="openai/gpt-4.1-mini", progress=fb.ProgressBar())

    In a notebook it draws itself below the cell; elsewhere it writes the news, a line each, to standard error.

    Args:
        now: the clock that redrawing is paced by.
    """

    def __init__(self, *, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._drawn_at = 0.0
        self._place: Drawn | None = None
        self._shown = False
        self.event: ProgressEvent | None = None
        """The last event."""
        self.news: list[str] = []
        """What was worth a line of its own."""

    def __call__(self, event: ProgressEvent) -> None:
        """Take in an event, and draw."""
        self.event = event
        if event.what != "step":
            self.news.append(event.text)
        if self._begun():
            due = event.what != "step" or event.done == event.total or self._now() - self._drawn_at >= EVERY
            if due and self._place is not None:
                self._drawn_at = self._now()
                self._place.update(self)
        elif event.what != "step":
            sys.stderr.write(f"{printable(hide_text(str(event)))}\n")

    def _begun(self) -> bool:
        """Whether this is a notebook, in which the bar then has its place."""
        if not self._shown:
            self._shown = True
            self._place = _displayed(self)
        return self._place is not None

    def __repr__(self) -> str:
        return f"ProgressBar({brief(str(self.event or 'nothing yet'))})"


def progress_html(bar: ProgressBar) -> Markup:
    """What is going on, what it took so far, and the last news."""
    event = bar.event
    if event is None:
        return card("Nothing yet")
    gauge = Markup(f'<progress max="1" value="{event.share:.3f}" style="width:16em;vertical-align:middle"></progress> ')
    counted = f" {event.counted}" if event.counted else ""
    facts = [count(event.calls, "call"), event.paid, event.standing]
    left = len(bar.news) - MOST_NEWS
    return card(
        "Progress",
        *([line(soft(count(left, "earlier line")))] if left > 0 else []),
        *(line(text) for text in bar.news[-MOST_NEWS:]),
        line(gauge, *([strong(event.phase), f" {event.text}{counted}"] if event.what == "step" else [])),
        line(soft(", ".join(fact for fact in facts if fact))),
    )


def _displayed(bar: ProgressBar) -> Drawn | None:
    """The bar's place on display, where there is a notebook; IPython is there already or is not needed."""
    ipython: Any = sys.modules.get("IPython")
    if ipython is None or not hasattr(ipython.get_ipython(), "kernel"):
        return None
    place: Drawn = ipython.display.display(bar, display_id=True)
    return place
