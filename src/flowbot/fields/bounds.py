"""How much may come back from what is not ours: code in a sandbox, a tool, an MCP server, an endpoint, a user's metric.

Bytes are counted before anything is parsed. An error's text, a metric's feedback and a name are cut and made valid by
`bounded`, where FlowBot's errors and scores are made, so that none of another size is told, stored or sent to a model.
"""

from __future__ import annotations

import re

from .secrets import hide_known

MESSAGE_BYTES = 2_000_000
"""One answer of an endpoint or an MCP server, as it comes: 128,000 tokens of 16 bytes each. JSON of that size that was made
to be slow to read holds everything else up for some tenths of a second."""
VALUE_BYTES = 1_000_000
"""One value that a step gives, as JSON."""
TOOL_BYTES = 100_000
"""The result of a tool, as JSON: more would fill any model's context."""
TEXT = 4_000
"""Characters of an error's text or a metric's feedback: both are shown to models."""
ABOUT = 1_000
"""Characters of what a tool says about itself or a parameter."""
NAME = 200
"""Characters of a name."""
PARTS = 100
"""Parts of a score."""

_INVISIBLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_NO_CHARACTER = "\N{REPLACEMENT CHARACTER}"


def bounded(text: str, most: int = TEXT) -> str:
    """Text of at most `most` characters: of more, the middle is left out and its length said.

    Halves of surrogate pairs, which no file and no endpoint takes, and control characters become U+FFFD.
    """
    text = "".join((text,))  # a plain text, whatever a class derived from `str` says of its length
    if len(text) > most:
        mark = f" [… {len(text):,} characters in all …] "
        room = max(0, most - len(mark))
        end = room // 4
        text = (text[: room - end] + mark + text[len(text) - end :])[:most]
    return _INVISIBLE.sub(_NO_CHARACTER, text)


def error_text(error: BaseException) -> str:
    """An exception's own text, or that it has none; also of one that cannot say it."""
    try:
        return bounded(hide_known("".join((str(error),)))).strip() or "no message"
    except BaseException as fault:  # by a class of somebody else's, which may raise anything
        return f"an error without a text ({_name(fault)})"


def raised(error: BaseException) -> str:
    """What was raised, as Python tells it: `KeyError: 'a'`."""
    return f"{_name(error)}: {error_text(error)}"


def _name(error: BaseException) -> str:
    return bounded(type(error).__name__, NAME)
