"""DROP's F1 and exact match (Dua et al. 2019), and the F1 that AFlow reports under the same name."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

from flowbot.fields import Score
from flowbot.task import Example

from .assignment import best_assignment
from .tokens import NO_PUNCTUATION, squad_form, token_f1, without_articles
from .wording import wrong

REFERENCES = "references"
"""The column of answers that are right: each a text, or a list of the spans that make one."""
BETWEEN = "|"
"""What parts the spans of an answer."""
JOINED = " and "
"""What joins them where a reference is one text, as in files that were made from DROP."""
_PARTS = re.compile(r"[ -]")
_MOST = 100
"""Spans of an answer that are looked at; no answer of DROP has as many."""

Bag = frozenset[str]


def drop_f1(example: Example, outputs: Mapping[str, Any]) -> Score:
    """DROP's F1, the best over the references; the part `em` is exact match, at its best too.

    Spans of the answer stand between `|`. They are paired with the spans of a reference for the highest sum of F1s of their sets of
    words, in which all or no numbers must differ; what has no partner counts 0. Rounded to two places, as DROP's script does it.
    """
    found = str(outputs["answer"])
    told = [each for each in references(example) if _first(each).strip()]
    scores = [em_and_f1(found, each) for each in told]
    em, best = (max(column) for column in zip(*scores, strict=True)) if scores else (0.0, 0.0)
    if best == 1.0:
        return Score(1.0, "" if em else _said(found, told), {"em": em})
    return Score(best, f"{_said(found, told)} (F1 {best:.2f})", {"em": em})


def drop_aflow(example: Example, outputs: Mapping[str, Any]) -> Score:
    """The highest token F1 of any text between `|` in the answer with any reference, as AFlow computes it (Zhang et al. 2024).

    Several answers may be named, and the best one counts.
    """
    told = [JOINED.join(_spans(each)) for each in references(example)]
    wanted = [squad_form(each).split() for reference in told for each in reference.split(BETWEEN) if each.strip()]
    found = str(outputs["answer"])
    given = [squad_form(each).split() for each in found.split(BETWEEN)]
    best = max((token_f1(one, other) for other in wanted for one in given), default=0.0)
    return Score(best, "" if best == 1.0 else f"{wrong('answer', found, told)} (F1 {best:.2f})")


def references(example: Example) -> Sequence[str | Sequence[str]]:
    """All answers that are right."""
    return cast("Sequence[str | Sequence[str]]", example.extra[REFERENCES])


def em_and_f1(found: str, reference: str | Sequence[str]) -> tuple[float, float]:
    """Exact match and F1 with one reference, as DROP's evaluation script has them. For a reference that is one text, so is the answer."""
    spans = [each.strip() for each in found.split(BETWEEN)][:_MOST]
    given = [drop_form(each) for each in ([JOINED.join(spans)] if isinstance(reference, str) else spans)]
    wanted = [drop_form(each) for each in _spans(reference)]
    em = set(given) == set(wanted) and len(given) == len(wanted)
    one, other = [frozenset(each.split()) for each in wanted], [frozenset(each.split()) for each in given]
    gains = [[_bag_f1(theirs, ours) for ours in other] for theirs in one]
    total = sum(gains[row][column] for row, column in best_assignment(gains))
    return float(em), round(100 * total / max(len(one), len(other))) / 100


def drop_form(text: str) -> str:
    """A text as DROP compares it: word by word (`-` parts words) in lower case without articles, numbers as `12.0` and other words
    without punctuation."""
    words = (_word(each) for each in _PARTS.split(text.lower()))
    return " ".join(each for each in words if each)


def _word(word: str) -> str:
    told = word if _is_number(word) else word.translate(NO_PUNCTUATION)
    told = str(float(told)) if _is_number(told) else told
    return without_articles(told)


def _bag_f1(wanted: Bag, found: Bag) -> float:
    """F1 of two sets of words; 0 where the wanted one has numbers and none of them is found."""
    numbers = {each for each in wanted if _is_number(each)}
    if numbers and numbers.isdisjoint(found):
        return 0.0
    precision = len(wanted & found) / len(found) if found else 1.0
    recall = len(wanted & found) / len(wanted) if wanted else 1.0
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _spans(reference: str | Sequence[str]) -> Sequence[str]:
    return [reference] if isinstance(reference, str) else reference


def _first(reference: str | Sequence[str]) -> str:
    return next(iter(_spans(reference)), "")


def _said(found: str, told: Sequence[str | Sequence[str]]) -> str:
    """Found and expected, with `|` between spans, each reference once."""
    return wrong("answer", found, list(dict.fromkeys(f" {BETWEEN} ".join(_spans(each)) for each in told)))
