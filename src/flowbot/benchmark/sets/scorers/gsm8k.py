"""GSM8K's rule (Cobbe et al. 2021): the number after `####`, commas taken away, is the reference's."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from flowbot.fields import Score
from flowbot.fields.words import cut
from flowbot.task import Example
from flowbot.task.numerals import number_in

_MARKED = re.compile(r"####\s*\$?(-?[0-9][0-9.,]*)")


def final_number(answer: Any) -> int | float | None:
    """The number that an answer gives: itself; of a text that after its first `####`, or where it has none the last one that there is;
    None if there is none."""
    if isinstance(answer, bool) or answer is None:
        return None
    if isinstance(answer, int | float):
        return answer
    text = str(answer)
    if "####" not in text:
        return number_in(text)
    told = _MARKED.search(text)
    return number_in(told[1].replace(",", "")) if told else None


def score(example: Example, outputs: Mapping[str, Any]) -> Score:
    """1 for the right number, and 0 otherwise.

    What a text says beside the number, such as `$` or a unit, does not count; the publisher compares texts without commas, where
    18.0 would not be 18.
    """
    found, wanted = final_number(outputs.get("answer")), final_number(example.expected.get("answer"))
    if found is None:
        given = cut(repr(outputs.get("answer")), 80)
        return Score(0.0, f"answer: found no number in {given}, expected {_shown(wanted)}")
    if wanted is not None and Decimal(str(found)) == Decimal(str(wanted)):
        return Score(1.0)
    return Score(0.0, f"answer: found {_shown(found)}, expected {_shown(wanted)}")


def _shown(number: float | None) -> str:
    return str(number).removesuffix(".0")
