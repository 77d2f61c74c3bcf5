"""`examples.jsonl`: what a run knows of each of its examples when it ends or pauses, for `show`, `compare` and the report.

One line an example, test, validation and training, each in the run's own order:

    {"id", "split", "inputs", "expected", "start": side or null, "final": side or null, "candidates": {hash: side}}
    side: {"score", "feedback", "parts", "spread", "whole", "trace"}

A side is null where that workflow was not run on the example; `trace` is `Trace.dump()`, with prompts as sent and replies
as received. `candidates` are the other workflows on whose runs of this example the search wrote feedback. Traces are large:
beyond `MOST_TRACES` they are kept without their steps, and `whole` is false. Secrets are masked.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from flowbot.fields import InfrastructureError, UserError
from flowbot.fields.files import lines, opened, replaced
from flowbot.fields.foreign import Amount, Record, Share, checked
from flowbot.fields.secrets import hide
from flowbot.runtime.evaluation import Row
from flowbot.runtime.trace_rows import CheckedTrace
from flowbot.store.rows import load
from flowbot.task import Example

from .events import Event, Feedback, Split

NAME = "examples.jsonl"
MOST_TRACES = 64_000_000
"""Characters that whole traces take on disk at most."""
MOST_BYTES = 512_000_000
"""Bytes of the largest file of examples that is read."""
MOST_LINE = 64_000_000
"""Bytes of its longest line that is read."""
Outcome: TypeAlias = Literal["fixed", "broken", "better", "worse", "wrong", "right", "one side", "not run"]
"""What became of an example from the start to the found workflow: `better` is not right yet, `worse` was not right before,
`wrong` has the same score below 1."""
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
"""All, the most telling first."""
RIGHT = 1.0
"""The score of an answer that is right."""
WRITTEN = "what the run writes when it ends; the command that made the run writes it anew, and pays for nothing twice"
"""How to come by the file."""


class Side(Record):
    """One workflow's run on one example."""

    score: Share
    feedback: str
    """The metric's words, "" for none."""
    parts: dict[str, Share]
    """Named partial scores."""
    spread: Amount | None
    """Standard deviation over a judge's repeated verdicts; None elsewhere."""
    whole: bool
    """Whether the trace has its steps; those of very large runs are left out."""
    trace: CheckedTrace
    """What happened, step by step."""

    @staticmethod
    def of(row: Row, *, whole: bool) -> Side:
        """A run as the engine gives it, with the steps of its trace or without."""
        trace = row.trace if whole else replace(row.trace, steps=())
        score = row.score
        return Side.model_construct(
            score=score.value,
            feedback=score.feedback,
            parts=dict(score.parts),
            spread=score.spread,
            whole=whole,
            trace=trace,
        )

    def dump(self) -> dict[str, Any]:
        """As JSON."""
        return {**dict(self), "trace": self.trace.dump()}

    def without_texts(self) -> Side:
        """The same, but for what the steps were sent and gave: what is left says what they took and where one failed."""
        steps = (replace(each, inputs={}, outputs=None, messages=(), reply="", calls=()) for each in self.trace.steps)
        return self.model_copy(update={"whole": False, "trace": replace(self.trace, steps=tuple(steps))})


def outcome_of(before: float | None, after: float | None) -> Outcome:
    """What became of an example, by its scores, None where it was not run. `fixed`: right now and not before; `better`: a higher
    score, not yet right."""
    if before is None or after is None:
        return "not run" if before is after else "one side"
    if before == after:
        return "right" if after >= RIGHT else "wrong"
    if after > before:
        return "fixed" if after >= RIGHT else "better"
    return "broken" if before >= RIGHT else "worse"


