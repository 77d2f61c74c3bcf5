"""The key figures at the top of the page, and the settings at its end."""

from __future__ import annotations

from typing import Any

from flowbot.fields.words import count
from flowbot.run.taken import logical, priced

from . import words
from .data import RunView


def tiles(run: RunView) -> list[tuple[str, str, str]]:
    """The key figures: name, number, a line below it. What was not measured is not shown."""
    found: list[tuple[str, str, str]] = []
    start, final, difference = (run.score(who, "test") for who in ("start", "final", "difference"))
    if run.unchanged and final:
        found.append(("Test score", words.percent(final.mean), f"95 % interval {words.interval(final)}"))
    elif start and final:
        both = f"{words.percent(start.mean)} → {words.percent(final.mean)}"
        found.append(("Test score", both, f"on {words.count(final.n, 'example')} used once, at the end"))
    elif run.start_val:
        found.append(("The start", words.percent(run.start_val.mean), "on validation examples"))
    if difference and not run.unchanged:
        between = f"95 % interval {words.interval(difference, difference=True)}"
        found.append(("Difference", f"{words.points(difference.mean)} points", between))
    found += _spent(run)
    if run.result.get("seconds") is not None:
        found.append(("Time", words.duration(run.result["seconds"]), "without fetching models"))
    return found


def _spent(run: RunView) -> list[tuple[str, str, str]]:
    spent: dict[str, Any] = run.result.get("spent") or {}
    calls, _, tokens, usd = logical(run.result.get("by_purpose") or {})
    found: list[tuple[str, str, str]] = []
    if calls:
        found.append(("Model calls", f"{calls:,}", f"{tokens:,} tokens, {priced(usd)}"))
    if spent:
        paid = count(spent["calls"], "call")
        below = (
            "no price is known for these models" if spent["usd"] is None else f"for {paid}, {spent['tokens']:,} tokens"
        )
        found.append(("Paid", words.money(spent["usd"]), below if spent["calls"] else "every response was stored"))
    return found


def settings(run: RunView) -> list[tuple[str, str]]:
    """How the run was made, for someone who wants to make it again."""
    result = run.result
    named: dict[str, Any] = {
        "Run": result.get("run_id"),
        "Status": result.get("status"),
        "Stopped by": result.get("stopped_by"),
        "Method": result.get("method"),
        "Effort": result.get("effort"),
        "Seed": result.get("seed"),
        **{f"{role.capitalize()} model": name for role, name in run.models.items()},
        "Directory": str(run.run_dir),
        "Earlier courses": ", ".join(run.asides),
    }
    return [(name, str(value)) for name, value in named.items() if value not in (None, "")]
