"""A search in a few sentences: how much was tried, what of it is in the result, why it ended, and why nothing helped."""

from __future__ import annotations

from collections import Counter

from flowbot.fields.words import count, percent, points
from flowbot.run.taken import tested
from flowbot.stats import BAR, FUTILE

from .changes import Outcome
from .data import RunView
from .story import numbers

ENDS = {
    "finished": "it had tried what its effort allows",
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
    changes = run.changes
    if not changes:
        return (_nothing_tried(run),)
    rounds = len({change.round for change in changes})
    came: Counter[Outcome] = Counter(change.outcome for change in changes)
    won = sum(change.kept is True for change in changes)
    raced = sum(change.kept is not None for change in changes)
    said = [f"In {count(rounds, 'round')} {count(len(changes), 'change was', 'changes were')} tried: "]
    if raced:
        lost = f"{raced - won} lost" if raced > won else "none lost"
        said[0] += f"{won or 'none'} won {'their races' if won > 1 else 'its race'}, {lost}"
        said[0] += _others(came)
    else:
        said[0] += _others(came, alone=True)
    said[0] += "."
    said.append(_into_result(run))
    if run.gradients:
        said.append(
            f"{count(run.gradients, 'gradient was', 'gradients were')} written on the way: feedback in words on a recorded run."
        )
    finalists = [point for point in run.curve if point.role != "start"]
    if finalists and run.done:
        examples = (
            f" on {count(finalists[0].score.n, 'validation example')}" if finalists[0].score.n else " on validation"
        )
        said.append(f"{count(len(finalists), 'workflow was', 'workflows were')} scored{examples}, beside the start.")
    end = ENDS.get(str(run.result.get("stopped_by") or ""))
    if end and run.done:
        said.append(f"The search ended because {end}.")
    said += tested(run.result.get("tested"))
    return tuple(each for each in said if each)


def stopped(run: RunView) -> str:
    """Why a run stopped before its end; "" where it did not, or where nobody knows."""
    end = ENDS.get(str(run.result.get("stopped_by") or ""), "")
    reason = str(run.result.get("reason") or "")
    if run.done or not (end or reason):
        return ""
    said = f"It stopped because {end}" if end else "It stopped"
    return f"{said}: {reason}." if reason else f"{said}."


def in_vain(run: RunView) -> tuple[str, ...]:
    """Why nothing that was tried is in the result, from its numbers; empty where something is."""
    if run.lineage or not run.done or not run.changes:
        return ()
    said: list[str] = []
    raced = [change for change in run.changes if change.kept is not None]
    early = [change for change in raced if not change.kept and (change.p_better or 0.0) <= FUTILE]
    unclear = [change for change in raced if not change.kept and change not in early]
    won = [change for change in raced if change.kept]
    if early:
        said.append(
            f"{count(len(early), 'change', 'changes')} did worse than what {'it' if len(early) == 1 else 'they'} changed, "
            f"and {'was' if len(early) == 1 else 'were'} dropped as soon as P(better) fell to {percent(FUTILE)}."
        )
    if unclear:
        nearest = max(unclear, key=lambda change: change.p_better or 0.0)
        chance = (
            f", P(better) {nearest.p_better:.2f} where {BAR:.2f} was needed" if nearest.p_better is not None else ""
        )
        said.append(
            f"{count(len(unclear), 'change', 'changes')} ran all examples of {'its' if len(unclear) == 1 else 'their'} race "
            f"without being clearly better; the closest was {nearest.id} ({numbers(nearest)}{chance})."
        )
    if won:
        best = max(won, key=lambda change: change.val.mean if change.val else -1.0)
        at = f": {percent(best.val.mean)}" if best.val else ""
        beside = f" against {percent(run.start_val.mean)} of the start" if run.start_val and best.val else ""
        said.append(
            f"{count(len(won), 'change', 'changes')} won on training examples, and no workflow with "
            f"{'it' if len(won) == 1 else 'them'} beat the start on validation ({best.id}{at}{beside})."
        )
    invalid = sum(change.outcome == "invalid" for change in run.changes)
    if invalid:
        said.append(f"{count(invalid, 'proposal was', 'proposals were')} not valid and never ran.")
    return tuple(said)


def _others(came: Counter[Outcome], *, alone: bool = False) -> str:
    named: list[tuple[Outcome, str]] = [
        ("invalid", "not valid"), ("passed", "tried without a race and left behind"), ("open", "undecided"),
    ]  # fmt: skip
    if alone and came["kept"]:
        named.insert(0, ("kept", "taken into the result"))
    said = [f"{came[outcome]} {text}" for outcome, text in named if came[outcome]]
    joined = ", ".join(said)
    return joined if alone else f", {joined}" if joined else ""


def _into_result(run: RunView) -> str:
    if not run.done:
        return ""
    lineage = run.lineage
    if not lineage:
        return "None of them is in the result." if run.unchanged or run.found is not None else ""
    names = ", ".join(change.id for change in lineage)
    held = f"The found workflow holds {len(lineage)} of them ({names})"
    gains = [
        (change.candidate - change.incumbent, change)
        for change in lineage
        if change.candidate is not None and change.incumbent is not None
    ]
    if len(gains) < 2:
        return f"{held}."
    gain, best = max(gains, key=lambda pair: pair[0])
    return f"{held}; the largest gain in a race was {points(gain)} points, by {best.id}."


def _nothing_tried(run: RunView) -> str:
    if run.done and run.result.get("stopped_by") == "budget":
        return "No change was tried: a ceiling ended the search before the first one."
    if run.done:
        full = run.start_val is not None and run.start_val.mean == 1
        return (
            "No change was tried: the start made no mistake to learn from."
            if full
            else "No change was tried: no mistake was found to learn from, or no step may be changed."
        )
    return "No change had been tried yet."
