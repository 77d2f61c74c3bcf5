"""Reads a run's directory into one immutable view: what was tried, what was kept, what it cost.

The report and the command line's summary both show a `RunView`, so they cannot disagree.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from flowbot.fields import UserError
from flowbot.fields.words import as_text
from flowbot.stats import Estimate
from flowbot.workflow.workflow import Workflow

from .changes import Change, FeedbackText, read_changes
from .events import Event, Feedback, Measure, Measured, Noted, Proposal, Started
from .examples import Outcome, RecordedExample, has_examples, read_examples
from .front import Ran, front_of, ran
from .journal import NAME as JOURNAL
from .journal import read_events
from .result import NAME as RESULT
from .result import NOTHING, RunResult, Scores, Used
from .sessions import Spent, read_sessions, spent_in_all
from .verdict import verdict_on

TRACED = 8
"""Examples of each outcome whose steps are kept in memory."""
_SHORT = 160
"""Characters of an input that feedback quotes."""


@dataclass(frozen=True, slots=True)
class Point:
    """One scored workflow on the curve: logical calls until then, its score, and the change that made it."""

    calls: int
    score: Measure
    role: Literal["start", "final", "tried"]
    change: str = ""


@dataclass(frozen=True, slots=True)
class RunView:
    """A run as it stands on disk.

    Args:
        run_dir: its folder.
        started: what it began with.
        result: None where it was killed before it could write one, or is at work.
        start, found: the workflows that it began and ended with.
        changes: what was proposed, in order.
        feedback: what was said of runs, in order.
        notes: what explains the course of the search, in order: why it went elsewhere, why it stopped.
        curve: scores on validation, in the order in which they were paid for.
        spent: what its sessions paid, also of a run without a result.
        examples: those of the test; none where the run has not written them.
        quoted: inputs of the examples that feedback speaks of, short, by id.
        ran: the workflows that the search ran on enough training rows, the best first.
        asides: journals of other courses that this run took before, as after a change of the task.
    """

    run_dir: Path
    started: Started
    result: RunResult | None
    start: Workflow
    found: Workflow | None
    changes: tuple[Change, ...]
    feedback: tuple[Feedback, ...]
    notes: tuple[Noted, ...]
    curve: tuple[Point, ...]
    spent: Spent
    examples: tuple[RecordedExample, ...] = ()
    quoted: Mapping[str, str] = field(default_factory=dict[str, str])
    ran: tuple[Ran, ...] = ()
    asides: tuple[str, ...] = ()

    @property
    def front(self) -> tuple[Ran, ...]:
        """Those of `ran` that none beats, the best first."""
        return front_of(self.ran)

    def score(self, who: Literal["start", "final", "difference"], split: Literal["val", "test"]) -> Estimate | None:
        """A score of the result; None where it was not measured (paused, or the budget ended first)."""
        if self.result is None:
            return None
        sides: dict[str, Scores] = {
            "start": self.result.start_scores, "final": self.result.final_scores, "difference": self.result.difference
        }  # fmt: skip
        return sides[who].by_split()[split]

    @property
    def status(self) -> str:
        """As of a `RunResult`; `unfinished` for a run that was killed or still runs."""
        return "unfinished" if self.result is None else self.result.status

    @property
    def stopped_by(self) -> str:
        """What ended the search; "" where nobody knows."""
        return "" if self.result is None else self.result.stopped_by

    @property
    def effort(self) -> str:
        """Its name, else the calls that it plans."""
        return str(self.started.effort) if self.result is None else self.result.effort

    @property
    def by_purpose(self) -> Mapping[str, Used]:
        """What calls took, by purpose; empty while there is no result."""
        return {} if self.result is None else self.result.by_purpose

    @property
    def done(self) -> bool:
        """Whether the run came to its end."""
        return self.status == "done"

    @property
    def unchanged(self) -> bool:
        """Whether the search ended where it began."""
        return self.found is not None and self.start.hash == self.found.hash

    @property
    def lineage(self) -> tuple[Change, ...]:
        """The kept changes that lead from the start to the final workflow, in order."""
        return tuple(change for change in self.changes if change.in_final)

    def made_from(self, feedback: FeedbackText) -> tuple[Change, ...]:
        """The changes that this feedback asked for, in order."""
        ids = {each.id for each in feedback.each}
        return tuple(change for change in self.changes if not ids.isdisjoint(change.proposal.because))

    @property
    def start_val(self) -> Estimate | Measure | None:
        """The start's score on validation, also while the run has no result."""
        first = next((point.score for point in self.curve if point.role == "start"), None)
        return self.score("start", "val") or first

    @property
    def verdict(self) -> str:
        """What came of the run, in a sentence that claims no more than the closing test shows."""
        return verdict_on(status="unfinished") if self.result is None else self.result.verdict

    @property
    def names(self) -> dict[str, str]:
        """What the workflows of the run are called, by hash."""
        names: dict[str, str] = {}
        for change in self.changes:
            if change.workflow is not None:
                names.setdefault(change.workflow.hash, f"proposal {change.id} ({change.proposal.title})")
        if self.found is not None:
            names[self.found.hash] = "the found workflow"
        return {**names, self.start.hash: "the start"}


