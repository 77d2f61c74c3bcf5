"""A run in words: numbers as people read them, and the one sentence that says what came of it, no more than is true."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .changes import Change
    from .data import Interval, RunView

MINUS = "−"

SOURCES = {
    "meta": "the meta model",
    "prior": "the catalogue of known patterns",
    "start": "the starting points",
    "rule": "a fixed rule",
}

PURPOSES = {
    "train": "running workflows on training examples",
    "val": "running workflows on validation examples",
    "test": "running start and final on the test",
    "gradients": "gradients: finding out what is wrong",
    "proposals": "proposals: writing prompts, code and edits",
}

ROLES = {"start": "start", "final": "found", "tried": "tried"}


def percent(value: float) -> str:
    """A score in [0, 1] as a percentage: whole numbers, one digit after the point where it matters (below 1 %)."""
    number = value * 100
    digits = 1 if 0 < abs(number) < 1 or 99 < abs(number) < 100 else 0
    return f"{number:.{digits}f} %".replace("-", MINUS)


def points(value: float, *, sign: bool = True) -> str:
    """A difference of scores in percentage points, with its sign."""
    number = round(value * 100)
    text = f"{abs(number)}"
    if number < 0:
        return MINUS + text
    return f"+{text}" if sign and number > 0 else text


def interval(score: Interval, *, difference: bool = False) -> str:
    """`18 to 34 %`; for a difference `+33 to +55`."""
    if difference:
        return f"{points(score.low)} to {points(score.high)}"
    return f"{round(score.low * 100)} to {percent(score.high)}"


def count(number: int, one: str, many: str = "") -> str:
    """`1 call`, `1,240 calls`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def money(usd: float | None) -> str:
    """Dollars; what is unknown is said to be unknown, never 0."""
    if usd is None:
        return "unknown"
    if usd == 0:
        return "$0"
    return f"${usd:,.2f}" if usd >= 0.1 else f"${usd:.2g}" if usd >= 0.001 else "under $0.001"


def duration(seconds: float) -> str:
    """`8 s`, `4 min 10 s`, `2 h 5 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole % 60 else f"{whole // 60} min"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def verdict(run: RunView) -> str:
    """What came of the run, in a sentence that claims no more than the closing test shows."""
    status = run.result.get("status")
    if status == "paused":
        return "The run is paused. Nothing is lost: the same command goes on from here."
    if status != "done":
        return "The run did not finish: what follows is as far as it came."
    start, final, difference = (run.score(who, "test") for who in ("start", "final", "difference"))
    if run.unchanged:
        why = "a ceiling ended it early" if run.result.get("stopped_by") == "budget" else "no change proved better"
        kept = f"The search ended with the workflow that it began with: {why}."
        return f"{kept} It scores {percent(final.mean)} on {count(final.n, 'test example')}." if final else kept
    if start is None or final is None or difference is None:
        return "A workflow was found, but not tested against the start: no claim is made."
    scores = (
        f"The found workflow scores {percent(final.mean)} on {count(final.n, 'test example')}, "
        f"the start {percent(start.mean)}"
    )
    inside = f"95 % interval {interval(difference, difference=True)}"
    if difference.low > 0:
        return f"{scores}: better by {points(difference.mean, sign=False)} points ({inside})."
    if difference.high < 0:
        return f"{scores}: worse by {points(-difference.mean, sign=False)} points ({inside})."
    return f"{scores}: a difference of {points(difference.mean)} points, which may be chance ({inside})."


def outcome(change: Change) -> str:
    """What became of a change, in a sentence with its numbers."""
    if change.outcome == "invalid":
        return "Not valid, so it never ran."
    if change.outcome == "open":
        return "Not decided when the run stopped."
    numbers = ""
    if change.candidate is not None and change.incumbent is not None:
        numbers = f": {percent(change.candidate)} against {percent(change.incumbent)} on {count(change.n, 'example')}"
    chance = f", P(better) {change.p_better:.2f}" if change.p_better is not None and not change.verdict else ""
    return f"{'Kept' if change.kept else 'Rejected'}{numbers}{chance}."
