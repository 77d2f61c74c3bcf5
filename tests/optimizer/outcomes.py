"""What a search asked, decided and found, in a form that does not depend on how its journal is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flowbot.run.result import RunResult, Scores
from flowbot.run.journal import read_journal

PROPOSAL = ("level", "workflow", "title", "reason", "changes", "errors")
GRADIENT = ("workflow", "level", "example", "node", "text", "source")
EVALUATION = ("workflow", "split", "mean")


def outcome(run_dir: Path, result: RunResult) -> dict[str, Any]:
    """All that must be equal when the same run is made by other code. No times, no intervals, no names of events.

    An evaluation is of one workflow (by its hash) on one split; where a run looks at one again, that is not another.
    """
    events = read_journal(run_dir / "journal.jsonl")
    evaluations = _of(events, "evaluated", EVALUATION)
    return {
        "proposals": _of(events, "proposal", PROPOSAL),
        "gradients": _of(events, "gradient", GRADIENT),
        "evaluations": [each for number, each in enumerate(evaluations) if each not in evaluations[:number]],
        "found": {"hash": result.workflow.hash, "workflow": result.workflow.dump()},
        "scores": {
            "start": _means(result.start_scores),
            "final": _means(result.final_scores),
            "difference": _means(result.difference),
        },
        "calls": dict(sorted(result.calls.items())),
    }


def _of(events: list[dict[str, Any]], kind: str, names: tuple[str, ...]) -> list[dict[str, Any]]:
    return [{name: event[name] for name in names} for event in events if event["event"] == kind]


def _means(scores: Scores) -> dict[str, Any]:
    return {name: {"mean": each["mean"], "n": each["n"]} for name, each in scores.dump().items()}