def read_run(run_dir: Path | str) -> RunView:
    """The run in `run_dir`.

    Raises:
        UserError: if this is not a run's directory, or its files are damaged.
    """
    run_dir = Path(run_dir)
    if not run_dir.is_dir():
        raise UserError(str(run_dir), "no such directory", "the directory of a run")
    path = run_dir / JOURNAL
    if not os.path.lexists(path):
        expected = "the folder of a run, such as those that optimize makes in runs/"
        raise UserError(str(run_dir), f"no {JOURNAL}", expected)
    return view_of(run_dir, read_events(path))


def view_of(run_dir: Path, events: Sequence[Event], *, examples: bool = True) -> RunView:
    """The run in `run_dir`, whose journal was read already.

    Args:
        run_dir: its folder.
        events: its journal.
        examples: False: those of the test are left out, and what feedback quotes; to read them takes long where there are many.

    Raises:
        UserError: as `read_run`.
    """
    path = run_dir / JOURNAL
    if not events or not isinstance(events[0], Started):
        raise UserError(f"journal {path}:1", "no beginning of a run", "the event `started`")
    result = RunResult.load(run_dir) if os.path.lexists(run_dir / RESULT) else None
    start = Workflow.from_data(dict(events[0].program), f"journal {path}:1: program")
    final = None if result is None else result.found
    workflows = {start.hash: start}
    for number, event in enumerate(events, start=1):
        if isinstance(event, Proposal) and event.program not in (None, *workflows) and event.dump is not None:
            workflows[event.program] = Workflow.from_data(dict(event.dump), f"journal {path}:{number}: dump")
    changes = read_changes(events, workflows, final.hash if final else None)
    feedback = tuple(event for event in events if isinstance(event, Feedback))
    cited = frozenset(each.example for each in feedback)
    recorded, quoted = _examples(run_dir, cited) if examples else ((), {})
    return RunView(
        run_dir=run_dir,
        started=events[0],
        result=result,
        start=start,
        found=final,
        changes=changes,
        feedback=feedback,
        notes=tuple(event for event in events if isinstance(event, Noted)),
        curve=_curve(events, start.hash, final.hash if final else "", changes),
        spent=spent_in_all(worked) if (worked := read_sessions(run_dir)) else NOTHING,
        examples=recorded,
        quoted=quoted,
        ran=ran(events),
        asides=tuple(sorted(path.name for path in run_dir.glob("journal.*.jsonl"))),
    )


def _curve(events: Sequence[Event], start: str, final: str, changes: Sequence[Change]) -> tuple[Point, ...]:
    makers = {change.proposal.program: change.id for change in reversed(changes)}
    points: dict[str, Point] = {}
    for event in events:
        if isinstance(event, Measured) and event.split == "val":
            role = "start" if event.program == start else "final" if event.program == final else "tried"
            points.setdefault(event.program, Point(event.spent, event.score, role, makers.get(event.program, "")))
    return tuple(points.values())


def _examples(run_dir: Path, cited: frozenset[str]) -> tuple[tuple[RecordedExample, ...], dict[str, str]]:
    """The examples of the test, and the inputs of the `cited` ones as short texts.

    Traces are large, so the texts of the first `TRACED` examples of each outcome are kept and no others.
    """
    found: list[RecordedExample] = []
    inputs: dict[str, str] = {}
    kept: Counter[Outcome] = Counter()
    for row in read_examples(run_dir) if has_examples(run_dir) else ():
        if row.id in cited:
            inputs[row.id] = " · ".join(map(as_text, row.inputs.values()))[:_SHORT]
        if row.split == "test" and row.outcome != "not run":
            kept[row.outcome] += row.traced
            found.append(row if kept[row.outcome] <= TRACED else row.with_sides(lambda side: side.without_texts()))
    return tuple(found), inputs
