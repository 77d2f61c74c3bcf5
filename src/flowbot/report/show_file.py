"""Reads `examples.jsonl` of a run: each example with what the start and the found workflow made of it.

The format is described in `flowbot.optimize.record`, which writes it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

from flowbot.fields import UserError
from flowbot.fields.files import lines, opened
from flowbot.fields.secrets import hide
from flowbot.optimize.record import MOST_BYTES, MOST_LINE, NAME
from flowbot.runtime.trace import Trace

Outcome = Literal["fixed", "broken", "better", "worse", "wrong", "right", "one side", "not run"]
OUTCOMES: tuple[Outcome, ...] = ("fixed", "broken", "better", "worse", "wrong", "right", "one side", "not run")
"""What became of an example from start to found workflow, the most telling first."""
SPLITS = ("test", "val", "train")
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


def has_examples(run_dir: Path) -> bool:
    """Whether the run has written its examples: it does when it ends or pauses."""
    return os.path.lexists(run_dir / NAME)


def read_examples(run_dir: Path) -> Iterator[RecordedExample]:
    """The examples of a run in the file's order: test, validation, training. Read one by one, since traces are large.

    Raises:
        UserError: if the run has not written them, or the file is damaged.
    """
    path = run_dir / NAME
    again = "what the run writes when it ends; the command that made it goes on, pays for nothing twice, and writes it"
    if not has_examples(run_dir):
        raise UserError(str(run_dir), f"no {NAME}", again)
    try:
        with opened(path, limit=MOST_BYTES, links=False) as file:
            for number, line in enumerate(lines(file, str(path), most=MOST_LINE), start=1):
                try:
                    example = _example(hide(json.loads(line, parse_constant=_no_constant)))
                except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
                    found = f"{type(error).__name__}: {error}"
                    raise UserError(f"{path}:{number}", f"a damaged line ({found})", again) from None
                yield example
    except OSError as error:
        raise UserError(str(path), f"unreadable: {error}", again) from None


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _example(data: Mapping[str, Any]) -> RecordedExample:
    if data["split"] not in SPLITS:
        raise ValueError(f"split {data['split']!r}")
    return RecordedExample(
        id=str(data["id"]),
        split=str(data["split"]),
        inputs=dict(data["inputs"]),
        expected=dict(data["expected"]),
        start=_side(data["start"]),
        final=_side(data["final"]),
        candidates={name: side for name, each in data["candidates"].items() if (side := _side(each)) is not None},
    )


def _side(data: Mapping[str, Any] | None) -> Side | None:
    if data is None:
        return None
    Trace.load(data["trace"])  # a trace that cannot be read is found here, and not where it is shown
    spread, parts = data.get("spread"), cast("Mapping[str, float]", data.get("parts") or {})
    return Side(
        score=float(data["score"]),
        feedback=str(data.get("feedback") or ""),
        parts={name: float(value) for name, value in parts.items()},
        spread=None if spread is None else float(spread),
        whole=bool(data["whole"]),
        data=data["trace"],
    )
