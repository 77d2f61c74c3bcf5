"""The changes of a search in plain sentences: why each was tried, what came of it. `brief` has the whole in short."""

from __future__ import annotations

from flowbot.fields.words import count, interval, percent
from flowbot.run.changes import Change, Outcome
from flowbot.run.verdict import SOURCES, decided
from flowbot.run.view import RunView

BADGES: dict[Outcome, str] = {
    "kept": "in the result",
    "won": "adopted",
    "rejected": "rejected",
    "invalid": "not valid",
    "passed": "left behind",
    "open": "not decided",
}
"""What became of a change, in a word or two."""


def why(change: Change) -> tuple[str, ...]:
    """Who asked for it and on what grounds, a sentence each; the feedback itself stands in the change."""
    made, voted = change.proposal, change.proposal.votes
    said: list[str] = []
    if change.feedback:
        said.append(
            "What was said of mistakes:" if len(change.feedback) > 1 else "Asked for by what was said of a mistake:"
        )
    elif not made.reason:
        said.append(f"It comes from {SOURCES[made.source]}.")
    if made.reason:
        said.append(made.reason)
    if voted is not None:
        said.append(f"It got {voted.won} of the meta model's {count(voted.of, 'vote')}.")
    if made.code_by is not None:
        said.append(f"Its code is from {SOURCES[made.code_by]}.")
    return tuple(said)


def came(change: Change, run: RunView) -> str:
    """What was decided of it, how it scored on validation, and whether the result holds it."""
    said = decided(change)
    said = f"{said[:1].upper()}{said[1:]}."
    if change.val is not None:
        said += f" On validation it scored {percent(change.val.mean)} ({interval(change.val)})"
        said += "." if change.in_final else f"{_beside(run)}."
    if change.in_final:
        said += " It is the result." if change.is_result else " The result was built on it."
    elif change.outcome == "won" and run.done and change.val is None:
        said += " The result does without it."
    return said


def _beside(run: RunView) -> str:
    """What the score on validation of a change that was left out is to be seen beside."""
    last = next((change.val for change in run.changes if change.is_result), None)
    if last is not None:
        return f"; the result scored {percent(last.mean)}"
    return f"; the start scored {percent(run.start_val.mean)}" if run.start_val else ""
