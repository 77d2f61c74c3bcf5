"""What the rows of the test say together: examples fixed, broken and still failing, parts of the score, errors, cost."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

from flowbot.fields import Usage
from flowbot.run.examples import Outcome, RecordedExample
from flowbot.run.examples import Side as Run
from flowbot.runtime.trace import Step, node_path
from flowbot.stats import Estimate, estimate_mean

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
    shown: tuple[RecordedExample, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """A named part of the score, on average over the test."""

    name: str
    start: Estimate | None
    final: Estimate | None


@dataclass(frozen=True, slots=True)
class Nested:
    """One step of a trace, with those of its body, where it has one."""

    step: Step
    steps: tuple[Nested, ...]

    @property
    def way(self) -> str:
        """The way that a branch took; "" for any other step."""
        return str((self.step.outputs or {}).get("way", "")) if self.step.kind == "branch" else ""

    @property
    def failed(self) -> bool:
        """Whether it or a step of its body failed."""
        return bool(self.step.error) or any(step.failed for step in self.steps)


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


def grouped(examples: Sequence[RecordedExample]) -> tuple[Group, ...]:
    """The examples by outcome, without the empty groups. Whole traces and large changes are shown first."""
    groups: list[Group] = []
    for outcome, most in SHOWN.items():
        found = [each for each in examples if each.outcome == outcome]
        chosen = sorted(found, key=lambda each: (not each.traced, -abs(each.gain)))[:most]
        if found:
            groups.append(Group(outcome, len(found), tuple(chosen)))
    return tuple(groups)


def parts(examples: Sequence[RecordedExample]) -> tuple[Part, ...]:
    """Every part of the metric in its order, with 95 % intervals; empty where it has none."""
    names = dict.fromkeys(name for each in examples for side in (each.start, each.final) if side for name in side.parts)
    return tuple(Part(name, _mean(examples, "start", name), _mean(examples, "final", name)) for name in names)


def per_example(examples: Sequence[RecordedExample], side: Side) -> PerExample | None:
    """What one example took with the start or the found workflow; None where no run wrote it down."""
    traces = [run.trace for run in _runs(examples, side) if run.trace.steps]
    if not traces:
        return None
    used, n = sum((trace.usage for trace in traces), Usage()), len(traces)
    usd = None if used.usd is None else used.usd / n
    return PerExample(used.calls / n, used.tokens / n, usd, fmean(trace.seconds for trace in traces), n)


def errors(examples: Sequence[RecordedExample]) -> tuple[ErrorKind, ...]:
    """The errors of the test's runs by step and kind, the commonest first."""
    found: dict[tuple[str, str], dict[Side, dict[str, str]]] = {}
    sides: tuple[Side, Side] = ("start", "final")
    for side in sides:
        for each in examples:
            run = each.start if side == "start" else each.final
            for address, text in _errors(run) if run else ():
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


def failed_runs(examples: Sequence[RecordedExample], side: Side) -> int:
    """How many runs of a side gave no outputs."""
    return sum(bool(run.trace.error) for run in _runs(examples, side))


def nested(steps: Sequence[Step]) -> tuple[Nested, ...]:
    """The steps as a tree: each step of a body within the step of the node that has the body."""
    known = {step.address for step in steps}
    inside: dict[str, list[Step]] = {}
    for step in steps:
        holder = step.address.rpartition("/")[0]
        inside.setdefault(holder if holder in known else "", []).append(step)

    def tree(holder: str) -> tuple[Nested, ...]:
        return tuple(Nested(step, tree(step.address) if step.address else ()) for step in inside.get(holder, ()))

    return tree("")


def _errors(run: Run) -> list[tuple[str, str]]:
    """Address and text of every step that failed."""
    where, _, text = run.trace.error.partition(": ")
    return [(step.address, step.error) for step in run.trace.steps if step.error] or ([(where, text)] if where else [])


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


def _mean(examples: Sequence[RecordedExample], side: Side, name: str) -> Estimate | None:
    values = [run.parts[name] for run in _runs(examples, side) if name in run.parts]
    return estimate_mean(values) if values else None


def _runs(examples: Sequence[RecordedExample], side: Side) -> list[Run]:
    runs = [each.start if side == "start" else each.final for each in examples]
    return [run for run in runs if run is not None]