class RecordedExample(Record):
    """One example of a run; a side is None where that workflow was not run on it.

    `candidates` are the other workflows on whose runs of it the search wrote feedback, by hash.
    """

    id: str
    split: Split
    inputs: dict[str, Any]
    expected: dict[str, Any]
    start: Side | None
    final: Side | None
    candidates: dict[str, Side]

    @property
    def outcome(self) -> Outcome:
        """What became of it."""
        return outcome_of(self.start and self.start.score, self.final and self.final.score)

    @property
    def gain(self) -> float:
        """How much the score rose; 0 where one side is missing."""
        return 0.0 if self.start is None or self.final is None else self.final.score - self.start.score

    @property
    def traced(self) -> bool:
        """Whether the steps of a side are known."""
        return any(side is not None and side.whole and side.trace.steps for side in (self.start, self.final))

    @property
    def sides(self) -> tuple[Side, ...]:
        """All that is recorded of it: start, found, candidates."""
        return tuple(each for each in (self.start, self.final, *self.candidates.values()) if each is not None)

    def with_sides(self, change: Callable[[Side], Side]) -> RecordedExample:
        """The same with every side changed."""
        candidates = {workflow: change(side) for workflow, side in self.candidates.items()}
        sides = {"start": self.start and change(self.start), "final": self.final and change(self.final)}
        return self.model_copy(update={**sides, "candidates": candidates})


def record_examples(
    run_dir: Path,
    examples: Iterable[tuple[Split, Sequence[Example]]],
    scored: Callable[[str, str], Row | None],
    events: Iterable[Event],
    start: str,
    final: str | None,
) -> None:
    """Write `run_dir/examples.jsonl`; a kill leaves the old file or the new one.

    Args:
        run_dir: the run's folder.
        examples: those of each split, in the order of the file.
        scored: the row of the workflow with that hash on the example of that id; None where it has not been run there.
        events: of the run so far; feedback says which candidates are kept.
        start: hash of the workflow that it began with.
        final: hash of the workflow that it found; None where it has not ended.

    Raises:
        InfrastructureError: if the disk fails.
    """
    asked: dict[str, list[str]] = {}
    for event in events:
        if isinstance(event, Feedback):
            asked.setdefault(event.example, []).append(event.about)
    path = run_dir / NAME
    try:
        with replaced(path) as file:
            room = MOST_TRACES
            for split, rows in examples:
                for example in rows:
                    sides: dict[str, dict[str, Any]] = {}
                    for workflow in dict.fromkeys([start, final or "", *asked.get(example.id, ())]):
                        row = scored(workflow, example.id)
                        if row is not None:
                            sides[workflow] = side = Side.of(row, whole=room > 0).dump()
                            room -= len(json.dumps(side["trace"])) if room > 0 else 0
                    line = {
                        "id": example.id,
                        "split": split,
                        "inputs": dict(example.inputs),
                        "expected": dict(example.expected),
                        "start": sides.pop(start, None) if start != final else sides.get(start),
                        "final": sides.pop(final or "", None),
                        "candidates": sides,
                    }
                    file.write(json.dumps(hide(line)).encode("ascii") + b"\n")  # a text may hold half a surrogate pair
    except OSError as error:
        raise InfrastructureError(f"{path}: {error.strerror or error}", kind="disk") from None


def has_examples(run_dir: Path) -> bool:
    """Whether the run has written its examples: it does when it ends or pauses."""
    return os.path.lexists(run_dir / NAME)


def read_examples(run_dir: Path) -> Iterator[RecordedExample]:
    """The examples of a run in the file's order. Read one by one, since traces are large.

    Raises:
        UserError: if the run has not written them, or a line is damaged or says what cannot be.
    """
    for where, _, line in placed_lines(run_dir):
        yield checked(RecordedExample, hide(line), where, WRITTEN)


def placed_lines(run_dir: Path, place: int = 0) -> Iterator[tuple[str, int, dict[str, Any]]]:
    """The lines of the file from a byte on, unchecked: how errors name each, the byte at which it begins, what it holds.

    Raises:
        UserError: as `read_examples`.
    """
    path = run_dir / NAME
    if not has_examples(run_dir):
        raise UserError(str(run_dir), f"no {NAME}", WRITTEN)
    try:
        with opened(path, limit=MOST_BYTES, links=False) as file:
            file.seek(place)
            first = place
            for number, raw in enumerate(lines(file, str(path), most=MOST_LINE), start=1):
                where = f"{path}, byte {place}" if first else f"{path}:{number}"
                try:
                    data = load(raw)
                except ValueError as error:
                    raise UserError(where, f"a damaged line ({error})", WRITTEN) from None
                yield where, place, data
                place += len(raw)
    except OSError as error:
        raise UserError(str(path), f"a file that cannot be read ({error.strerror or error})", WRITTEN) from None
