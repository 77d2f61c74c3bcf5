"""What a run took and came to in figures: the key figures at the top of the page, where calls and money went, the settings at its end."""

from __future__ import annotations

from collections.abc import Mapping

from flowbot.fields.words import count, duration, in_points, interval, money, percent
from flowbot.run.result import Used
from flowbot.run.taken import account, logical, priced
from flowbot.run.view import RunView

from .examples import PerExample

_DOING = {
    "train": "ran workflows on training examples",
    "val": "scored workflows on validation",
    "test": "tested start and found workflow at the end",
    "gradients": "asked what is wrong",
    "proposals": "wrote prompts, code and edits",
    "judge": "judged answers",
}


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
        "Method": started.method_text,
        "Effort": run.effort,
        "Seed": str(started.seed),
        "Limits": ", ".join(f"{name.replace('_', ' ')} {limit:g}" for name, limit in started.limits.items()),
        **{f"{role.capitalize()} model": name for role, name in started.models.items()},
        "Directory": str(run.run_dir),
        "Earlier courses": ", ".join(run.asides),
    }
    return [(name, value) for name, value in named.items() if value]


def where_it_went(run: RunView) -> tuple[str, ...]:
    """What the run takes and what of it was paid, and what most of it went to."""
    if run.result is None or not (calls := sum(used.calls for used in run.by_purpose.values())):
        return ()
    ordered = sorted(run.by_purpose.items(), key=lambda pair: -pair[1].calls)
    shares = ", ".join(f"{percent(used.calls / calls)} {_doing(purpose)}" for purpose, used in ordered if used.calls)
    took, *paid = account(run.result)
    return (f"The run takes {took}", f"Of the calls {shares}.", *_priced(run.by_purpose), *paid)


def per_run(start: PerExample | None, final: PerExample | None) -> str:
    """What an example costs with the found workflow beside the start; "" where it is not known."""
    if start is None or final is None:
        return ""
    both = (
        f"One example takes {_calls(final)} and {count(round(final.tokens), 'token')} with it; with the start {_calls(start)} and "
        f"{start.tokens:,.0f}"
    )
    if final.usd is None or start.usd is None or (final.usd == 0 and start.usd == 0):
        return f"{both}."
    return f"{both}. A thousand examples cost {money(1000 * final.usd)} against {money(1000 * start.usd)}."


def _priced(by_purpose: Mapping[str, Used]) -> list[str]:
    _, _, _, whole = logical(by_purpose)
    if whole is None:
        return ["What it costs is not known: one of the models has no known price (`--price` gives one)."]
    if whole == 0:
        return []
    purpose, dearest = max(by_purpose.items(), key=lambda pair: pair[1].usd or 0.0)
    return [f"Most of the cost, {money(dearest.usd)}, {_doing(purpose)}."]


def _doing(purpose: str) -> str:
    return _DOING.get(purpose, f"went to {purpose}")


def _calls(each: PerExample) -> str:
    number = f"{each.calls:.0f}" if each.calls == round(each.calls) else f"{each.calls:.1f}"
    return f"{number} {'call' if each.calls == 1 else 'calls'}"
