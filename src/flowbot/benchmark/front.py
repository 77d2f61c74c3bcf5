"""What the pictures of a comparison show: test scores against search calls, and against what an example costs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from flowbot.fields.words import cut, money, printable
from flowbot.stats import Estimate

from .figures import number, small_money, with_interval
from .rows import Row

Kind = Literal["calls", "cost"]
Unit = Literal["calls", "usd", "tokens"]

UNITS: dict[Unit, str] = {"calls": "search calls", "usd": "USD an example", "tokens": "tokens an example"}
LONGEST = 44
"""Letters of a name in a picture."""


class Series(NamedTuple):
    """What has one colour and one mark in all pictures of a comparison: a method with a pair of models."""

    method: str
    models: str


@dataclass(frozen=True, slots=True)
class Point:
    """A row in a picture: where it stands, its score and what it says when it is pointed at."""

    series: Series
    x: float
    score: Estimate
    text: str


@dataclass(frozen=True, slots=True)
class Panel:
    """One of the small pictures side by side.

    Args:
        title: the task, and the models where there are several.
        unit: of the horizontal axis.
        points: what is drawn, those of a series by x.
        missing: methods without scores.
    """

    title: str
    unit: Unit
    points: tuple[Point, ...]
    missing: tuple[str, ...]


def series_of(rows: Iterable[Row]) -> dict[Series, str]:
    """The series of a comparison and their names."""
    found = dict.fromkeys(Series(row.key.method, row.key.models) for row in rows)
    several = len({each.models for each in found}) > 1
    return {each: name(f"{each.method} ({each.models})" if several else each.method) for each in found}


def panels(rows: Sequence[Row], kind: Kind) -> list[Panel]:
    """The small pictures: of calls one for each task and pair of models, of cost one a task."""
    several = len({row.key.models for row in rows}) > 1
    split = several and kind == "calls"
    members: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        members.setdefault((row.key.task, row.key.models if split else ""), []).append(row)
    return [
        _panel(name(f"{task}, {models}" if split else task), each, kind, several and not split)
        for (task, models), each in members.items()
    ]


def _panel(title: str, rows: Sequence[Row], kind: Kind, name_models: bool) -> Panel:
    scored = [row for row in rows if row.test is not None]
    unit: Unit = "calls"
    if kind == "cost":
        usd = [row.example.usd for row in scored if row.example is not None]
        unit = "usd" if any(usd) and None not in usd else "tokens"
    points = [_point(row, unit) for row in scored]
    missing = [row for row in rows if row.test is None]
    said = dict.fromkeys(row.key.method + f" ({row.key.models})" * name_models for row in missing)
    return Panel(title, unit, tuple(sorted(points, key=lambda each: each.x)), tuple(map(name, said)))


def _point(row: Row, unit: Unit) -> Point:
    assert row.test is not None
    took = row.search if unit == "calls" else row.example
    x = 0.0 if took is None else float(getattr(took, unit) or 0)
    shown = small_money(x) if unit == "usd" else number(x)
    where = f"{shown} {UNITS[unit].removeprefix('USD ')}"
    text = f"{row.key.method}, {row.key.models}: {with_interval(row.test)} %, {where}"
    return Point(Series(row.key.method, row.key.models), x, row.test, printable(text))


def front(points: Sequence[Point]) -> list[Point]:
    """The points that none is better than: no other costs at most as much and scores at least as well, one of both strictly.

    By rising cost.
    """
    at = {(each.x, each.score.mean) for each in points}
    best = {(x, mean) for x, mean in at if not any(a <= x and b >= mean and (a, b) != (x, mean) for a, b in at)}
    return sorted((each for each in points if (each.x, each.score.mean) in best), key=lambda each: each.x)


def set_apart(places: Sequence[float], least: float) -> list[float]:
    """Places on an axis so that those nearer than `least` stand side by side, around where they were together."""
    order = sorted(range(len(places)), key=lambda each: places[each])
    groups: list[list[int]] = []
    for each in order:
        if groups and places[each] - places[groups[-1][-1]] < least:
            groups[-1].append(each)
        else:
            groups.append([each])
    moved = list(places)
    for group in groups:
        middle = sum(places[each] for each in group) / len(group)
        for rank, each in enumerate(group) if len(group) > 1 else ():
            moved[each] = middle + (rank - (len(group) - 1) / 2) * least
    return moved


def name(text: str) -> str:
    """A name of anybody's for a picture."""
    return cut(printable(text), LONGEST)


def tick(value: float, place: int | None, unit: Unit) -> str:
    """A number at an axis, as matplotlib asks for it; "" below 0."""
    if value < 0 or unit != "usd":
        return "" if value < 0 else number(value)
    return money(value) if value == 0 or value >= 0.1 else small_money(value).rstrip("0").rstrip(".")
