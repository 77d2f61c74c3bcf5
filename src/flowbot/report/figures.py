"""The key figures at the top of the page, and the settings at its end."""

from __future__ import annotations

from flowbot.fields.words import count, duration, in_points, interval, money, percent
from flowbot.run.taken import logical, priced
from flowbot.run.view import RunView


def tiles(run: RunView) -> list[tuple[str, str, str]]:
    """The key figures: name, number, a line below it. What was not measured is not shown."""
    found: list[tuple[str, str, str]] = []
    start, final, difference = (run.score(who, "test") for who in ("start", "final", "difference"))
    if run.unchanged and final:
        found.append(("Test score", percent(final.mean), f"95 % interval {interval(final)}"))
    elif start and final:
        both = f"{percent(start.mean)} → {percent(final.mean)}"
        found.append(("Test score", both, f"on {count(final.n, 'example')} used once, at the end"))
    elif run.start_val:
        found.append(("The start", percent(run.start_val.mean), "on validation examples"))
    if difference and not run.unchanged:
        between = f"95 % interval {interval(difference, difference=True)}"
        found.append(("Difference", in_points(difference.mean), between))
    found += _spent(run)
    if run.result is not None:
        found.append(("Time", duration(run.result.seconds), "without fetching models"))
    return found


def _spent(run: RunView) -> list[tuple[str, str, str]]:
    spent = run.spent
    calls, _, tokens, usd = logical(run.by_purpose)
    found: list[tuple[str, str, str]] = []
    if calls:
        found.append(("Model calls", f"{calls:,}", f"{count(tokens, 'token')}, {priced(usd)}"))
    if calls or spent.calls:
        paid = f"for {count(spent.calls, 'call')}, {count(spent.tokens, 'token')}"
        below = "no price is known for these models" if spent.usd is None else paid
        found.append(("Paid", money(spent.usd), below if spent.calls else "every response was stored"))
    return found


def settings(run: RunView) -> list[tuple[str, str]]:
    """How the run was made, for someone who wants to make it again."""
    started = run.started
    named = {
        "Run": started.run,
        "Status": run.status,
        "Stopped by": run.stopped_by,
        "Method": started.method,
        "Effort": run.effort,
        "Seed": str(started.seed),
        **{f"{role.capitalize()} model": name for role, name in started.models.items()},
        "Directory": str(run.run_dir),
        "Earlier courses": ", ".join(run.asides),
    }
    return [(name, value) for name, value in named.items() if value]
