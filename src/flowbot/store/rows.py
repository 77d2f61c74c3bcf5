"""What a stored response is: its kind, its text, the text's checksum, and the day on which it was last used."""

from __future__ import annotations

import json
import time
import zlib
from typing import Any, Literal, get_args

Kind = Literal["lm", "tool", "code", "metric", "probe", "tries", "copy"]
"""`tries` is no response yet: what a model's call took that goes on. `copy` is what a second sending took."""
KINDS: tuple[str, ...] = get_args(Kind)
DAY = 86_400
"""Seconds of a day. Days of use are counted in UTC, from 1970."""


def dump(key: str, value: dict[str, Any]) -> str:
    """The text that is stored.

    Raises:
        ValueError: for NaN, infinity or a value that JSON cannot hold.
    """
    try:
        # ASCII only: a model's reply may hold half a surrogate pair, which UTF-8 cannot.
        return json.dumps(value, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"store: the value of {key[:12]} is not JSON ({error})") from None


def checksum(text: str | bytes) -> int:
    """CRC-32 of a stored text."""
    return zlib.crc32(text.encode(errors="surrogatepass") if isinstance(text, str) else text)


def today() -> int:
    """The day that it is."""
    return int(time.time() // DAY)
