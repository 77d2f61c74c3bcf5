"""What a stored response is: its kind, its text, the text's checksum, and the day on which it was last used."""

from __future__ import annotations

import json
import re
import time
import zlib
from contextlib import suppress
from typing import Any, Literal, cast, get_args

from flowbot.fields import UserError
from flowbot.fields.yaml import MAX_DEPTH, parse_json

Kind = Literal["lm", "tool", "code", "metric", "probe", "tries", "copy", "batch"]
"""`tries` is no response yet: what a model's call took that goes on. `copy` is what a second sending took, `batch` the record of one."""
KINDS: tuple[str, ...] = get_args(Kind)
DAY = 86_400
"""Seconds of a day. Days of use are counted in UTC, from 1970."""
DEPTH = 2 * MAX_DEPTH
"""Levels that a value may have: one of a file in what is around it."""
MOST_BYTES = 256_000_000
"""Of a row. SQLite itself takes four times as much, or makes it by a function in a hostile file's schema."""
_MAX_KEY = 200
LAST = 253_402_300_800
"""The end of the year 9999, beyond which there is no date."""
ROW = "INSERT INTO responses (key, kind, value, created, used, crc) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO "
REPLACE = (
    ROW + "UPDATE SET kind = excluded.kind, value = excluded.value, created = excluded.created, used = excluded.used, "
    "crc = excluded.crc"
)
# What only holds the place of a response gives way to it; a response never does.
INSERT = (
    REPLACE + " WHERE responses.kind = 'tries' AND (excluded.kind <> 'tries' OR excluded.created >= responses.created)"
)
PLACE = '{"tries":'
"""How a value begins that only holds the place of a response."""
_ODD = re.compile(r"NaN|Infinity|[0-9]{300}|[0-9][eE]\+?[0-9]{3}")
"""What is looked at more closely; texts may hold it all the same."""


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


def load(text: str | bytes) -> dict[str, Any]:
    """The value in a stored text, or in a line of a journal.

    Raises:
        ValueError: saying in a few words why it is no JSON object.
    """
    if isinstance(text, str) and text.count("{") + text.count("[") <= DEPTH and not _ODD.search(text):
        with suppress(ValueError):  # a replay reads one for each call
            value = json.loads(text)
            if isinstance(value, dict):
                return cast("dict[str, Any]", value)
    try:
        value = parse_json(text if isinstance(text, str) else text.decode(), "", line=0, depth=DEPTH, halves=True)
    except UnicodeDecodeError:
        raise ValueError("bytes that are not UTF-8") from None
    except UserError as error:
        raise ValueError(error.found) from None
    if not isinstance(value, dict):
        raise ValueError("no JSON object")
    return cast("dict[str, Any]", value)


def check_row(key: object, kind: object, created: object) -> None:
    """What stands beside a value.

    Raises:
        ValueError: saying what is wrong with it.
    """
    if not isinstance(key, str) or not 0 < len(key) <= _MAX_KEY or not key.isprintable():
        raise ValueError(f"a key that is no text of 1 to {_MAX_KEY} characters")
    if kind not in KINDS:
        raise ValueError(f"the kind {str(kind)[:40]!r}")
    if isinstance(created, bool) or not isinstance(created, int | float) or not 0 <= created < LAST:
        raise ValueError(f"the time {str(created)[:40]!r}")


def checksum(text: str | bytes) -> int:
    """CRC-32 of a stored text."""
    return zlib.crc32(text.encode(errors="surrogatepass") if isinstance(text, str) else text)


def today() -> int:
    """The day that it is."""
    return int(time.time() // DAY)
