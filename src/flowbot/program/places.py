"""Places in a text that a program fills by `str.format` or `%`: a new text keeps them, or the program fails."""

from __future__ import annotations

import re
from collections import Counter

_BRACES = r"\{(?:[A-Za-z_]\w*|\d+)?(?:\.\w+|\[\w+\])*(?:![rsa])?(?::[^{}]*)?\}"
_PLACE = re.compile(rf"\{{\{{|\}}\}}|({_BRACES}|%\([A-Za-z_]\w*\)[sdifgr]|%[sd](?!\w))")


def pieces(text: str) -> tuple[list[str], list[str]]:
    """The texts between the places, as they are once these are filled, and the places as they are written."""
    between, places = [""], list[str]()
    end = 0
    for match in _PLACE.finditer(text):
        between[-1] += text[end : match.start()]
        end = match.end()
        if match[1] is None:
            between[-1] += match[0][0]  # a doubled brace is one
        else:
            places.append(match[1])
            between.append("")
    between[-1] += text[end:]
    return between, places


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
    return ""
