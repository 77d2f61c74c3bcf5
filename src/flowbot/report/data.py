"""Reads a run's directory into one immutable view: what was tried, what was kept, what it cost.

The report and the command line's summary both show a `RunView`, so they cannot disagree.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

from flowbot.fields import UserError
from flowbot.run.sessions import read_sessions, spent_in_all
from flowbot.workflow.workflow import Workflow

from .changes import Change, read_changes
from .interval import Interval
from .run_files import JOURNAL, has_examples, read_events, read_result
from .traces import ExamplePair, read_recorded

_NO_RESULT: dict[str, Any] = {"status": "unfinished", "reason": "", "spent": None}
"""What is known of a run that was killed before it could write its result."""


@dataclass(frozen=True, slots=True)
class Point:
    """One scored workflow on the curve: logical calls until then, its score, and the change that made it."""

    calls: int
    score: Interval
    role: Literal["start", "final", "tried"]
    change: str = ""


@dataclass(frozen=True, slots=True)
class CostRow:
    """What one purpose used; `usd` is None when the price is unknown."""

    purpose: str
    calls: int
    tokens: int
    usd: float | None


@dataclass(frozen=True, slots=True)
class RunView:
    """A run as it stands on disk.

    Args:
        result: `result.json`, whole.
        gradients: how many were recorded.
        examples: those of the test; none where the run has not written them.
        quoted: inputs of the examples that gradients speak of, short, by id.
        asides: journals of other courses that this run took before, as after a change of the task.
    """

    run_dir: Path
    result: Mapping[str, Any]
    task: str
    goal: str
    models: Mapping[str, str]
    start: Workflow | None
    found: Workflow | None
    changes: tuple[Change, ...]
    gradients: int
    curve: tuple[Point, ...]
    cost: tuple[CostRow, ...]
    examples: tuple[ExamplePair, ...]
    asides: tuple[str, ...] = ()
    quoted: Mapping[str, str] = field(default_factory=dict[str, str])

    def score(self, who: Literal["start", "final", "difference"], split: Literal["val", "test"]) -> Interval | None:
        """A score of the result; None where it was not measured (paused, or the budget ended first)."""
        scores = self.result.get("scores")
        side = cast("Mapping[str, Any]", scores).get(who) if isinstance(scores, Mapping) else None
        return Interval.of(cast("Mapping[str, Any]", side).get(split)) if isinstance(side, Mapping) else None

    @property
    def unchanged(self) -> bool:
        """Whether the search ended where it began."""
        return self.start is not None and self.found is not None and self.start.hash == self.found.hash

    @property
    def lineage(self) -> tuple[Change, ...]:
        """The kept changes that lead from the start to the final workflow, in order."""
        return tuple(change for change in self.changes if change.in_final)

    @property
    def done(self) -> bool:
        """Whether the run came to its end."""
        return self.result.get("status") == "done"

    @property
    def start_val(self) -> Interval | None:
        """The start's score on validation, also while the run has no result."""
        first = next((point.score for point in self.curve if point.role == "start"), None)
        return self.score("start", "val") or first

    @property
    def judge(self) -> Mapping[str, Any] | None:
        """What judging took, where the metric asks a model: `{model, calls, tokens, usd, spread}`."""
        given = self.result.get("judge")
        return cast("Mapping[str, Any]", given) if isinstance(given, Mapping) else None


def read_run(run_dir: Path | str) -> RunView:
    """The run in `run_dir`.

    Raises:
        UserError: if this is not a run's directory, or its files are damaged.
    """
    run_dir = Path(run_dir)
    if not run_dir.is_dir():
        raise UserError(str(run_dir), "no such directory", "the directory of a run")
    events = read_events(run_dir)
    result = {**_NO_RESULT, **read_result(run_dir), **_paid(run_dir)}
    nothing: dict[str, Any] = {}
    begin = next((event for event in events if event.get("event") == "start"), nothing)
    workflows = _workflows(events)
    start = _workflow(begin.get("workflow"), JOURNAL) or _workflow_file(run_dir / "start.flow.yaml")
    found = _workflow_file(run_dir / "found.flow.yaml")
    if start is not None:
        workflows[start.hash] = start
    task, goal = _task(result, begin)
    models = cast("Mapping[str, Any]", result.get("models") or begin.get("models") or nothing)
    changes = read_changes(events, workflows, found.hash if found else None)
    examples, quoted = _examples(run_dir, events)
    return RunView(
        run_dir=run_dir,
        result=result,
        task=task or run_dir.name,
        goal=goal,
        models={str(key): str(value) for key, value in models.items() if value},
        start=start,
        found=found,
        changes=changes,
        gradients=sum(event.get("event") == "gradient" for event in events),
        curve=_curve(
            result, events, {change.workflow.hash: change.id for change in reversed(changes) if change.workflow}
        ),
        cost=_cost(result),
        examples=examples,
        quoted=quoted,
        asides=tuple(sorted(path.name for path in run_dir.glob("journal.*.jsonl"))),
    )


