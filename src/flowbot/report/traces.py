"""Some examples of the test, start and final workflow side by side, read from a run's `traces.json`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast


@dataclass(frozen=True, slots=True)
class CallView:
    """One tool call that a model asked for, as text."""

    tool: str
    arguments: str
    result: str
    error: str


@dataclass(frozen=True, slots=True)
class StepView:
    """One step of a trace as text; `steps` are those of its body, where it has one."""

    address: str
    kind: str
    inputs: tuple[tuple[str, str], ...]
    outputs: tuple[tuple[str, str], ...]
    error: str
    messages: tuple[tuple[str, str], ...]
    reply: str
    note: str = ""
    calls: tuple[CallView, ...] = ()
    steps: tuple[StepView, ...] = ()

    @property
    def way(self) -> str:
        """The way that a branch took; "" for any other step."""
        return dict(self.outputs).get("way", "") if self.kind == "branch" else ""

    @property
    def failed(self) -> bool:
        """Whether it or a step of its body failed."""
        return bool(self.error) or any(step.failed for step in self.steps)


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
        steps=_nested([_step(step) for step in trace.get("steps") or ()]),
    )


def _nested(steps: Sequence[StepView]) -> tuple[StepView, ...]:
    """The steps as a tree: each step of a body within the step of the node that has the body."""
    known = {step.address for step in steps}
    inside: dict[str, list[StepView]] = {}
    for step in steps:
        holder = step.address.rpartition("/")[0]
        inside.setdefault(holder if holder in known else "", []).append(step)

    def tree(holder: str) -> tuple[StepView, ...]:
        return tuple(replace(step, steps=tree(step.address) if step.address else ()) for step in inside.get(holder, ()))

    return tree("")


def _step(step: Mapping[str, Any]) -> StepView:
    return StepView(
        address=str(step.get("address")),
        kind=str(step.get("kind")),
        inputs=_values(step.get("inputs")),
        outputs=_values(step.get("outputs")),
        error=str(step.get("error") or ""),
        messages=tuple((str(each.get("role")), str(each.get("content"))) for each in step.get("messages") or ()),
        reply=str(step.get("reply") or ""),
        note=str(step.get("note") or ""),
        calls=tuple(_call(each) for each in step.get("calls") or ()),
    )


def _call(call: Mapping[str, Any]) -> CallView:
    arguments = cast("Mapping[str, Any]", call.get("arguments") or {})
    return CallView(
        tool=str(call.get("tool")),
        arguments=", ".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in arguments.items()),
        result="" if call.get("result") is None else as_text(call.get("result")),
        error=str(call.get("error") or ""),
    )


def _values(values: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(values, Mapping):
        return ()
    return tuple((name, as_text(value)) for name, value in cast("Mapping[str, Any]", values).items())


def as_text(value: object) -> str:
    """A value for a person: text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
