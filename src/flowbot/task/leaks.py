"""Inputs that give the answer away: an input that in use would not be there, or would make the task none.

Names do not show it, values do. Each test asks for more than chance would give: that a text mentions its own label and no
other one, that a value which repeats always stands with the same answer.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from statistics import fmean
from typing import Any

from flowbot.fields import canonical_json

_LEAST = 5
"""Rows below which nothing is said."""
_NEARLY_ALL = 0.95
_HARDLY_ANY = 0.2
_CHANCE = 1e-4
"""A pattern that is as likely as this without a leak is none."""
_LABELS = 100
"""Different texts that labels have at most."""
_RUNNING = 6
"""Words on average from which a text is one to be read, no name, tag or path."""
_SENTENCE = 4
"""Words on average from which an answer is more than what a text mentions."""
_SAMPLE = 2_000
"""Rows that are looked at."""


def leak(inputs: Sequence[Any], outputs: Sequence[Any]) -> str:
    """How an input tells an output, in words that follow its name; "" if it does not.

    Args:
        inputs: the input's value in each row, None where there is none.
        outputs: the output's, in the same order.
    """
    both = [pair for pair in zip(inputs, outputs, strict=True) if all(each is not None and each != "" for each in pair)]
    # A leak shows in every part of the rows.
    pairs = [(key(one), key(other)) for one, other in both[:: max(1, len(both) // _SAMPLE)]]
    answers = Counter(answer for _, answer in pairs)
    if len(pairs) < _LEAST or len(answers) < 2:
        return ""
    if fmean(one == other for one, other in pairs) >= _NEARLY_ALL:
        return "is the answer itself"
    if all(isinstance(value, bool | int | float) for value in outputs if value is not None):
        return "alone decides the answer" if _decides(pairs, answers) else ""
    # A running text may well mention what is asked about it, and end so: that is what extracting is.
    read = _words(one for one, _ in pairs) >= _RUNNING
    told = not read or _words(answers) >= _SENTENCE
    if told and fmean(_ends_with(one, other) for one, other in pairs) >= _NEARLY_ALL:
        return "ends with the answer"
    if not read and 2 * len(answers) <= len(pairs) and len(answers) <= _LABELS and _mentions(pairs, answers):
        return "contains the answer"
    return "alone decides the answer" if _decides(pairs, answers) else ""


def _words(texts: Iterable[str]) -> float:
    """How many words they have on average."""
    return fmean(len(text.split()) for text in texts)


def _decides(pairs: Sequence[tuple[str, str]], answers: Counter[str]) -> bool:
    """Whether each value that repeats stands with one answer, and that by more than chance."""
    found: dict[str, list[str]] = defaultdict(list)
    for one, other in pairs:
        found[one].append(other)
    if any(len(set(each)) > 1 for each in found.values()) or 2 * len(found) > len(pairs):
        return False
    again = sum(len(each) - 1 for each in found.values())
    return (max(answers.values()) / len(pairs)) ** again < _CHANCE


def _mentions(pairs: Sequence[tuple[str, str]], answers: Counter[str]) -> bool:
    """Whether texts have their own label in them, and hardly ever another one."""
    if any(not answer.strip() for answer in answers):
        return False
    said = {answer: re.compile(rf"(?<!\w){re.escape(answer.casefold())}(?!\w)") for answer in answers}
    in_order = list(answers)
    other = {answer: in_order[(number + 1) % len(in_order)] for number, answer in enumerate(in_order)}
    own = fmean(bool(said[answer].search(text.casefold())) for text, answer in pairs)
    if own < _NEARLY_ALL:
        return False
    return fmean(bool(said[other[answer]].search(text.casefold())) for text, answer in pairs) <= _HARDLY_ANY


def _ends_with(text: str, answer: str) -> bool:
    bare = answer.strip().rstrip("\"'`.}] ").casefold()
    return bool(bare) and bool(re.search(rf"(?<!\w){re.escape(bare)}[\"'`.\]}}\s]*\Z", text.casefold()))


def key(value: Any) -> str:
    """A text as it is, any other value as JSON: what values are told apart by."""
    return value if isinstance(value, str) else canonical_json(value)
