"""Some examples of the test, start and final workflow side by side, read from a run's `traces.json`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast


@dataclass(frozen=True, slots=True)
class StepView:
    """One step of a trace as text."""

    address: str
    kind: str
    inputs: tuple[tuple[str, str], ...]
    outputs: tuple[tuple[str, str], ...]
    error: str
    messages: tuple[tuple[str, str], ...]
    reply: str


@dataclass(frozen=True, slots=True)
class RunOnExample:
    """What one workflow gave on one example."""

    score: float | None
    feedback: str
    outputs: tuple[tuple[str, str], ...]
    error: str
    steps: tuple[StepView, ...]


@dataclass(frozen=True, slots=True)
class ExamplePair:
    """One example and what the start and the final workflow made of it."""

    id: str
    inputs: tuple[tuple[str, str], ...]
    expected: tuple[tuple[str, str], ...]
    start: RunOnExample | None
    final: RunOnExample | None


def read_traces(data: Mapping[str, Any]) -> tuple[ExamplePair, ...]:
    """The pairs of `{"start": [row…], "final": [row…]}`, in the order of the rows.

    A row is `{example: id, expected, score, feedback, trace}`, with a trace's dump.
    """
    sides: dict[str, dict[str, dict[str, Any]]] = {
        side: {str(row.get("example")): row for row in cast("list[dict[str, Any]]", data.get(side) or [])}
        for side in ("start", "final")
    }
    pairs: list[ExamplePair] = []
    for name in dict.fromkeys([*sides["start"], *sides["final"]]):
        start, final = sides["start"].get(name), sides["final"].get(name)
        row = cast("dict[str, Any]", final or start)
        pairs.append(
            ExamplePair(
                id=name,
                inputs=_values(_trace(row).get("inputs")),
                expected=_values(row.get("expected")),
                start=_run(start) if start else None,
                final=_run(final) if final else None,
            )
        )
    return tuple(pairs)


def _trace(row: Mapping[str, Any]) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", row.get("trace") or {})


def _run(row: Mapping[str, Any]) -> RunOnExample:
    trace, score = _trace(row), row.get("score")
    return RunOnExample(
        score=float(score) if isinstance(score, int | float) else None,
        feedback=str(row.get("feedback") or ""),
        outputs=_values(trace.get("outputs")),
        error=str(trace.get("error") or ""),
        steps=tuple(_step(step) for step in trace.get("steps") or ()),
    )


def _step(step: Mapping[str, Any]) -> StepView:
    return StepView(
        address=str(step.get("address")),
        kind=str(step.get("kind")),
        inputs=_values(step.get("inputs")),
        outputs=_values(step.get("outputs")),
        error=str(step.get("error") or ""),
        messages=tuple((str(each.get("role")), str(each.get("content"))) for each in step.get("messages") or ()),
        reply=str(step.get("reply") or ""),
    )


def _values(values: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(values, Mapping):
        return ()
    return tuple((name, as_text(value)) for name, value in cast("Mapping[str, Any]", values).items())


def as_text(value: object) -> str:
    """A value for a person: text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
