"""Charts as inline SVG: no script, no font, no network. Colours are the page's CSS variables, so both themes work.

Each has a title and a description for screen readers, and the page shows its numbers in a table as well. Every text that
comes from outside is escaped here; the template puts these strings in as they are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape

from flowbot.fields.words import count, interval, percent
from flowbot.run.changes import Change
from flowbot.run.examples import Outcome
from flowbot.run.verdict import Mean, scores_of
from flowbot.run.view import Point

from .examples import Group

ROLES = {"start": "start", "final": "found", "tried": "tried"}
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 16, 16, 44
_ROW = 26
"""Height of a comparison."""
MOST_RACES = 40
"""Comparisons that one chart shows: the first ones."""


def score_chart(points: Sequence[Point], *, width: int, height: int = 300) -> str:
    """Scores with their intervals against logical calls; the line is the best so far.

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

    best = max(points, key=lambda point: point.score.mean)
    told = (
        f"{count(len(points), 'workflow')} scored on validation: from {percent(points[0].score.mean)} after "
        f"{count(points[0].calls, 'call')} to {percent(best.score.mean)} at best, after {count(best.calls, 'call')}."
    )
    parts = [_open(f"curve{width}", width, height, "Validation scores against model calls", told)]
    for tick in range(0, 101, 25):
        parts.append(
            f'<line class="grid" x1="{_LEFT}" x2="{width - _RIGHT}" y1="{y(tick / 100)}" y2="{y(tick / 100)}"/>'
        )
        parts.append(f'<text class="tick" x="{_LEFT - 8}" y="{y(tick / 100) + 4}" text-anchor="end">{tick} %</text>')
    for number in range(0, right + 1, step):
        parts.append(f'<text class="tick" x="{x(number)}" y="{height - 24}" text-anchor="middle">{number:,}</text>')
    parts.append(f'<text class="tick" x="{_LEFT + inner / 2}" y="{height - 5}" text-anchor="middle">model calls</text>')
    highest = points[0].score.mean
    path = f"M{x(points[0].calls)},{y(highest)}"
    for point in points[1:]:
        highest = max(highest, point.score.mean)
        path += f"H{x(point.calls)}V{y(highest)}"
    if len(points) > 1:
        parts.append(f'<path class="best" d="{path}"/>')
    parts.extend(_mark(point, x(point.calls), y) for point in sorted(points, key=lambda each: each.role != "tried"))
    return "".join([*parts, "</svg>"])


def _mark(point: Point, across: float, y: Callable[[float], float]) -> str:
    score = point.score
    name = f"{ROLES[point.role]}{f' ({point.change})' if point.change else ''}"
    label = f"{name}: {percent(score.mean)} ({interval(score)}, n = {score.n}), after {count(point.calls, 'call')}"
    return (
        f'<g class="{point.role}"><title>{escape(label)}</title>'
        f'<line class="whisker" x1="{across}" x2="{across}" y1="{y(score.low)}" y2="{y(score.high)}"/>'
        f'<circle cx="{across}" cy="{y(score.mean)}" r="{4 if point.role == "tried" else 5}"/></g>'
    )


