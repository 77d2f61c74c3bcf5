"""What plain YAML means: the core schema of YAML 1.2 (section 10.3.2), for the reader and the writer alike."""

from __future__ import annotations

import re
from typing import Any, cast

MAX_DEPTH = 64
"""Collections in a file nest at most so deep."""

MOST_BITS = 1023
"""Of a whole number, about 300 digits: any such one is a float too."""
TOO_LONG = "a number of more than 300 digits"

_NULL = frozenset(("", "~", "null", "Null", "NULL"))
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INT = re.compile(r"[-+]?[0-9]+\Z")
_OTHER_INT = re.compile(r"0o[0-7]+\Z|0x[0-9a-fA-F]+\Z")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")
_NOT_FINITE = re.compile(r"(?:[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\Z")


def plain(text: str) -> Any:
    """What an unquoted scalar means: null, a bool, a number, else the text itself.

    Raises:
        ValueError: for a whole number of more than `MOST_BITS`.
    """
    if text in _NULL:
        return None
    if text in _BOOL:
        return _BOOL[text]
    if _INT.match(text):
        return whole(text)
    if _OTHER_INT.match(text):
        return whole(text[2:], 8 if text[1] == "o" else 16)
    if _FLOAT.match(text):
        return float(text)
    return text


def whole(digits: str, base: int = 10) -> int:
    """The whole number that digits stand for.

    Raises:
        ValueError: if it has more than `MOST_BITS`.
    """
    number = int(digits, base) if len(digits) <= 2 * MOST_BITS else None
    if number is None or number.bit_length() > MOST_BITS:
        raise ValueError(TOO_LONG)
    return number


def is_not_finite(text: str) -> bool:
    """Whether an unquoted scalar means an infinity or NaN, which JSON cannot hold."""
    return bool(_NOT_FINITE.match(text))


def is_unicode(text: str) -> bool:
    """Whether it is text that a file, a hash or an endpoint can take, without half of a surrogate pair."""
    try:
        return text.isascii() or bool(text.encode())
    except UnicodeEncodeError:
        return False


def deeper(value: Any, levels: int) -> bool:
    """Whether collections nest deeper than `levels`; the walk itself goes no deeper."""
    if not isinstance(value, dict | list):
        return False
    within = cast("Any", value)
    return levels == 0 or any(
        deeper(each, levels - 1) for each in (within.values() if isinstance(value, dict) else within)
    )
