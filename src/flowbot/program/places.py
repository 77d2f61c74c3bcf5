"""Places in a text that a program fills by `str.format` or `%`: a new text keeps them, or the program fails."""

from __future__ import annotations

import re
from collections import Counter
from string import Formatter

_BRACES = r"\{(?:[A-Za-z_]\w*|\d+)?(?:\.\w+|\[\w+\])*(?:![rsa])?(?::[^{}]*)?\}"
_PLACE = re.compile(rf"\{{\{{|\}}\}}|%%|({_BRACES}|%\([A-Za-z_]\w*\)[sdifgr]|%[sd](?!\w))")


def pieces(text: str) -> tuple[list[str], list[str]]:
    """The texts between the places, as they are once these are filled, and the places as they are written."""
    between, places = [""], list[str]()
    end = 0
    for match in _PLACE.finditer(text):
        between[-1] += text[end : match.start()]
        end = match.end()
        if match[1] is None:
            between[-1] += match[0][0]  # what is doubled is one
        else:
            places.append(match[1])
            between.append("")
    between[-1] += text[end:]
    return between, places


def unfilled(text: str, more: str) -> str:
    """What can stand in a text that a program fills, so that filling it leaves it as it is."""
    kinds = {place[0] for place in pieces(text)[1]}
    doubled = ("{", "}") if "{" in kinds else ()
    for mark in (*doubled, *(("%",) if "%" in kinds else ())):
        more = more.replace(mark, 2 * mark)
    return more


def lost_place(old: str, new: str) -> str:
    """What is wrong with the places of a new text, in words; "" where it keeps those of the old one and has no others. What never had
    any is used as it stands, and may have braces."""
    before, now = Counter(pieces(old)[1]), Counter(pieces(new)[1])
    if not before:
        return ""
    if gone := [*(before - now)]:
        return f"it leaves out the place {gone[0]}, which the program fills"
    if more := [each for each in now if each not in before]:
        return f"it has a place {more[0]}, which the program does not fill"
    if any(each.startswith("{") for each in before) and (known := _fields(old)) is not None:
        if (now_fields := _fields(new)) is None:
            return "its braces do not match: those that stand for themselves are doubled"
        if strange := sorted(now_fields - known):
            return f"it has a place {{{strange[0]}}}, which the program does not fill; braces that stand for themselves are doubled"
    return ""


def _fields(text: str) -> set[str] | None:
    """What `str.format` fills in; None where it cannot."""
    try:
        return {each for _, each, _, _ in Formatter().parse(text) if each is not None}
    except ValueError:
        return None
