"""Texts and numbers in values, and what is parsed out of texts: that by which a value is known again."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

SHORTEST = 3
"""Letters of a text that is looked for inside of others; a shorter one, and a number, only as a value of its own."""
WINDOW = 6
"""Words in a row by which a cut text is known again."""
_MOST_PIECES = 2000
_WORDS = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|\w+")
_FENCED = re.compile(r"```\w*\n(.*?)```", re.DOTALL)
_TAGGED = re.compile(
    r"<(\w+)[^<>]*>(.*?)</\1>|\"([^\"\n]+)\"|\*\*([^*\n]+)\*\*|\[([^\[\]\n]+)\]|`([^`\n]+)`|\(([^()\n]+)\)", re.DOTALL
)
_MARK = re.compile(r"^\s*(?:[-*\u2022>#]+|\(?\d{1,3}[.):]|[a-zA-Z][.)])\s+")
_NAMED = re.compile(r"^[\w *_-]{1,40}?\s*(?::|=|->)\s*(.+)$")
_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?!\w)")
_PLACEHOLDER = re.compile(r"<[A-Za-z_]\w*>|<\d+ bytes>|\u2026")
Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Leaf:
    """A text or a number in a value.

    Args:
        text: with blanks and case made equal.
        path: names of the members that lead to it; of a list its whole content, since an item of another list is no longer the same.
        number: it is one.
    """

    text: str
    path: Path
    number: bool = False


@lru_cache(8192)
def normal(text: str) -> str:
    """A text without regard to case, and to how it is broken into lines."""
    return " ".join(text.casefold().split())


def leaves(value: Any, path: Path = ()) -> Iterator[Leaf]:
    """The texts and numbers in a value; not what is true, false or nothing, which tells nothing."""
    if isinstance(value, str):
        if (text := normal(value)) and not _PLACEHOLDER.fullmatch(value):
            yield Leaf(text, path)
    elif isinstance(value, bool) or value is None:
        return
    elif isinstance(value, int | float):
        yield Leaf(json.dumps(value), path, number=True)
    elif isinstance(value, dict):
        for name, each in cast("dict[str, Any]", value).items():
            yield from leaves(each, (*path, name))
    elif isinstance(value, list):
        here = (*path, json.dumps(value, sort_keys=True, default=str))
        for each in cast("list[Any]", value):
            yield from leaves(each, here)


def pieces(text: str) -> Collection[str]:
    """What a program may parse out of a text: leaves of JSON in it, lines, items, values behind a name, what stands in tags, quotes or
    brackets, what commas part, numbers."""
    found: dict[str, None] = {}

    def add(piece: str) -> None:
        plain = normal(piece.strip(" \t\n.,;:!\"'`*"))
        if plain and len(found) < _MOST_PIECES:
            found[plain] = None

    for fenced in _FENCED.findall(text):
        add(fenced)
    for leaf in _in_json(text):
        found[leaf.text] = None
    for tagged in _TAGGED.findall(text):
        for piece in tagged[1:]:
            add(piece)
    for block in text.split("\n\n"):
        add(block)
    for line in text.splitlines():
        bare = _MARK.sub("", line)
        add(bare)
        if (match := _NAMED.match(bare)) is not None:
            bare = match[1]
            add(bare)
        if len(bare) < 400:
            for part in re.split(r"[,;|/]\s*|\s+-\s+", bare):
                add(part)
    for sentence in re.split(r"(?<=[.!?])\s+", text):
        add(sentence)
    for number in _NUMBER.findall(text):
        add(number)
    return found


def numbers_in(text: str) -> set[str]:
    """The numbers that stand in a text, each as JSON writes it, and as a whole one where it is one."""
    found: set[str] = set()
    for number in _NUMBER.findall(text):
        value = float(number)
        found |= {json.dumps(value)} | ({str(int(value))} if value.is_integer() else set())
    return found


def words(text: str) -> list[str]:
    """The words of a text; of scripts without blanks each sign is one."""
    return _WORDS.findall(text)


def windows(text: str) -> set[str]:
    """All six words in a row."""
    row = words(text)
    return {" ".join(row[place : place + WINDOW]) for place in range(len(row) - WINDOW + 1)}


def spots(text: str, part: str) -> list[tuple[int, int]]:
    """Where a part stands in a text, as words of its own."""
    found: list[tuple[int, int]] = []
    place = text.find(part)
    while place >= 0:
        end = place + len(part)
        if not (_joined(text, place - 1, place) or _joined(text, end - 1, end)):
            found.append((place, end))
        place = text.find(part, place + 1)
    return found


def literals(text: str) -> list[str]:
    """The pieces of a text in the source between the places that are filled in."""
    return [piece for each in re.split(r"\{+[^{}]*\}+|%\(?\w*\)?[sdrf]|\$\{?\w+\}?", text) if (piece := normal(each))]


def _joined(text: str, left: int, right: int) -> bool:
    """Whether two neighbours are of one word, and not signs that are words each."""
    if left < 0 or right >= len(text):
        return False
    return all(text[each].isalnum() and text[each] < "\u3040" for each in (left, right))


def _in_json(text: str) -> Iterator[Leaf]:
    """The leaves of the JSON that a text is, or that stands in it."""
    decoder, place = json.JSONDecoder(), 0
    for _ in range(20):
        match = re.compile(r"[{\[]").search(text, place)
        if match is None:
            return
        try:
            value, place = decoder.raw_decode(text, match.start())
        except (ValueError, RecursionError):
            place = match.start() + 1
            continue
        yield from leaves(value)
