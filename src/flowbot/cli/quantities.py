"""Sizes and ages as people write them."""

from __future__ import annotations

import re

from flowbot.fields import UserError

_SIZES = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_AGES = {"h": 3600, "d": 86_400, "w": 7 * 86_400}


def parse_size(option: str, text: str) -> int:
    """Bytes: `500MB`, `2GB`, `1.5 GB` or a plain number.

    Raises:
        UserError: naming the option.
    """
    return _parse(option, text, text.upper(), _SIZES, "a size such as 500MB or 2GB")


def parse_age(option: str, text: str) -> int:
    """Seconds: `12h`, `30d` or `2w`.

    Raises:
        UserError: naming the option.
    """
    return _parse(option, text, text.casefold(), _AGES, "an age such as 12h, 30d or 2w")


def size_text(size: int) -> str:
    """`size` bytes in words: `2 GB`, `31.4 MB`."""
    for unit in ("TB", "GB", "MB", "KB"):
        if size >= _SIZES[unit]:
            number = size / _SIZES[unit]
            return f"{number:.0f} {unit}" if number >= 100 else f"{number:.3g} {unit}"
    return f"{size} B"


def age_text(age: int) -> str:
    """`age` seconds in words: `30 days`, `12 hours`."""
    number, unit = (age // 86_400, "day") if age % 86_400 == 0 else (round(age / 3600, 1), "hour")
    return f"{number:g} {unit}{'' if number == 1 else 's'}"


def _parse(option: str, given: str, text: str, units: dict[str, int], expected: str) -> int:
    """The whole number, at least 1, that a number with a unit stands for."""
    found = re.fullmatch(r"([0-9]{1,12}(?:\.[0-9]{1,6})?)\s*([A-Za-z]*)", text.strip())
    number = int(float(found[1]) * units[found[2]]) if found is not None and found[2] in units else 0
    if not number:
        raise UserError(option, repr(given), expected)
    return number
