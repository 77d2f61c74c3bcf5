"""Where the calls and the money of a run went, in sentences."""

from __future__ import annotations

from flowbot.fields.words import money, percent
from flowbot.run.taken import account

from .data import CostRow, RunView
from .examples import PerExample

_DOING = {
    "train": "ran workflows on training examples",
    "val": "scored workflows on validation",
    "test": "tested start and found workflow at the end",
    "gradients": "asked what is wrong",
    "proposals": "wrote prompts, code and edits",
    "judge": "judged answers",
}


def where_it_went(run: RunView) -> tuple[str, ...]:
    """What the run takes and what of it was paid, and what most of it went to."""
    calls = sum(row.calls for row in run.cost)
    if not calls:
        return ()
    ordered = sorted(run.cost, key=lambda row: -row.calls)
    shares = ", ".join(
        f"{percent(row.calls / calls)} {_DOING.get(row.purpose, f'went to {row.purpose}')}"
        for row in ordered
        if row.calls
    )
    took, *paid = account(run.result)
    return (f"The run takes {took}", f"Of the calls {shares}.", *_priced(run.cost), *paid)


def per_run(start: PerExample | None, final: PerExample | None) -> str:
    """What an example costs with the found workflow beside the start; "" where it is not known."""
    if start is None or final is None:
        return ""
    both = (
        f"One example takes {_calls(final)} and {final.tokens:,.0f} tokens with it; with the start {_calls(start)} and "
        f"{start.tokens:,.0f}"
    )
    if final.usd is None or start.usd is None or (final.usd == 0 and start.usd == 0):
        return f"{both}."
    return f"{both}. A thousand examples cost {money(1000 * final.usd)} against {money(1000 * start.usd)}."


def total(rows: tuple[CostRow, ...]) -> float | None:
    """The price of all; None where one of them is unknown."""
    prices = [row.usd for row in rows if row.usd is not None]
    return sum(prices) if len(prices) == len(rows) else None


def _priced(rows: tuple[CostRow, ...]) -> list[str]:
    whole = total(rows)
    if whole is None:
        return ["What it costs is not known: one of the models has no known price (`--price` gives one)."]
    if whole == 0:
        return []
    dearest = max(rows, key=lambda row: row.usd or 0.0)
    return [f"Most of the cost, {money(dearest.usd)}, {_DOING.get(dearest.purpose, f'went to {dearest.purpose}')}."]


def _calls(each: PerExample) -> str:
    number = f"{each.calls:.0f}" if each.calls == round(each.calls) else f"{each.calls:.1f}"
    return f"{number} {'call' if each.calls == 1 else 'calls'}"
