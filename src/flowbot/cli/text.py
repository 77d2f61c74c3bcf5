"""Texts as they may be printed: no secret, and nothing that a terminal could take for a command."""

from __future__ import annotations

import json
import re
import shlex
import sys
from contextlib import suppress
from typing import Any

from flowbot.fields.secrets import hide, hide_text
from flowbot.fields.words import printable

_JOINERS = "\u200c\u200d"
"""Of letters in Persian and Indic scripts, and of emoji: neither moves anything."""
_HIDDEN = re.compile(
    "[\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\uffff\ud800-\udfff\U000e0000-\U000e0fff]"
)
"""What JSON leaves as it is and a terminal may take for a command, a change of direction, or shows not at all."""


def shown(text: str, *, keep: str = "") -> str:
    """A text as it may be printed: without secrets and without control and direction characters; `keep`: see `printable`."""
    return printable(hide_text(text), keep=keep + _JOINERS)


def wrap(text: str, width: int, **options: Any) -> list[str]:
    """Lines of at most `width` columns of a text as it may be printed. Where a secret was cut in two it would not be known.

    Args:
        text: the text; its own line ends count as blanks.
        width: columns.
        options: as of `textwrap.wrap`.
    """
    import textwrap

    return textwrap.wrap(shown(text, keep="\t"), width, break_on_hyphens=False, **options)


def json_text(value: Any, *, indent: int | None = None, ascii_only: bool = False) -> str:
    """An object as JSON, as it may be printed: any reader of JSON sees the same texts, less the secrets.

    Raises:
        ValueError: for NaN or infinity.
    """
    text = json.dumps(hide(value), ensure_ascii=ascii_only, indent=indent, allow_nan=False)
    return (
        text if text.isascii() and "\x7f" not in text else _HIDDEN.sub(lambda match: json.dumps(match[0])[1:-1], text)
    )


def complain(text: str) -> None:
    """One line on standard error, if anything can be written there."""
    with suppress(OSError):
        sys.stderr.write(f"flowbot: {shown(' '.join(text.split()))}\n")
        sys.stderr.flush()


def command_line(*arguments: str) -> str:
    """A command to copy, quoted for a shell."""
    return shlex.join(arguments)
