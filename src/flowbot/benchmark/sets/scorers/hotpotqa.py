"""HotpotQA's answer F1 and exact match (Yang et al. 2018), and the F1 that AFlow reports."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Any

from flowbot.fields import Score
from flowbot.task import Example

from .tokens import squad_form, token_f1
from .wording import because, wrong

_WHOLE = ("yes", "no", "noanswer")
"""Answers that are right or wrong as a whole."""


def hotpotqa_f1(example: Example, outputs: Mapping[str, Any]) -> Score:
    """Token F1 of the answer, 0 where one side is `yes`, `no` or `noanswer` and the other is not; the part `em` is exact match."""
    em, value = both(outputs["answer"], example.expected["answer"])
    return _told(example, outputs, value, em, value)


def hotpotqa_exact(example: Example, outputs: Mapping[str, Any]) -> Score:
    """Exact match after normalisation, as GEPA reports it; the part `f1` is what `hotpotqa_f1` gives.

    Texts are in Unicode's decomposed form first, as in DSPy, whose metric GEPA uses; so an accent is the same however it is written.
    """
    found, expected = (unicodedata.normalize("NFD", each) for each in (outputs["answer"], example.expected["answer"]))
    em, value = both(found, expected)
    return _told(example, outputs, em, em, value)


def hotpotqa_aflow(example: Example, outputs: Mapping[str, Any]) -> Score:
    """Token F1 as AFlow computes it (Zhang et al. 2024): without the rule for `yes` and `no`."""
    found, expected = squad_form(outputs["answer"]), squad_form(example.expected["answer"])
    value = token_f1(found.split(), expected.split())
    return _told(example, outputs, value, float(found == expected), value)


def both(found: str, expected: str) -> tuple[float, float]:
    """Exact match and F1 of an answer, as HotpotQA's evaluation script has them."""
    given, wanted = squad_form(found), squad_form(expected)
    if given != wanted and (given in _WHOLE or wanted in _WHOLE):
        return 0.0, 0.0
    return float(given == wanted), token_f1(given.split(), wanted.split())


def _told(example: Example, outputs: Mapping[str, Any], value: float, em: float, f1: float) -> Score:
    parts = {"em": em, "f1": f1}
    if em:
        return Score(value, "", parts)
    found, expected = outputs["answer"], example.expected["answer"]
    whole = ": that word and nothing else" if squad_form(expected) in _WHOLE else ""
    return Score(value, f"{wrong('answer', found, [expected])}{whole} (token F1 {f1:.2f}).{because(example)}", parts)
