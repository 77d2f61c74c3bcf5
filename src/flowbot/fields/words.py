"""What people read: scores, differences, counts, money, time, and texts of others. Shared by all that speaks to a person."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from .secrets import hide_text

MINUS = "−"


class Between(Protocol):
    """Anything with the two ends of an interval."""

    @property
    def low(self) -> float: ...  # noqa: D102
    @property
    def high(self) -> float: ...  # noqa: D102


def printable(text: str, *, keep: str = "") -> str:
    r"""A text of anybody's for a line of ours: what a terminal could take for a command, and what turns the direction of
    writing or is not seen at all, is shown as an escape; line ends, tabs and other blanks are a blank.

    >>> printable("a\x1b[31mb")
    'a\\x1b[31mb'

    Args:
        text: the text.
        keep: characters that stay as they are.
    """
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() or each in keep else " " if each.isspace() else _escape(each) for each in text
    )


def brief(value: object, most: int = 300) -> str:
    """A value as plain text of at most `most` letters: a text as it is, anything else as JSON; secrets are masked."""
    return cut(hide_text(as_text(value)), most)


def as_text(value: object) -> str:
    """A text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=repr)


def cut(text: str, most: int) -> str:
    """A text of at most `most` letters: of a longer one the beginning, and a mark."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def listed(names: Iterable[str], most: int = 24) -> str:
    """The first names in a line: `a, b, c, …`."""
    every = list(names)
    return ", ".join(every[:most]) + (", …" if len(every) > most else "")


def some(names: Sequence[str], most: int = 3) -> str:
    """The first names in a line, and how many more there are: `a, b, c and 2 more`."""
    return ", ".join(names[:most]) + (f" and {len(names) - most:,} more" if len(names) > most else "")


def named(values: Mapping[str, object], most: int = 300) -> str:
    """Values with their names in a line: `note='Two pens', total=2`."""
    texts = {name: brief(value, 60) for name, value in values.items()}
    shown = (f"{name}={text!r}" if isinstance(values[name], str) else f"{name}={text}" for name, text in texts.items())
    return brief(", ".join(shown), most)


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def percent(value: float) -> str:
    """A score in [0, 1] as a percentage: whole numbers, one digit after the point where it matters (below 1 %)."""
    number = value * 100
    digits = 1 if 0 < abs(number) < 1 or 99 < abs(number) < 100 else 0
    return f"{number:.{digits}f} %".replace("-", MINUS)


def points(value: float, *, sign: bool = True) -> str:
    """A difference of scores in percentage points, with its sign: whole numbers, one digit after the point below 1.

    So the end of an interval that is near 0 still says on which side of it it lies.
    """
    number = round(value * 100, 6)
    text = f"{abs(number):.1f}" if 0 < abs(number) < 1 else f"{abs(number):.0f}"
    if number < 0:
        return MINUS + text
    return f"+{text}" if sign and number > 0 else text


def in_points(value: float, *, sign: bool = True) -> str:
    """As `points`, with the word: `+38 points`, `1 point`."""
    text = points(value, sign=sign)
    return f"{text} point{'' if text.lstrip('+' + MINUS) == '1' else 's'}"


def interval(score: Between, *, difference: bool = False) -> str:
    """`18 to 34 %`; for a difference `+33 to +55`."""
    if difference:
        return f"{points(score.low)} to {points(score.high)}"
    return f"{percent(score.low).removesuffix(' %')} to {percent(score.high)}"


def count(number: int, one: str, many: str = "") -> str:
    """`1 call`, `1,240 calls`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def money(usd: float | None) -> str:
    """Dollars; what is unknown is said to be unknown, never 0."""
    if usd is None:
        return "unknown"
    if usd == 0:
        return "$0"
    return f"${usd:,.2f}" if usd >= 0.1 else f"${usd:.2g}" if usd >= 0.001 else "under $0.001"


def duration(seconds: float) -> str:
    """`8 s`, `4 min 10 s`, `2 h 5 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole % 60 else f"{whole // 60} min"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def kind_of(value: object) -> str:
    """What a value is, for an error: `a list`, `an int`, `nothing`."""
    if value is None:
        return "nothing"
    name = type(value).__name__
    return f"{'an' if name[:1] in 'aeiouAEIOU' else 'a'} {name}"
