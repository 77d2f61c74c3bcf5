"""What the rows of the test say together: examples fixed, broken and still failing, parts of the score, errors, cost."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

from .interval import Interval
from .traces import ExamplePair, Outcome, RunOnExample

SHOWN: dict[Outcome, int] = {"fixed": 5, "better": 3, "broken": 5, "worse": 3, "wrong": 5, "right": 2, "one side": 2}
"""Examples of each outcome that the page shows."""
MOST_ERRORS = 12
"""Kinds of errors that the page lists."""

Side = Literal["start", "final"]


@dataclass(frozen=True, slots=True)
class Group:
    """The examples with one outcome: how many there are, and those that are shown."""

    outcome: Outcome
    count: int
    shown: tuple[ExamplePair, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """A named part of the score, on average over the test."""

    name: str
    start: Interval | None
    final: Interval | None


@dataclass(frozen=True, slots=True)
class PerExample:
    """What one example took on average over `n` test examples; `usd` is None when the price is unknown."""

    calls: float
    tokens: float
    usd: float | None
    seconds: float
    n: int


@dataclass(frozen=True, slots=True)
class ErrorKind:
    """One way in which a step failed: on how many examples of the test, start and found, and on which first."""

    step: str
    text: str
    example: str
    start: int
    final: int


def grouped(examples: Sequence[ExamplePair]) -> tuple[Group, ...]:
    """The examples by outcome, without the empty groups. Whole traces and large changes are shown first."""
    groups: list[Group] = []
    for outcome, most in SHOWN.items():
        found = [each for each in examples if each.outcome == outcome]
        chosen = sorted(found, key=lambda each: (not each.traced, -abs(each.change)))[:most]
        if found:
            groups.append(Group(outcome, len(found), tuple(chosen)))
    return tuple(groups)


def parts(examples: Sequence[ExamplePair]) -> tuple[Part, ...]:
    """Every part of the metric in its order, with 95 % intervals; empty where it has none."""
    names = dict.fromkeys(name for each in examples for side in (each.start, each.final) if side for name in side.parts)
    return tuple(Part(name, _mean(examples, "start", name), _mean(examples, "final", name)) for name in names)


def per_example(examples: Sequence[ExamplePair], side: Side) -> PerExample | None:
    """What one example took with the start or the found workflow; None where no run wrote it down."""
    used = [run.used for run in _runs(examples, side) if run.used is not None]
    if not used:
        return None
    prices = [each.usd for each in used if each.usd is not None]
    return PerExample(
        calls=fmean(each.calls for each in used),
        tokens=fmean(each.tokens for each in used),
        usd=fmean(prices) if len(prices) == len(used) else None,
        seconds=fmean(each.seconds for each in used),
        n=len(used),
    )


def errors(examples: Sequence[ExamplePair]) -> tuple[ErrorKind, ...]:
    """The errors of the test's runs by step and kind, the commonest first."""
    from flowbot.runtime.trace import node_path

    found: dict[tuple[str, str], dict[Side, dict[str, str]]] = {}
    sides: tuple[Side, Side] = ("start", "final")
    for side in sides:
        for each in examples:
            run = each.start if side == "start" else each.final
            for address, text in run.errors if run else ():
                place = found.setdefault((node_path(address), _kind(text)), {"start": {}, "final": {}})
                place[side].setdefault(each.id, text)
    rows = [
        ErrorKind(
            step=step,
            text=next(iter((by["final"] or by["start"]).values())).partition("; expected ")[0],
            example=next(iter(by["final"] or by["start"])),
            start=len(by["start"]),
            final=len(by["final"]),
        )
        for (step, _), by in found.items()
    ]
    return tuple(sorted(rows, key=lambda each: -(each.start + each.final)))


def failed_runs(examples: Sequence[ExamplePair], side: Side) -> int:
    """How many runs of a side gave no outputs."""
    return sum(bool(run.error) for run in _runs(examples, side))


_VARYING: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"; expected .*", re.DOTALL), ""),
    (re.compile(r"'[^']*'|\"[^\"]*\"|“[^”]*”"), "…"),
    (re.compile(r"\d+"), "0"),
)


def _kind(text: str) -> str:
    """What two errors of one kind have in common: the first line without what was quoted, counted or expected."""
    first = text.partition("\n")[0]
    for pattern, instead in _VARYING:
        first = pattern.sub(instead, first)
    return first[:200]


def _mean(examples: Sequence[ExamplePair], side: Side, name: str) -> Interval | None:
    from flowbot.stats import estimate_mean

    values = [run.parts[name] for run in _runs(examples, side) if name in run.parts]
    return Interval.of(estimate_mean(values).dump()) if values else None


def _runs(examples: Sequence[ExamplePair], side: Side) -> list[RunOnExample]:
    pick: Callable[[ExamplePair], RunOnExample | None] = (
        (lambda each: each.start) if side == "start" else (lambda each: each.final)
    )
    return [run for run in map(pick, examples) if run is not None]
