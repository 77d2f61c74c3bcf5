"""Where the calls and the money of a run went, in sentences."""

from __future__ import annotations

from collections.abc import Mapping

from flowbot.fields.words import count, money, percent
from flowbot.run.result import Used
from flowbot.run.taken import account, logical
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
