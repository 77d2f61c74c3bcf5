"""What a search asked, decided and found, in a form that does not depend on how its journal is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flowbot.run.events import Feedback, Measured, Proposal
from flowbot.run.journal import read_events
from flowbot.run.result import RunResult, Scores


def outcome(run_dir: Path, result: RunResult) -> dict[str, Any]:
    """All that must be equal when the same run is made by other code. No times, no intervals, no names of events.

    An evaluation is of one workflow (by its hash) on one split; where a run looks at one again, that is not another. How
    programs did on training rows is left out: it follows from the rest.
    """
    events = read_events(run_dir / "journal.jsonl")
    evaluations = [
        {"workflow": each.program, "split": each.split, "mean": each.score.mean}
        for each in events
        if isinstance(each, Measured) and each.split != "train"
    ]
    return {
        "proposals": [
            {
                "level": each.level,
                "workflow": each.program,
                "title": each.title,
                "reason": each.reason,
                "changes": list(each.edits),
                "errors": list(each.faults),
            }
            for each in events
            if isinstance(each, Proposal)
        ],
        "gradients": [
            {
                "workflow": each.about,
                "level": "call" if each.place else "workflow",
                "example": each.example,
                "node": each.place,
                "text": each.text,
                "source": each.source,
            }
            for each in events
            if isinstance(each, Feedback)
        ],
        "evaluations": [each for number, each in enumerate(evaluations) if each not in evaluations[:number]],
        "found": {"hash": result.workflow.hash, "workflow": result.workflow.dump()},
        "scores": {
            "start": _means(result.start_scores),
            "final": _means(result.final_scores),
            "difference": _means(result.difference),
        },
        "calls": dict(sorted(result.calls.items())),
    }


def _means(scores: Scores) -> dict[str, Any]:
    return {name: each and {"mean": each["mean"], "n": each["n"]} for name, each in scores.dump().items()}
