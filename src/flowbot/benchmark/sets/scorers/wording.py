"""What a scorer says of a wrong answer, for a search to learn from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, cast

from flowbot.fields.words import cut
from flowbot.task import Example

FACTS = "facts"
"""The column of sentences that the right answer follows from, a list of texts."""
_LONGEST = 300
_MOST = 5


def wrong(name: str, found: object, expected: Sequence[str]) -> str:
    """What was found in an output and what was expected there, the first of several."""
    more = f" (or {len(expected) - _MOST} others)" if len(expected) > _MOST else ""
    return f"{name}: found {_quoted(found)}, expected {' or '.join(map(_quoted, expected[:_MOST]))}{more}"


def because(example: Example) -> str:
    """The sentences that the right answer follows from, as far as the row has them; begins with a blank, or is empty."""
    given: Any = example.extra.get(FACTS) or []
    facts = [cut(each, _LONGEST) for each in cast("list[str]", given)[: 2 * _MOST]]
    return f" It follows from: {' '.join(facts)}" if facts else ""


def _quoted(value: object) -> str:
    return cut(json.dumps(value, ensure_ascii=False), _LONGEST)
