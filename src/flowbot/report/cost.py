"""Where the calls and the money of a run went, in sentences."""

from __future__ import annotations

from typing import Any

from flowbot.fields.words import count, money, percent

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
    """What the run took, what took most of it, and what of it this command paid for."""
    calls = sum(row.calls for row in run.cost)
    if not calls:
        return ()
    tokens = sum(row.tokens for row in run.cost)
    ordered = sorted(run.cost, key=lambda row: -row.calls)
    shares = ", ".join(
        f"{percent(row.calls / calls)} {_DOING.get(row.purpose, f'went to {row.purpose}')}"
        for row in ordered
        if row.calls
    )
    said = [f"{count(calls, 'model call')} and {tokens:,} tokens in all: {shares}.", *_priced(run.cost)]
    said += _paid(run, calls)
    return tuple(said)


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
        return ["What it cost is not known: one of the models has no known price (`--price` gives one)."]
    if whole == 0:
        return ["None of it has a price."]
    dearest = max(rows, key=lambda row: row.usd or 0.0)
    return [
        f"That is {money(whole)}; most of it, {money(dearest.usd)}, "
        f"{_DOING.get(dearest.purpose, f'went to {dearest.purpose}')}."
    ]


def _paid(run: RunView, calls: int) -> list[str]:
    spent: dict[str, Any] = run.result.get("spent") or {}
    made = int(spent.get("calls") or 0)
    if made >= calls:
        return ["All of it was paid for by this command."]
    if made == 0:
        return ["This command paid for none of it: every response was stored."]
    return [
        f"This command paid for {made:,} of the calls; the other {calls - made:,} were stored, from an earlier start of it "
        "or since the same question came twice."
    ]


def _calls(each: PerExample) -> str:
    number = f"{each.calls:.0f}" if each.calls == round(each.calls) else f"{each.calls:.1f}"
    return f"{number} {'call' if each.calls == 1 else 'calls'}"