def race_chart(changes: Sequence[Change], *, width: int) -> str:
    """Every comparison of the search, one below the other: what the change scored, and what it had to beat.

    Args:
        changes: of which those that were not compared are left out.
        width: as for `score_chart`.
    """
    raced = [(each, each.verdict) for each in changes if each.verdict is not None][:MOST_RACES]
    if not raced:
        return ""
    height = _ROW * len(raced) + 34
    left, right = 48, width - 18
    won = sum(each.kept is True for each, _ in raced)

    def x(score: float) -> float:
        return round(left + (right - left) * score, 1)

    told = f"{count(len(raced), 'comparison')} on training examples, {won} adopted."
    parts = [_open(f"races{width}", width, height, "Each change against what it had to beat", told)]
    for tick in range(0, 101, 25):
        across = x(tick / 100)
        parts.append(f'<line class="grid" x1="{across}" x2="{across}" y1="4" y2="{height - 28}"/>')
        parts.append(f'<text class="tick" x="{across}" y="{height - 10}" text-anchor="middle">{tick} %</text>')
    for number, (each, verdict) in enumerate(raced):
        y = 4 + _ROW * number + _ROW / 2
        mine, theirs = x(verdict.mine), x(verdict.theirs)
        label = f"{each.id}: {scores_of(each)} on {count(verdict.n, 'example')}"
        parts.append(
            f'<g class="race {each.outcome}"><title>{escape(label)}</title>'
            f'<text class="tick" x="{left - 14}" y="{y + 4}" text-anchor="end">{escape(each.id)}</text>'
            f'<line class="gap" x1="{theirs}" x2="{mine}" y1="{y}" y2="{y}"/>'
            f'<circle class="before" cx="{theirs}" cy="{y}" r="4"/>{_shape(each, mine, y)}</g>'
        )
    return "".join([*parts, "</svg>"])


def _shape(change: Change, x: float, y: float) -> str:
    """A full dot for a change that was adopted, a cross for one that was not: not told by colour alone."""
    if change.kept:
        return f'<circle class="after" cx="{x}" cy="{y}" r="5.5"/>'
    return f'<path class="after" d="M{x - 4.5},{y - 4.5}l9,9m0,-9l-9,9"/>'


def outcome_bar(groups: Sequence[Group], names: dict[Outcome, str], *, width: int) -> str:
    """The examples of the test by outcome as one bar.

    Args:
        groups: in the order in which they stand.
        names: of the outcomes.
        width: as for `score_chart`.
    """
    whole = sum(group.count for group in groups)
    if not whole:
        return ""
    told = ", ".join(f"{group.count} {names[group.outcome]}" for group in groups)
    parts = [_open(f"outcomes{width}", width, 34, "What became of the test examples", f"{told}, of {whole}.")]
    x = 0.0
    for group in groups:
        wide = width * group.count / whole
        parts.append(
            f'<g class="{group.outcome.replace(" ", "-")}"><title>{escape(f"{group.count} {names[group.outcome]}")}</title>'
            f'<rect x="{x:.1f}" y="2" width="{max(1.0, wide - 2):.1f}" height="30" rx="3"/>'
        )
        if wide >= 26:
            parts.append(f'<text x="{x + wide / 2 - 1:.1f}" y="22" text-anchor="middle">{group.count}</text>')
        parts.append("</g>")
        x += wide
    return "".join([*parts, "</svg>"])


def interval_bar(score: Mean, *, kind: str, width: int = 240) -> str:
    """One score on a line from 0 to 100 %: a dot with its interval. `kind` is a CSS class: `start` or `final`."""
    height, pad = 22, 6
    inner = width - 2 * pad

    def x(value: float) -> float:
        return round(pad + inner * min(1.0, max(0.0, value)), 1)

    label = f"{percent(score.mean)}, 95 % interval {interval(score)}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="bar {escape(kind)}" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" role="img" aria-label="{escape(label)}">'
        f'<line class="axis" x1="{pad}" x2="{width - pad}" y1="11" y2="11"/>'
        f'<line class="whisker" x1="{x(score.low)}" x2="{x(score.high)}" y1="11" y2="11"/>'
        f'<circle cx="{x(score.mean)}" cy="11" r="5"/></svg>'
    )


def _open(name: str, width: int, height: int, title: str, told: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="chart" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" role="img" aria-labelledby="{name}-title" aria-describedby="{name}-desc">'
        f'<title id="{name}-title">{escape(title)}</title><desc id="{name}-desc">{escape(told)}</desc>'
    )


def _nice_step(most: int, ticks: int) -> int:
    """A round distance (1, 2 or 5 times a power of ten) that gives at most `ticks` steps up to `most`."""
    rough = max(1.0, most / ticks)
    power = 10 ** math.floor(math.log10(rough))
    return next(int(factor * power) for factor in (1, 2, 5, 10) if factor * power >= rough)
