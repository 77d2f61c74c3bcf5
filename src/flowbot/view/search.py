"""The course of a search as points: what it believes of each change that was compared, against model calls."""

from __future__ import annotations

from flowbot.run.changes import Change
from flowbot.run.events import Measure, Verdict
from flowbot.run.view import Point, RunView

MOST = 80
"""Points that a chart shows of what was adopted, evenly taken, and of what was not, the last ones."""
_WIDE = 1.96
"""Standard deviations to each side: 95 %."""


def compared(run: RunView) -> list[Change]:
    """The changes that were compared with what they changed, in the order in which that was decided."""
    found = [(change.verdict.spent, place, change) for place, change in enumerate(run.changes) if change.verdict]
    return [change for _, _, change in sorted(found, key=lambda each: each[:2])]


def course(run: RunView) -> tuple[Point, ...]:
    """The start's score on its training rows, and of each change the score of what it changed and the gain that is believed of it;
    empty where nothing was compared.

    What each scored on its own rows cannot stand on one line: other changes are compared on other rows.
    """
    decided = [(change, change.verdict) for change in compared(run) if change.verdict is not None]
    if not decided:
        return ()
    begin = run.start.hash
    first = max((each for _, each in decided if each.incumbent == begin), key=lambda each: each.n, default=None)
    known = {begin: first.theirs} if first is not None else {}
    points: list[Point] = []
    for change, verdict in decided:
        score = _believed(verdict, known.get(verdict.incumbent, verdict.theirs))
        points.append(Point(verdict.spent, score, "final" if change.kept else "tried", change.id))
        if change.kept and change.proposal.program is not None:
            known[change.proposal.program] = score.mean
    kept = [each for each in points if each.role == "final"]
    tried = [each for each in points if each.role == "tried"]
    shown = {each.change for each in (*kept[:: len(kept) // MOST + 1], *kept[-1:], *tried[-MOST:])}
    begun = decided[0][1].theirs if first is None else first.theirs
    start = Point(0, Measure(mean=begun, low=begun, high=begun, n=first.n if first else 0), "start")
    return (start, *(each for each in points if each.change in shown))


def _believed(verdict: Verdict, of: float) -> Measure:
    mean, low, high = (
        min(1.0, max(0.0, of + verdict.gain + side * _WIDE * verdict.spread)) for side in (0.0, -1.0, 1.0)
    )
    return Measure(mean=mean, low=low, high=high, n=verdict.n)
