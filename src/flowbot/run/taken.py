"""What a run takes and what of it was really made and paid, in sentences: the same in summary, report, notebook and comparison.

Two things are told apart, each said once. What a run *takes* is logical: its calls and tokens with an empty store, always the
same. What was *made* is what endpoints were asked and paid for by the sessions of this run; the rest stood in the store.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias

from flowbot.fields.words import count, duration, money

Verb: TypeAlias = Literal["made", "paid"]


def takes(calls: int, requests: int, tokens: int, usd: float | None) -> str:
    """`508 model calls, 61,284 tokens, $0.43`.

    Args:
        calls: logical calls.
        requests: what endpoints served for them; said where these are more.
        tokens: logical tokens.
        usd: logical cost; None where a price is unknown.
    """
    served = f" ({count(requests, 'request')} served)" if requests > calls else ""
    return f"{count(calls, 'model call')}{served}, {tokens:,} tokens, {priced(usd)}"


def priced(usd: float | None) -> str:
    """What something costs, in words that fit behind a comma."""
    return "no known price" if usd is None else "no cost" if usd == 0 else money(usd)


def made(
    spent: Mapping[str, Any],
    requests: int,
    seconds: float | None,
    sessions: Sequence[Mapping[str, Any]] = (),
    *,
    verb: Verb = "paid",
) -> str:
    """What of the calls was made, and paid, by the sessions of a run.

    Args:
        spent: `{calls, tokens, usd}` of all sessions.
        requests: all that the run takes.
        seconds: how long the sessions worked; None where nobody knows.
        sessions: those that paid, as a run's result has them.
        verb: `made` where nothing has a price.
    """
    paid = int(spent.get("calls") or 0)
    if not paid:
        return f"Nothing of it was {verb} by this run: every response stood in the store."
    began = str(sessions[0].get("began") or "")[:10] if sessions else ""
    when = f"on {began}" if len(sessions) == 1 else f"in {len(sessions)} sessions since {began}"
    told = [f"in {duration(seconds)}"] if seconds is not None else []
    told += [when] if began else []
    if paid == requests:
        return f"All of it was {verb} by this run{' ' if told else ''}{', '.join(told)}."
    number = f"{paid:,} of the calls" if paid < requests else count(paid, "call")
    of_it = [number, f"{int(spent.get('tokens') or 0):,} tokens", priced(spent.get("usd")), *told]
    rest = (
        "the rest stood in the store"
        if paid < requests
        else "more than it takes, since an earlier session went further or was cut off in the middle of a call"
    )
    return f"{verb.capitalize()} by this run: {', '.join(of_it)}; {rest}."


def again(now: Mapping[str, Any], spent: Mapping[str, Any], *, verb: Verb = "paid") -> str:
    """What this session paid, where that is not all; "" where it is."""
    if now.get("calls") == spent.get("calls"):
        return ""
    if not now.get("calls"):
        return f"This time it was replayed from the store: nothing was {verb}."
    return f"Of that this session {verb} {now['calls']:,} calls, {now.get('tokens') or 0:,} tokens, {priced(now.get('usd'))}."


def logical(by_purpose: Mapping[str, Any]) -> tuple[int, int, int, float | None]:
    """Calls, requests, tokens and USD that a run takes in all; USD is None where a price is unknown."""
    rows = [row for row in by_purpose.values() if row]
    calls, tokens = (sum(int(row.get(name) or 0) for row in rows) for name in ("calls", "tokens"))
    prices = [row.get("usd") for row in rows]
    known = [price for price in prices if price is not None]
    requests = sum(int(row.get("requests", row.get("calls")) or 0) for row in rows)
    return calls, requests, tokens, sum(known) if len(known) == len(prices) else None


def account(result: Mapping[str, Any]) -> list[str]:
    """The sentences on what a run took.

    Args:
        result: as `result.json` has it.
    """
    calls, requests, tokens, usd = logical(result.get("by_purpose") or {})
    if not calls:
        return []
    spent: Mapping[str, Any] = result.get("spent") or {}
    verb: Verb = "made" if usd == 0 else "paid"
    paid = made(spent, requests, result.get("seconds"), result.get("sessions") or (), verb=verb)
    told = [f"{takes(calls, requests, tokens, usd)}.", paid, again(result.get("now") or spent, spent, verb=verb)]
    return [line for line in told if line]


def tested(facts: Mapping[str, Any] | None) -> list[str]:
    """That a ceiling shrank the closing test; nothing where it did not.

    Args:
        facts: `{run, of}`: test examples that were run, and all of them.
    """
    if not facts or facts["run"] >= facts["of"]:
        return []
    return [f"A ceiling left room to test on {facts['run']:,} of {count(facts['of'], 'example')}."]


def evaluation(calls: int, requests: int, tokens: int, usd: float | None, spent: Mapping[str, Any]) -> str:
    """What an evaluation takes, and in brackets what of it was paid now where that is not all; as of `takes` and `made`."""
    told = takes(calls, requests, tokens, usd)
    paid = int(spent.get("calls") or 0)
    if paid >= max(calls, requests):
        return told
    return (
        f"{told} ({count(paid, 'call')} paid now, {priced(spent.get('usd'))})"
        if paid
        else f"{told} (all from the store)"
    )
