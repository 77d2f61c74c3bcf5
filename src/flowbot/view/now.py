"""Where a run that works stands: how far it is, what it took of what it may, what is being tried."""

from __future__ import annotations

from flowbot.fields.words import count, duration, money, percent
from flowbot.run.changes import Change
from flowbot.run.heartbeat import Ceiling, Heartbeat
from flowbot.run.listing import RunSummary, Standing
from flowbot.run.view import RunView

STANDING: dict[Standing, tuple[str, str]] = {
    "running": ("at work", "won"),
    "paused": ("paused", "open"),
    "dead": ("broken off", "rejected"),
    "failed": ("failed", "rejected"),
    "done": ("done", "kept"),
    "damaged": ("damaged", "rejected"),
}
"""How a run stands, in a word, and the look of it."""
MOST_TRIED = 8
"""Changes that are shown as being tried."""
_LEAST, _LEAST_SHARE = 5.0, 0.02
"""Seconds and share of the work before the time left is guessed."""
Tile = tuple[str, str, str, float | None]
"""A key figure: name, number, a line below it, and the share of what there is in all."""


def left(heard: Heartbeat | None) -> str:
    """Time left, at the speed since the first reply that was not stored: `about 12 min left`; "" while it cannot be known."""
    if heard is None or heard.ended:
        return ""
    took, did = heard.beat - max(heard.began, heard.since), heard.share - heard.stored
    if took < _LEAST or did < _LEAST_SHARE:
        return ""
    seconds = took * (1 - heard.share) / did
    step = 60 if seconds >= 120 else 10
    return f"about {duration(max(step, round(seconds / step) * step))} left"


def now_tiles(run: RunView, summary: RunSummary) -> list[Tile]:
    """The key figures of a run that works."""
    heard = summary.heard
    found: list[Tile] = [_best(run, summary)]
    if heard is not None:
        planned = f"of about {heard.planned:,}" if heard.planned > heard.calls else "by now"
        calls = heard.ceilings.get("calls")
        if calls is None:
            found.append(("Model calls", f"{heard.calls:,}", planned, None))
        found += [_ceiling(name, each) for name, each in heard.ceilings.items()]
    paid = f"for {count(summary.spent.calls, 'call')}, in all sessions"
    below = "no price is known for these models" if summary.spent.usd is None else paid
    found.append(("Paid", money(summary.spent.usd), below, None))
    if heard is not None:
        found.append(("At work for", duration(max(0.0, heard.beat - heard.began)), "in this session", None))
    return found


def _best(run: RunView, summary: RunSummary) -> Tile:
    """The best on validation; until something was validated, what was adopted last, on training rows."""
    if summary.best is not None:
        return ("Best so far", percent(summary.best), "on validation", None)
    last = next((change for change in reversed(run.changes) if change.kept and change.verdict), None)
    if last is None or last.verdict is None:
        return ("Best so far", "–", "nothing is better than the start yet", None)
    verdict = last.verdict
    on = f"{last.id}, on {count(verdict.n, 'training example')}; before {percent(verdict.theirs)}"
    return ("Best so far", percent(verdict.mine), on, None)


def _ceiling(name: str, ceiling: Ceiling) -> Tile:
    share = min(1.0, ceiling.used / ceiling.of) if ceiling.of else 1.0
    if name == "usd":
        return ("Dollars", money(ceiling.used), f"of {money(ceiling.of)} at most", share)
    if name == "seconds":
        return ("Time", duration(ceiling.used), f"of {duration(ceiling.of)} at most", share)
    named = {"calls": "Model calls", "tokens": "Tokens"}.get(name, name)
    return (named, f"{ceiling.used:,.0f}", f"of {ceiling.of:,.0f} at most", share)


def pairs_of(heard: Heartbeat | None, change: str) -> tuple[str, list[str]]:
    """How a change that is being compared did so far: in short, and each pair of scores, the last first; "" where none was run."""
    pairs = heard.races.get(change, []) if heard is not None else []
    better, worse = sum(mine > theirs for mine, theirs in pairs), sum(mine < theirs for mine, theirs in pairs)
    shown = [f"{percent(mine)} against {percent(theirs)}" for mine, theirs in reversed(pairs)]
    return (f"{count(len(pairs), 'pair')}: {better} better, {worse} worse" if pairs else ""), shown


def tried_now(run: RunView) -> tuple[Change, ...]:
    """The changes on which nothing is decided yet, the newest first."""
    open_ = [each for each in run.changes if each.outcome == "open" and each.verdict is None and not each.repeats]
    return tuple(open_[::-1][:MOST_TRIED])
