"""BIG-Bench Hard's rule (Suzgun et al. 2022): the answer is the target, letter by letter."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from flowbot.fields import Score
from flowbot.task import Example

from .wording import wrong

_LEAD = re.compile(r".*\banswer is:?\s+", re.IGNORECASE | re.DOTALL)


def stated_answer(text: str) -> str:
    """What a text says that the answer is: what follows the last `the answer is`, by which the publisher's exemplars end, without a
    full stop; else all of it."""
    told = _LEAD.match(text)
    return (text[told.end() :].strip().removesuffix(".") if told else text).strip()


def score(example: Example, outputs: Mapping[str, Any]) -> Score:
    """1 for the target, and 0 otherwise. Blanks around it do not count; all else does, brackets and case too."""
    answer, target = outputs.get("answer"), str(example.expected.get("answer"))
    found = stated_answer(answer) if isinstance(answer, str) else answer
    if found == target:
        return Score(1.0)
    return Score(0.0, wrong("answer", found, [target]))
