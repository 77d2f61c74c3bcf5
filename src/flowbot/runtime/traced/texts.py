"""Which texts of a program a request holds. We handed them out, so they are looked for as they are."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from flowbot.program.places import pieces
from flowbot.program.watching import SPEAKERS, Pair

_TAKEN = "\0"
"""Stands for a text that was found."""


class Found(NamedTuple):
    """What a request holds.

    Args:
        texts: names of the texts, in the order in which they stand in it.
        inputs: what stands in it besides, by who says it: `user`, `system`, `user#2`.
    """

    texts: tuple[str, ...]
    inputs: dict[str, str]


def found(
    messages: Sequence[tuple[str, str]], texts: Mapping[str, str], turns: Mapping[str, Sequence[Pair]] | None = None
) -> Found:
    """Look for texts in the messages of a request, the longest first: one that stands in another is no second one.

    A text is found as it stands, whatever blanks and line ends are around it and between its words, or, where it has places as for `str.format` and `%`, with anything in these.

    Args:
        messages: roles and contents.
        texts: as the program read them, by name.
        turns: worked examples that it read as messages, by the name of their text: whole messages that follow each other.
    """
    contents = [content for _, content in messages]
    at: dict[str, tuple[int, int]] = {}
    said = [(role, content.strip()) for role, content in messages]
    for name, pairs in (turns or {}).items():
        ours = [(role, text.strip()) for pair in pairs for role, text in zip(SPEAKERS, pair, strict=True)]
        for start in range(len(said) - len(ours) + 1 if ours else 0):
            if said[start : start + len(ours)] == ours:
                at.setdefault(name, (start, 0))
                contents[start : start + len(ours)] = [""] * len(ours)
    for name, text in sorted(texts.items(), key=lambda each: (-len(each[1]), each[0])):
        if not text.strip():
            continue
        form = _form(text)
        for number, content in enumerate(contents):
            if match := form.search(content):
                at.setdefault(name, (number, match.start()))
                contents[number] = form.sub(_left, content)
    roles, inputs = Counter[str](), dict[str, str]()
    for (role, _), content in zip(messages, contents, strict=True):
        if rest := content.replace(_TAKEN, "").strip():
            roles[role] += 1
            inputs[role if roles[role] == 1 else f"{role}#{roles[role]}"] = rest
    return Found(tuple(sorted(at, key=lambda name: at[name])), inputs)


def _form(text: str) -> re.Pattern[str]:
    """The text with anything at its places; no part of a word."""
    told = text.strip()
    filled = "(.*?)".join(map(_loosely, pieces(told)[0]))
    before, behind = (r"(?<!\w)" if told[0].isalnum() else ""), (r"(?!\w)" if told[-1].isalnum() else "")
    return re.compile(f"{before}(?:{_loosely(told)}|{filled}){behind}", re.DOTALL)


def _loosely(text: str) -> str:
    """As it stands, but for where its lines are broken and indented: frameworks set texts anew."""
    return re.sub(r"(?:\\?\s)+", r"\\s+", re.escape(text))


def _left(match: re.Match[str]) -> str:
    """What was filled in stays, since that is what a call received."""
    held = (each for each in match.groups() if each)
    return _TAKEN + "\n".join(held)
