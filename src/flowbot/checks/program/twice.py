"""A program that is run a second time must ask the same; where it does not, what differs tells why."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date
from difflib import SequenceMatcher

from flowbot.fields import canonical_json
from flowbot.fields.words import cut
from flowbot.task.quality import Remark

from .observed import Asked, Observed, Run, said

_LOOKED = 20_000
"""Letters of a request that are compared."""
_UUID = re.compile(r"[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}", re.IGNORECASE)
_ADDRESS = re.compile(r"0x[0-9a-f]{6,16}", re.IGNORECASE)
_TIME = re.compile(r"\d{4}-\d\d-\d\d|\d{1,2}:\d\d(?::\d\d(?:[.,]\d+)?)?|(?<!\d)\d{10}(?:\.\d+|\d{3})?(?!\d)")
_MENDS = {
    "an unordered set": "sort it before it is written",
    "a random id": "leave it out of the request, or derive it from the inputs",
    "the address of an object": "write what the object holds",
    "a date or a time": "hand it in as an input, or leave it out",
    "something else": "derive it from the inputs, or leave it out",
}


def unlike(one: Observed, other: Observed, program: str, today: date) -> Iterator[Remark]:
    """One remark for each step that does not ask the same in two processes, or twice in one, or asks what day it is.

    Args:
        one, other: the same runs, with other orders of sets.
        program: how it is named.
        today: the date.
    """
    told: set[tuple[str, str]] = set()
    runs = [(*pair, False) for pair in zip(_plain(one.runs), _plain(other.runs), strict=False)]
    runs += [(one.runs[0], one.again, True)] if one.again is not None and one.runs else []
    for first, second, later in runs:
        for asked, instead in _unmatched(first, second):
            kind, here, there = difference(said(asked), said(instead))
            if (asked.scope, kind) in told:
                continue
            told.add((asked.scope, kind))
            again, why = (" after others", "") if later else ("", f", {kind}")
            what = f"asks something else when it is run again{again}: “{cut(here, 60)}” is “{cut(there, 60)}” then{why}"
            mend = "keep nothing from one run for another" if later else _MENDS[kind]
            yield Remark(_place(program, asked.scope), what, mend)
    names = _names(today)
    for run in _plain(one.runs):
        for asked in run.asked:
            day = next((name for name in names if name in said(asked)), None)
            if day is not None and not any(kind == "a date or a time" for _, kind in told):
                told.add((asked.scope, "a date or a time"))
                what = f"sends today's date ({day}): from tomorrow on nothing that is stored is found again"
                yield Remark(_place(program, asked.scope), what, _MENDS["a date or a time"])


def difference(one: str, other: str) -> tuple[str, str, str]:
    """Why two texts differ, and where they first do, each with what stands around."""
    match = SequenceMatcher(None, one[:_LOOKED], other[:_LOOKED], autojunk=False)
    ops = [op for op in match.get_opcodes() if op[0] != "equal"]
    if not ops:
        return "something else", one[:60], other[:60]
    _, start, end, other_start, other_end = ops[0]
    here, there = _word(one, start, end), _word(other, other_start, other_end)
    if Counter(re.findall(r"\w+", one)) == Counter(re.findall(r"\w+", other)):
        return "an unordered set", here, there
    for kind, form in (("a random id", _UUID), ("the address of an object", _ADDRESS), ("a date or a time", _TIME)):
        if form.sub("", one) == form.sub("", other):
            return kind, here, there
    return "something else", here, there


def _word(text: str, start: int, end: int) -> str:
    """What differs, to the ends of its words."""
    begin = max((text.rfind(blank, 0, start) for blank in " \n"), default=-1) + 1
    ends = [at for blank in " \n" if (at := text.find(blank, end)) >= 0]
    return text[begin : min(ends, default=len(text))]


def _unmatched(first: Run, second: Run) -> Iterator[tuple[Asked, Asked]]:
    """Requests that only one run made, each with the one most like it that only the other made."""
    left = _without(second.asked, first.asked)
    for asked in _without(first.asked, second.asked):
        near = [each for each in left if each.scope == asked.scope]
        if near:
            text = said(asked)[:_LOOKED]
            nearest = max(near, key=lambda each: SequenceMatcher(None, text, said(each)[:_LOOKED]).quick_ratio())
            left.remove(nearest)
            yield asked, nearest


def _without(these: Sequence[Asked], those: Sequence[Asked]) -> list[Asked]:
    held = Counter(canonical_json(dict(each.body)) for each in those)
    found: list[Asked] = []
    for each in these:
        key = canonical_json(dict(each.body))
        if held[key]:
            held[key] -= 1
        else:
            found.append(each)
    return found


def _plain(runs: Sequence[Run]) -> list[Run]:
    return [run for run in runs if not run.marked]


def _place(program: str, scope: str) -> str:
    return f"{program}, {scope}" if scope else program


def _names(day: date) -> tuple[str, ...]:
    named = (
        name
        for month in (f"{day:%B}", f"{day:%b}")
        for number in (f"{day.day}", f"{day:%d}")
        for name in (f"{month} {number}, {day.year}", f"{month} {number} {day.year}", f"{number} {month} {day.year}")
    )
    return (
        day.isoformat(),
        f"{day:%d.%m.%Y}",
        f"{day:%m/%d/%Y}",
        f"{day:%d/%m/%Y}",
        f"{day:%Y/%m/%d}",
        *named,
    )
