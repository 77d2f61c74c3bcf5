"""A run in words: numbers as people read them, and the one sentence that says what came of it, no more than is true."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowbot.fields.words import MINUS, count, duration, interval, money, percent, points
from flowbot.run.verdict import verdict_on

if TYPE_CHECKING:
    from .changes import Change
    from .data import RunView

__all__ = [
    "MINUS",
    "PURPOSES",
    "ROLES",
    "SOURCES",
    "count",
    "duration",
    "interval",
    "money",
    "outcome",
    "percent",
    "points",
    "verdict",
]

SOURCES = {
    "meta": "the meta model",
    "prior": "the catalogue of known patterns",
    "start": "the starting points",
    "rule": "a fixed rule",
}

PURPOSES = {
    "train": "running workflows on training examples",
    "val": "running workflows on validation examples",
    "test": "running start and found workflow on the test",
    "gradients": "gradients: finding out what is wrong",
    "proposals": "proposals: writing prompts, code and edits",
    "probe": "one question to a model: how it is to be asked",
    "judge": "the judge: scoring what the workflows gave",
}

ROLES = {"start": "start", "final": "found", "tried": "tried"}


def verdict(run: RunView) -> str:
    """What came of the run, in a sentence that claims no more than the closing test shows."""
    return verdict_on(
        status=run.result.get("status"),
        stopped_by=run.result.get("stopped_by"),
        unchanged=run.unchanged,
        start=run.score("start", "test"),
        final=run.score("final", "test"),
        difference=run.score("difference", "test"),
    )


def outcome(change: Change) -> str:
    """What became of a change, in a sentence with its numbers."""
    if change.outcome == "invalid":
        return "Not valid, so it never ran."
    if change.outcome == "open":
        return "Not decided when the run stopped."
    if change.kept is None:
        return "Taken on without a race."
    numbers = ""
    if change.candidate is not None and change.incumbent is not None:
        numbers = f": {percent(change.candidate)} against {percent(change.incumbent)} on {count(change.n, 'example')}"
    chance = f", P(better) {change.p_better:.2f}" if change.p_better is not None and not change.verdict else ""
    return f"{'Kept' if change.kept else 'Rejected'}{numbers}{chance}."
