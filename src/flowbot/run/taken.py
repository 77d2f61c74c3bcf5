"""What a run takes and what of it was really made and paid, in sentences: the same in summary, report, notebook and comparison.

Two things are told apart, each said once. What a run *takes* is logical: its calls and tokens with an empty store, always the
same. What was *made* is what endpoints were asked and paid for by the sessions of this run; the rest stood in the store.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias

from flowbot.fields import Usage
from flowbot.fields.values import dollars
from flowbot.fields.words import count, duration, money

from .result import Judging, RunResult, Used
from .sessions import Spent, WorkSession

Verb: TypeAlias = Literal["made", "paid"]

PURPOSES = {
    "train": "running workflows on training examples",
    "val": "running workflows on validation examples",
    "test": "running start and found workflow on the test",
    "gradients": "gradients: finding out what is wrong",
    "proposals": "proposals: writing prompts, code and edits",
    "probe": "one question to a model: how it is to be asked",
    "ability": "a few small questions to the meta model: how it is to be asked",
    "judge": "the judge: scoring what the workflows gave",
}
"""What calls are made for, by the name that the ledger has for it."""


Paid: TypeAlias = Spent | Usage
"""Calls that were paid for."""


def takes(calls: int, requests: int, tokens: int, usd: float | None) -> str:
    """`508 model calls, 61,284 tokens, $0.43`.

    Args:
        calls: logical calls.
        requests: what endpoints served for them; said where these are more.
        tokens: logical tokens.
        usd: logical cost; None where a price is unknown.
    """
    served = f" ({count(requests, 'request')} served)" if requests > calls else ""
    return f"{count(calls, 'model call')}{served}, {count(tokens, 'token')}, {priced(usd)}"


def priced(usd: float | None) -> str:
    """What something costs, in words that fit behind a comma."""
    return "no known price" if usd is None else "no cost" if usd == 0 else money(usd)


def made(
    spent: Paid, requests: int, seconds: float, sessions: Sequence[WorkSession] = (), *, verb: Verb = "paid"
) -> str:
    """What of the calls was made, and paid, by the sessions of a run.

    Args:
        spent: by all sessions.
        requests: all that the run takes.
        seconds: how long the sessions worked.
        sessions: those that paid, as a run's result has them.
        verb: `made` where nothing has a price.
    """
    paid = spent.calls
    if not paid:
        return f"Nothing of it was {verb} by this run: every response stood in the store."
    began = sessions[0].began[:10] if sessions else ""
    when = f"on {began}" if len(sessions) == 1 else f"in {len(sessions)} sessions since {began}"
    told = [f"in {duration(seconds)}", *([when] if began else [])]
    if paid == requests:
        return f"All of it was {verb} by this run {', '.join(told)}."
    number = f"{paid:,} of the calls" if paid < requests else count(paid, "call")
    of_it = [number, f"{count(spent.tokens, 'token')}", priced(spent.usd), *told]
    rest = (
        "the rest stood in the store"
        if paid < requests
        else "more than it takes, since an earlier session went further or was cut off in the middle of a call"
    )
    return f"{verb.capitalize()} by this run: {', '.join(of_it)}; {rest}."


def again(now: Paid, spent: Paid, *, verb: Verb = "paid") -> str:
    """What this session paid, where that is not all; "" where it is."""
    if now.calls == spent.calls:
        return ""
    if not now.calls:
        return f"This time it was replayed from the store: nothing was {verb}."
    return f"Of that this session {verb} {count(now.calls, 'call')}, {count(now.tokens, 'token')}, {priced(now.usd)}."


def logical(by_purpose: Mapping[str, Used]) -> tuple[int, int, int, float | None]:
    """Calls, requests, tokens and USD that a run takes in all; USD is None where a price is unknown."""
    rows = by_purpose.values()
    calls, requests, tokens = (sum(getattr(row, name) for row in rows) for name in ("calls", "requests", "tokens"))
    return calls, requests, tokens, dollars(row.usd for row in rows)


def account(result: RunResult) -> list[str]:
    """The sentences on what a run took."""
    calls, requests, tokens, usd = logical(result.by_purpose)
    if not calls:
        return []
    verb: Verb = "made" if usd == 0 else "paid"
    paid = made(result.spent, requests, result.seconds, result.sessions, verb=verb)
    told = [
        f"{takes(calls, requests, tokens, usd)}.",
        by_model(result.by_model),
        paid,
        again(result.now, result.spent, verb=verb),
    ]
    return [line for line in told if line]


def by_model(used: Mapping[str, Paid]) -> str:
    """What each model takes; "" where there is one."""
    shares = (f"{name} {takes(each.calls, 0, each.tokens, each.usd)}" for name, each in used.items())
    return f"By model: {'; '.join(shares)}." if len(used) > 1 else ""


def judged(judge: Judging) -> str:
    """What judging took, and how much a judge disagrees with itself."""
    took = f"{count(judge.calls, 'call')}, {count(judge.tokens, 'token')}, cost {money(judge.usd)}"
    varied = (
        ""
        if judge.spread is None
        else f"; its scores of one answer vary by {judge.spread:.2f} (mean standard deviation)"
    )
    return f"Judge {judge.model}: {took}{varied}."


def caveats(result: RunResult) -> list[str]:
    """What limits what the scores show: that validation joined the search, that a ceiling shrank the closing test."""
    found: list[str] = []
    if result.validation_joined:
        found.append(
            "Validation is small, or few calls were planned: its rows joined the search, so only the test is of unseen examples."
        )
    if (test := result.tested) is not None and test.run < test.of:
        found.append(f"A ceiling left room to test on {test.run:,} of {count(test.of, 'example')}.")
    return found


def evaluation(calls: int, requests: int, tokens: int, usd: float | None, spent: Paid) -> str:
    """What an evaluation takes, and in brackets what of it was paid now where that is not all; as of `takes` and `made`."""
    told = takes(calls, requests, tokens, usd)
    paid = spent.calls
    if paid >= max(calls, requests):
        return told
    return f"{told} ({count(paid, 'call')} paid now, {priced(spent.usd)})" if paid else f"{told} (all from the store)"