def _paid(run_dir: Path) -> dict[str, Any]:
    """What the sessions of a run paid; also of one that was killed before it could write its result."""
    worked = read_sessions(run_dir)
    if not worked:
        return {}
    return {
        "spent": spent_in_all(worked),
        "seconds": sum(each.seconds for each in worked),
        "sessions": [each.dump() for each in worked],
    }


def _examples(run_dir: Path, events: Sequence[Mapping[str, Any]]) -> tuple[tuple[ExamplePair, ...], Mapping[str, str]]:
    """The test's examples, and the inputs of those that gradients speak of."""
    from .show_file import read_examples

    if not has_examples(run_dir):
        return (), {}
    cited = frozenset(str(event.get("example")) for event in events if event.get("event") == "gradient")
    return read_recorded(read_examples(run_dir), cited)


def _task(result: Mapping[str, Any], begin: Mapping[str, Any]) -> tuple[str, str]:
    """Name and goal; either file may give the task as a name alone or as an object."""
    name = goal = ""
    for given in (result.get("task"), begin.get("task")):
        if isinstance(given, Mapping):
            data = cast("Mapping[str, Any]", given)
            name, goal = name or str(data.get("name") or ""), goal or str(data.get("goal") or "")
        elif isinstance(given, str):
            name = name or given
    return name, goal or str(result.get("goal") or begin.get("goal") or "")


def _workflow(data: object, where: str) -> Workflow | None:
    """From a dump; None when there is none or it is of a newer format: the report then shows less, and still opens."""
    from flowbot.workflow.workflow import Workflow

    if not isinstance(data, Mapping):
        return None
    try:
        return Workflow.from_data(dict(cast("Mapping[str, Any]", data)), where)
    except UserError:
        return None


def _workflow_file(path: Path) -> Workflow | None:
    from flowbot.workflow.workflow import Workflow

    return Workflow.load(path) if path.is_file() else None


def _workflows(events: Sequence[Mapping[str, Any]]) -> dict[str, Workflow]:
    """Every proposed workflow by hash."""
    found: dict[str, Workflow] = {}
    for event in events:
        if event.get("event") == "proposal":
            workflow = _workflow(event.get("dump"), str(event.get("id")))
            if workflow is not None:
                found[str(event["workflow"])] = workflow
    return found


def _curve(
    result: Mapping[str, Any], events: Sequence[Mapping[str, Any]], makers: Mapping[str, str]
) -> tuple[Point, ...]:
    """The curve of the result; while there is none, what the journal says of scores on validation."""
    scored = [event for event in events if event.get("event") == "evaluated" and event.get("split") == "val"]
    sizes = {str(event.get("workflow")): int(event.get("n") or 0) for event in scored}
    given = result.get("curve")
    if not isinstance(given, list):
        given = scored
    points: list[Point] = []
    for each in cast("list[Mapping[str, Any]]", given):
        name = str(each.get("workflow"))
        score = Interval.of({"n": sizes.get(name), **each})
        if score is not None:
            final = each.get("kept") or each.get("what") == "final"
            role = "final" if final else "start" if each.get("what") == "start" else "tried"
            points.append(Point(int(each.get("calls") or 0), score, role, makers.get(name, "")))
    return tuple(points)


def _cost(result: Mapping[str, Any]) -> tuple[CostRow, ...]:
    ledger = result.get("by_purpose")
    rows: list[CostRow] = []
    if isinstance(ledger, Mapping):
        for purpose, used in cast("Mapping[str, Any]", ledger).items():
            if isinstance(used, Mapping):
                row = cast("Mapping[str, Any]", used)
                rows.append(CostRow(purpose, int(row.get("calls") or 0), int(row.get("tokens") or 0), row.get("usd")))
    return tuple(rows)
