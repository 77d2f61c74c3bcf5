"""A search in a few sentences: how much was tried, what of it is in the result, why it ended, and why nothing helped."""

from __future__ import annotations

from collections import Counter

from flowbot.fields.words import count, in_points, percent
from flowbot.run.changes import Change
from flowbot.run.taken import caveats
from flowbot.run.verdict import decided, scores_of
from flowbot.run.view import RunView

ENDS = {
    "budget": "a ceiling was reached",
    "signal": "somebody stopped it",
    "seconds": "the time was up",
    "infrastructure": "a model's endpoint failed",
    "metric": "the metric raised an error",
    "callback": "the progress callback raised an error",
}
"""Why a search ended, by `stopped_by`."""


def in_short(run: RunView) -> tuple[str, ...]:
    """The course in a few sentences."""
    if not run.changes:
        return (_nothing_tried(run),)
    came = Counter(map(_came, run.changes))
    said = [
        f"{count(len(run.changes), 'change was', 'changes were')} tried: "
        f"{', '.join(f'{number} {words}' for words, number in came.items())}.",
        _into_result(run),
    ]
    if run.feedback:
        written = count(len(run.feedback), "gradient was", "gradients were")
        said.append(f"{written} written on the way: feedback in words on a recorded run.")
    finalists = [point for point in run.curve if point.role != "start"]
    if finalists and run.done:
        on = count(finalists[0].score.n, "validation example")
        said.append(f"{count(len(finalists), 'workflow was', 'workflows were')} scored on {on}, beside the start.")
    if run.done and run.stopped_by in ENDS:
        said.append(f"The search ended because {ENDS[run.stopped_by]}.")
    elif run.result is not None and run.result.stopped_because:
        said.append(f"The search ended: {run.result.stopped_because}.")
    said += caveats(run.result) if run.result else []
    return tuple(each for each in said if each)


def stopped(run: RunView) -> str:
    """Why a run stopped before its end; "" where it did not, or where nobody knows."""
    end, reason = ENDS.get(run.stopped_by, ""), run.result.reason if run.result else ""
    if run.done or not (end or reason):
        return ""
    said = f"It stopped because {end}" if end else "It stopped"
    return f"{said}: {reason}." if reason else f"{said}."


def in_vain(run: RunView) -> tuple[str, ...]:
    """Why nothing that was tried is in the result, from its numbers; empty where something is."""
    if run.lineage or not run.done or not run.changes:
        return ()
    said: list[str] = []
    left = [change for change in run.changes if change.verdict is not None and not change.kept]
    won = [change for change in run.changes if change.kept and not change.refuted]
    if left:
        nearest = max(left, key=lambda change: change.verdict.p if change.verdict else 0.0)
        said.append(
            f"{count(len(left), 'change was', 'changes were')} not clearly better than what {'it' if len(left) == 1 else 'they'} "
            f"changed; the closest was {nearest.id} ({scores_of(nearest)})."
        )
    if won:
        confirmed = next((change.id for change in won if change.closing is not None and not change.refuted), "")
        without = f"a ceiling left no room to test {confirmed}, which was" if confirmed else "none was"
        said.append(
            f"{count(len(won), 'change was', 'changes were')} adopted on training examples, and {without} confirmed on validation."
        )
    said += [f"{change.id} was {decided(change).rpartition('; ')[2]}." for change in run.changes if change.refuted]
    validated = [
        (change.val.mean, change.id) for change in run.changes if change.val is not None and not change.closing
    ]
    if validated and run.start_val is not None:
        most, best = max(validated, key=lambda each: each[0])
        said.append(
            f"Best on validation was {best}: {percent(most)} against {percent(run.start_val.mean)} of the start."
        )
    invalid = sum(change.outcome == "invalid" for change in run.changes)
    if invalid:
        said.append(f"{count(invalid, 'proposal was', 'proposals were')} not valid and never ran.")
    return tuple(said)


def _came(change: Change) -> str:
    if change.kept is not None:
        return "adopted" if change.kept else "dropped"
    if change.outcome in ("kept", "passed"):
        return "taken on without a comparison"
    if change.outcome == "invalid":
        return "not valid"
    return "set aside" if change.verdict is not None else "tried before" if change.repeats else "not compared"


def _into_result(run: RunView) -> str:
    if not run.done:
        return ""
    if not run.lineage:
        return "None of them is in the result."
    held = f"The found workflow holds {len(run.lineage)} of them ({', '.join(change.id for change in run.lineage)})"
    gains = [(change.verdict.gain, change.id) for change in run.lineage if change.verdict is not None]
    if len(gains) < 2:
        return f"{held}."
    gain, best = max(gains)
    return f"{held}; the largest gain on training examples was {in_points(gain)}, by {best}."


def _nothing_tried(run: RunView) -> str:
    if run.done and run.stopped_by == "budget":
        return "No change was tried: a ceiling ended the search before the first one."
    if run.done:
        full = run.start_val is not None and run.start_val.mean == 1
        return (
            "No change was tried: the start made no mistake to learn from."
            if full
            else "No change was tried: no mistake was found to learn from, or no step may be changed."
        )
    return "No change had been tried yet."
