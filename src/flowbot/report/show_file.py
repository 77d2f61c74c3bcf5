"""Reads `examples.jsonl` of a run: each example with what the start and the found workflow made of it.

The format is described in `flowbot.run.examples`, which writes it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from flowbot.runtime.trace import Trace

from .run_files import read_lines

Outcome = Literal["fixed", "broken", "better", "worse", "wrong", "right", "one side", "not run"]
OUTCOMES: tuple[Outcome, ...] = ("fixed", "broken", "better", "worse", "wrong", "right", "one side", "not run")
"""What became of an example from start to found workflow, the most telling first."""
RIGHT = 1.0
"""The score of an answer that is right."""


@dataclass(frozen=True, slots=True)
class Side:
    """One workflow's run on one example.

    Args:
        score: in [0, 1].
        feedback: the metric's words, "" for none.
        parts: named partial scores.
        spread: standard deviation over a judge's repeated verdicts; None elsewhere.
        whole: whether the trace has its steps; those of very large runs are left out.
        data: the trace's dump.
    """

    score: float
    feedback: str
    parts: Mapping[str, float]
    spread: float | None
    whole: bool
    data: Mapping[str, Any]

    @property
    def trace(self) -> Trace:
        """What happened, step by step."""
        return Trace.load(self.data)


@dataclass(frozen=True, slots=True)
class RecordedExample:
    """One example of a run; a side is None where that workflow was not run on it.

    `candidates` are the other workflows on whose runs of it the search wrote gradients, by hash.
    """

    id: str
    split: str
    inputs: Mapping[str, Any]
    expected: Mapping[str, Any]
    start: Side | None
    final: Side | None
    candidates: Mapping[str, Side] = field(default_factory=dict[str, Side])

    @property
    def outcome(self) -> Outcome:
        """What became of it. `fixed`: right now and not before; `better`: a higher score, not yet right."""
        if self.start is None or self.final is None:
            return "not run" if self.start is self.final else "one side"
        before, after = self.start.score, self.final.score
        if before == after:
            return "right" if after >= RIGHT else "wrong"
        if after > before:
            return "fixed" if after >= RIGHT else "better"
        return "broken" if before >= RIGHT else "worse"


def read_examples(run_dir: Path) -> Iterator[RecordedExample]:
    """The examples of a run in the file's order: test, validation, training. Read one by one, since traces are large.

    Raises:
        UserError: if the run has not written them, or the file is damaged.
    """
    return map(_example, read_lines(run_dir))


def _example(data: Mapping[str, Any]) -> RecordedExample:
    candidates: Mapping[str, Mapping[str, Any] | None] = data["candidates"]
    return RecordedExample(
        id=data["id"],
        split=data["split"],
        inputs=data["inputs"],
        expected=data["expected"],
        start=_side(data["start"]),
        final=_side(data["final"]),
        candidates={name: side for name, each in candidates.items() if (side := _side(each)) is not None},
    )


def _side(data: Mapping[str, Any] | None) -> Side | None:
    if data is None:
        return None
    return Side(
        score=float(data["score"]),
        feedback=data.get("feedback") or "",
        parts=data.get("parts") or {},
        spread=data.get("spread"),
        whole=data["whole"],
        data=data["trace"],
    )
