"""A value as a Python literal that is written as the one whose place it takes: its quotes, its form, its line ends."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import groupby

Literal = str | int | float | bool | tuple[tuple[str, str], ...]
"""What a parameter may be: of the turns of a text pairs of texts."""
_NAMED = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_WIDTH = 88
"""Letters of a part of a literal that goes over several lines, where the one before has shorter ones."""


@dataclass(frozen=True, slots=True)
class Form:
    """How a text's literal is written.

    Args:
        quote: `"`, `'`, or three of one.
        raw: whether it begins with an `r`.
        opening: what stands behind three quotes and says nothing: a backslash and the end of the line, or "".
        between: what stands between the parts of a literal in several; "" where it is one.
        width: letters of its longest part.
        newline: the end of a line in the source.
        encoding: of the source.
    """

    quote: str = '"'
    raw: bool = False
    opening: str = ""
    between: str = ""
    width: int = 0
    newline: str = "\n"
    encoding: str = "utf-8"


def literal(value: Literal, form: Form = Form()) -> str:
    """The source of a literal whose value is `value`. A text keeps the form as far as it can say it; a number has none."""
    if isinstance(value, tuple):
        pairs = (f"    ({literal(said, form)}, {literal(reply, form)}),{form.newline}" for said, reply in value)
        return f"[{form.newline}{''.join(pairs)}]" if value else "[]"
    if not isinstance(value, str):
        return repr(value)
    if len(form.quote) == 3 or ("\n" in value.strip("\n") and not form.between):
        return _long(value, form)
    if form.between:
        return form.between.join(_short(part, form) for part in _parts(value, max(form.width, _WIDTH)))
    return _short(value, form)


def _short(text: str, form: Form) -> str:
    """On one line; in the other quotes where that spares backslashes."""
    quote = form.quote[0]
    other = "'" if quote == '"' else '"'
    if quote in text and other not in text:
        quote = other
    if form.raw and _says_itself(text, form, quote):
        return f"r{quote}{text}{quote}"
    return quote + _escaped(text, form, quote) + quote


def _long(text: str, form: Form) -> str:
    """In three quotes, its lines as they are."""
    quote = form.quote[0]
    lines = text.split("\n")
    if form.raw and all(_says_itself(line, form, quote) for line in lines):
        return f"r{quote * 3}{form.newline.join(lines)}{quote * 3}"
    escaped = form.newline.join(_escaped(line, form, "") for line in lines)
    escaped = re.sub(rf"{quote}{{2}}(?={quote})", lambda found: found[0].replace(quote, f"\\{quote}"), escaped)
    if escaped.endswith(quote):
        escaped = f"{escaped[:-1]}\\{quote}"
    return quote * 3 + form.opening + escaped + quote * 3


def _parts(text: str, width: int) -> list[str]:
    """A text in pieces that end behind blanks, or behind the end of a line; a longer word is not cut."""
    parts = [""]
    for word in re.findall(r"\S*\s+|\S+", text):
        if parts[-1] and (len(parts[-1]) + len(word.rstrip()) > width or parts[-1].endswith("\n")):
            parts.append("")
        parts[-1] += word
    return parts


def _escaped(text: str, form: Form, quote: str) -> str:
    return "".join(
        "".join(run) if plain else "".join(_escape(letter, quote) for letter in run)
        for plain, run in groupby(text, lambda letter: letter not in (quote, "\\") and _plain(letter, form))
    )


def _escape(letter: str, quote: str) -> str:
    if letter == quote:
        return f"\\{letter}"
    code = ord(letter)
    wide = f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
    return _NAMED.get(letter, wide)


def _says_itself(line: str, form: Form, quote: str) -> bool:
    """Whether a raw literal can hold it."""
    return quote not in line and not line.endswith("\\") and _plain(line, form)


def _plain(text: str, form: Form) -> bool:
    """Whether it can stand in the source as it is: it is seen, and its encoding has it."""
    try:
        text.encode(form.encoding)
    except UnicodeEncodeError:
        return False
    return text.isprintable()
