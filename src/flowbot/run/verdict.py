"""What came of a run, in one sentence that claims no more than the closing test shows; and what was decided of a change."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from flowbot.fields.words import count, in_points, interval, percent
from flowbot.stats import Estimate

from .events import Difference, Measure, Noted

if TYPE_CHECKING:
    from .changes import Change

SOURCES = {
    "meta": "the meta model",
    "prior": "the catalogue of known patterns",
    "history": "what the run had learned",
    "start": "the starting points",
    "rule": "a fixed rule",
}
"""Who thought of a change, or gave feedback."""
_DECISIONS = {"adopt": "adopted", "drop": "dropped", "set aside": "set aside"}


Mean: TypeAlias = Estimate | Measure | Difference
"""A mean with its interval over `n` examples."""


def verdict_on(
    *,
    status: str,
    stopped_by: str = "",
    unchanged: bool = False,
    start: Mean | None = None,
    final: Mean | None = None,
    difference: Mean | None = None,
) -> str:
    """The verdict.

    Args:
        status: `done`, `paused` or `failed`.
        stopped_by: what ended the search.
        unchanged: the start was kept.
        start, final: on the test, None where they were not tested.
        difference: final minus start, paired.
    """
    if status == "paused":
        return "The run is paused. Nothing is lost: the same command goes on from here."
    if status != "done":
        return "The run did not finish: what follows is as far as it came."
    if unchanged:
        why = "a ceiling ended it early" if stopped_by == "budget" else "no change proved better"
        kept = f"The search ended with the workflow that it began with: {why}."
        tested = (
            f"It scores {percent(final.mean)} on {count(final.n, 'test example')}" if final else "It was not tested"
        )
        return f"{kept} {tested}."
    if start is None or final is None or difference is None:
        return "A workflow was found, but not tested against the start: no claim is made."
    scores = (
        f"The found workflow scores {percent(final.mean)} on {count(final.n, 'test example')}, "
        f"the start {percent(start.mean)}"
    )
    inside = f"95 % interval {interval(difference, difference=True)}"
    if difference.low > 0:
        return f"{scores}: better by {in_points(difference.mean, sign=False)} ({inside})."
    if difference.high < 0:
        return f"{scores}: worse by {in_points(-difference.mean, sign=False)} ({inside})."
    return f"{scores}: a difference of {in_points(difference.mean)}, which may be chance ({inside})."


def decided(change: Change) -> str:
    """`adopted on 16 pairs (54 % against 50 %, P(better) 0.80); confirmed on validation (60 % against 50 % on 40 pairs)`."""
    if change.proposal.program is None:
        return "not valid, so it never ran"
    said = [_in_search(change)]
    if change.val is not None and not change.kept:
        said.append("scored on validation")
    if (closing := change.closing) is not None:
        sides = f"{percent(closing.mine)} against {percent(closing.theirs)} on {count(closing.n, 'pair')}"
        said.append(f"{'not confirmed' if change.refuted else 'confirmed'} on validation ({sides})")
    elif change.is_result and change.val is not None:
        said.append("best on validation")
    return "; ".join(said)


def noted(note: Noted) -> str:
    """`After 310 calls, the search stopped: nothing is left to try`."""
    about = {"plateau": "a plateau", "restart": "a restart", "stopped": "the search stopped", "start": "the start"}
    return f"After {count(note.spent, 'call')}, {about.get(note.about, note.about)}: {note.text}"


def scores_of(change: Change) -> str:
    """`54 % against 50 %, P(better) 0.70`: both sides of a change's comparison; "" where there was none. Where two means decided
    nothing is reckoned of chance: `54 % against 50 %, mean of validation`."""
    verdict = change.verdict
    if verdict is None:
        return ""
    sides = f"{percent(verdict.mine)} against {percent(verdict.theirs)}"
    if verdict.rule.startswith("mean of "):
        return f"{sides}, {verdict.rule}"
    chance = "P(not worse)" if verdict.rule == "cheaper" else "P(better)"
    return f"{sides}, {chance} {verdict.p:.2f}"


def _in_search(change: Change) -> str:
    if change.verdict is None:
        if change.repeats and not change.followed:
            return f"the same workflow as {change.repeats}, so it was not run again"
        return (
            "taken on without a comparison"
            if change.followed or change.in_final
            else "not compared when the search stopped"
        )
    return f"{_DECISIONS[change.verdict.decision]} on {count(change.verdict.n, 'pair')} ({scores_of(change)})"
