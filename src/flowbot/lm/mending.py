"""What a model meant that wrote JSON or code not quite rightly, in a time that no reply can draw out."""

from __future__ import annotations

import re
from typing import Any

_FENCE = re.compile(r"```[\w+-]*\s*")
MOST_CHARACTERS = 20_000
"""Of a text that is mended: a reply's worth. The work grows faster than the text."""
MOST_NESTED = 300
"""Brackets that such a text may open: those that are never closed are what mending takes longest over."""


def mended(text: str) -> Any:
    """What JSON a text is meant to be; "" if that cannot be told."""
    import json_repair

    if len(text) > MOST_CHARACTERS or text.count("{") + text.count("[") > MOST_NESTED:
        return ""
    try:
        return json_repair.loads(text)
    except (ValueError, RecursionError):
        return ""


def unfenced(text: str) -> str:
    """What stands in a fenced block that is all of a text; else the text."""
    first, _, rest = text.strip().partition("\n")
    return rest[:-3].strip("\n") if _FENCE.fullmatch(first) and rest.endswith("```") else text
