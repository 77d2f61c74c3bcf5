"""The workflows that a search ran, as a picture: score against what an example takes, and which of them none beats."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from flowbot.fields.words import count, money
from flowbot.run.front import Ran
from flowbot.run.view import RunView

TICKS = 5
"""Steps of the axis at most."""
_RANKS = {"tried": 0, "start": 1, "found": 2}
"""What is drawn last lies above the rest."""


@dataclass(frozen=True, slots=True)
class Dot:
    """A workflow in the picture.

    Args:
        ran: how it did.
        x: its place on the axis, 0 to 1.
        text: what it takes, in words.
        unbeaten: whether it is on the front of all axes.
        steps: whether the line of the best for what they take turns there.
    """

    ran: Ran
    x: float
    text: str
    unbeaten: bool
    steps: bool

    @property
    def rank(self) -> tuple[int, bool]:
        """The order of drawing."""
        return _RANKS[self.ran.role], self.unbeaten


@dataclass(frozen=True, slots=True)
class Picture:
    """Scores against one axis.

    Args:
        unit: of the axis, in words.
        ticks: places from 0 to 1 with what stands there.
        dots: from left to right.
    """

    unit: str
    ticks: tuple[tuple[float, str], ...]
    dots: tuple[Dot, ...]


def picture(run: RunView) -> Picture | None:
    """Against seconds where the run was after latency; else against dollars, or tokens where no price is known or there is none to
    pay. None where there are no two workflows to show."""
    priced = all(each.usd is not None for each in run.ran) and any(each.usd for each in run.ran)
    if len(run.ran) < 2:
        return None
    if run.started.objective == "latency":
        return _against(run, "seconds an example", lambda each: each.seconds, lambda value: f"{value:.1f} s")
    if priced:
        return _against(run, "dollars a thousand examples", lambda each: 1000 * (each.usd or 0.0), money)
    return _against(run, "tokens an example", lambda each: each.tokens, lambda value: count(round(value), "token"))


def _against(run: RunView, unit: str, axis: Callable[[Ran], float], text: Callable[[float], str]) -> Picture:
    most = max(map(axis, run.ran)) or 1.0
    step = round_step(most / TICKS)
    ticks = math.ceil(most / step - 1e-9)
    front, best = {each.program for each in run.front}, -1.0
    dots: list[Dot] = []
    for each in sorted(run.ran, key=lambda each: (axis(each), -each.score.mean)):
        steps = each.score.mean > best
        best = max(best, each.score.mean)
        dots.append(Dot(each, axis(each) / (ticks * step), text(axis(each)), each.program in front, steps))
    return Picture(unit, tuple((place / ticks, f"{place * step:,.10g}") for place in range(ticks + 1)), tuple(dots))


def round_step(least: float) -> float:
    """A round distance, 1, 2 or 5 times a power of ten, of at least so much."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least * (1 - 1e-9))
