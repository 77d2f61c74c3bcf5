"""The examples of the test as `examples.jsonl` has them, start and final workflow side by side."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, cast

if TYPE_CHECKING:
    from .show_file import RecordedExample, Side

PERFECT = 1.0
SHORT = 160
"""Characters of an input that a gradient quotes."""
Outcome = Literal["fixed", "better", "broken", "worse", "wrong", "right", "one side"]
"""What became of an example from the start to the found workflow: `better` is not right yet, `worse` was not right before,
`wrong` has the same score below 1."""
TRACED = 8
"""Examples of each outcome whose steps are kept in memory."""


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
class Used:
    """What one run of a workflow took; `usd` is None when the price is unknown, `seconds` are along the critical path."""

    calls: int
    tokens: int
    usd: float | None
    seconds: float


@dataclass(frozen=True, slots=True)
class RunOnExample:
    """What one workflow gave on one example.

    Args:
        errors: address and text of every step that failed.
        parts: the metric's named partial scores.
        used: None where the trace does not say it.
        steps: empty where the whole trace was not kept.
    """

    score: float | None
    feedback: str
    outputs: tuple[tuple[str, str], ...]
    error: str
    steps: tuple[StepView, ...]
    errors: tuple[tuple[str, str], ...] = ()
    parts: Mapping[str, float] = field(default_factory=dict[str, float])
    used: Used | None = None


@dataclass(frozen=True, slots=True)
class ExamplePair:
    """One example and what the start and the final workflow made of it."""

    id: str
    inputs: tuple[tuple[str, str], ...]
    expected: tuple[tuple[str, str], ...]
    start: RunOnExample | None
    final: RunOnExample | None

    @property
    def outcome(self) -> Outcome:
        """What the found workflow changed for this example."""
        before, after = (side.score if side else None for side in (self.start, self.final))
        if before is None or after is None:
            return "one side"
        if before == after:
            return "right" if after >= PERFECT else "wrong"
        if after > before:
            return "fixed" if after >= PERFECT else "better"
        return "broken" if before >= PERFECT else "worse"

    @property
    def change(self) -> float:
        """How much the score rose; 0 where one side is missing."""
        scores = [side.score for side in (self.start, self.final) if side and side.score is not None]
        return scores[1] - scores[0] if len(scores) == 2 else 0.0

    @property
    def traced(self) -> bool:
        """Whether the steps of a side are known."""
        return any(side is not None and side.steps for side in (self.start, self.final))

    def without_steps(self) -> ExamplePair:
        """The same without the steps of either side."""
        start, final = (replace(side, steps=()) if side else None for side in (self.start, self.final))
        return replace(self, start=start, final=final)


def read_recorded(
    rows: Iterable[RecordedExample], cited: frozenset[str]
) -> tuple[tuple[ExamplePair, ...], dict[str, str]]:
    """The test's pairs out of all rows that a run recorded, and the inputs of the `cited` examples as short texts.

    Traces are large, so the steps of the first `TRACED` examples of each outcome are kept and no others.
    """
    pairs: list[ExamplePair] = []
    inputs: dict[str, str] = {}
    kept: Counter[Outcome] = Counter()
    for row in rows:
        if row.id in cited:
            inputs[row.id] = " · ".join(as_text(value) for value in row.inputs.values())[:SHORT]
        if row.split != "test" or row.start is row.final is None:
            continue
        start, final = (_run(side) if side else None for side in (row.start, row.final))
        pair = ExamplePair(row.id, _values(row.inputs), _values(row.expected), start, final)
        kept[pair.outcome] += pair.traced
        pairs.append(pair if kept[pair.outcome] <= TRACED else pair.without_steps())
    return tuple(pairs), inputs


def _run(side: Side) -> RunOnExample:
    trace = side.data
    steps = cast("Sequence[Mapping[str, Any]]", trace.get("steps") or ())
    errors = {str(step.get("address")): step["error"] for step in steps if step.get("error")}
    if not errors and trace.get("error"):
        where, _, text = str(trace["error"]).partition(": ")
        errors = {where: text}
    return RunOnExample(
        score=side.score,
        feedback=side.feedback,
        outputs=_values(trace.get("outputs")),
        error=str(trace.get("error") or ""),
        steps=_nested([_step(step) for step in steps]),
        errors=tuple((address, str(text)) for address, text in errors.items()),
        parts=side.parts,
        used=_used(trace, steps),
    )


def _used(trace: Mapping[str, Any], steps: Sequence[Mapping[str, Any]]) -> Used | None:
    """What the steps took together; None where they do not say it."""
    each = [cast("Mapping[str, Any]", step.get("usage") or {}) for step in steps]
    if not any(each):
        return None
    tokens = sum(int(use.get(name) or 0) for use in each for name in ("input_tokens", "output_tokens"))
    prices = [use.get("usd", 0.0) for use in each]
    usd = None if None in prices else sum(float(price or 0.0) for price in prices)
    return Used(sum(int(use.get("calls") or 0) for use in each), tokens, usd, float(trace.get("seconds") or 0.0))


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
