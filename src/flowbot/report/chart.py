"""Charts as inline SVG: no script, no font, no network. Colours are the page's CSS variables, so both themes work.

Every text that comes from outside is escaped here; the template puts these strings in as they are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape

from .data import Interval, Point
from .words import ROLES, count, interval, percent

_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 16, 16, 44


def score_chart(points: Sequence[Point], *, width: int, height: int = 300) -> str:
    """Scores with their intervals against logical calls spent; the line is the best so far.

    Args:
        points: in the order in which they were scored.
        width: of the drawing in CSS pixels, so that its text stays readable; draw one for phones and one for desks.
        height: the same.
    """
    if not points:
        return ""
    most = max(point.calls for point in points)
    step = _nice_step(most or 1, 4 if width < 480 else 6)
    right = max(step, math.ceil(most / step) * step)
    inner, tall = width - _LEFT - _RIGHT, height - _TOP - _BOTTOM

    def x(calls: float) -> float:
        return round(_LEFT + inner * calls / right, 1)

    def y(score: float) -> float:
        return round(_TOP + tall * (1 - score), 1)

    parts = [_open(width, height, "Scores with 95 % intervals against model calls spent")]
    for tick in range(0, 101, 25):
        parts.append(
            f'<line class="grid" x1="{_LEFT}" x2="{width - _RIGHT}" y1="{y(tick / 100)}" y2="{y(tick / 100)}"/>'
        )
        parts.append(f'<text class="tick" x="{_LEFT - 8}" y="{y(tick / 100) + 4}" text-anchor="end">{tick} %</text>')
    for number in range(0, right + 1, step):
        parts.append(f'<text class="tick" x="{x(number)}" y="{height - 24}" text-anchor="middle">{number:,}</text>')
    parts.append(
        f'<text class="tick" x="{_LEFT + inner / 2}" y="{height - 5}" text-anchor="middle">model calls spent</text>'
    )
    best = points[0].score.mean
    path = f"M{x(points[0].calls)},{y(best)}"
    for point in points[1:]:
        best = max(best, point.score.mean)
        path += f"H{x(point.calls)}V{y(best)}"
    if len(points) > 1:
        parts.append(f'<path class="best" d="{path}"/>')
    parts.extend(_mark(point, x(point.calls), y) for point in sorted(points, key=lambda each: each.role != "tried"))
    return "".join([*parts, "</svg>"])


def _mark(point: Point, across: float, y: Callable[[float], float]) -> str:
    score = point.score
    sized = f", n = {score.n}" if score.n else ""
    label = f"{ROLES[point.role]}: {percent(score.mean)} ({interval(score)}{sized}), after {count(point.calls, 'call')}"
    return (
        f'<g class="{point.role}"><title>{escape(label)}</title>'
        f'<line class="whisker" x1="{across}" x2="{across}" y1="{y(score.low)}" y2="{y(score.high)}"/>'
        f'<circle cx="{across}" cy="{y(score.mean)}" r="{4 if point.role == "tried" else 5}"/></g>'
    )


def interval_bar(score: Interval, *, kind: str, width: int = 240) -> str:
    """One score on a line from 0 to 100 %: a dot with its interval. `kind` is a CSS class: `start` or `final`."""
    height, pad = 22, 6
    inner = width - 2 * pad

    def x(value: float) -> float:
        return round(pad + inner * min(1.0, max(0.0, value)), 1)

    return (
        _open(width, height, f"{percent(score.mean)}, 95 % interval {interval(score)}", f"bar {kind}")
        + f'<line class="axis" x1="{pad}" x2="{width - pad}" y1="11" y2="11"/>'
        + f'<line class="whisker" x1="{x(score.low)}" x2="{x(score.high)}" y1="11" y2="11"/>'
        + f'<circle cx="{x(score.mean)}" cy="11" r="5"/></svg>'
    )


def _open(width: int, height: int, label: str, kind: str = "chart") -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="{escape(kind)}" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" role="img" aria-label="{escape(label)}">'
    )


def _nice_step(most: int, ticks: int) -> int:
    """A round distance (1, 2 or 5 times a power of ten) that gives at most `ticks` steps up to `most`."""
    rough = max(1.0, most / ticks)
    power = 10 ** math.floor(math.log10(rough))
    return next(int(factor * power) for factor in (1, 2, 5, 10) if factor * power >= rough)
