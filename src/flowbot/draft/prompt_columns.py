"""What a user's prompt says of the columns: which are given, by its places; which is wanted, by its words."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from flowbot.fields.prompt import places, read_chat

from .names import words
from .vocabulary import ASKING, VAGUE

_KEY = re.compile(r"[\"'“‘`]([^\W\d][\w .-]{0,60})[\"'”’`]\s*:")
_TAG = re.compile(r"<([A-Za-z][\w -]{0,60})>")
_CUE = re.compile(r"\s*[*#_>-]*\s*([^\W\d][\w .-]{0,60}?)\s*[*_]*\s*[:=]\s*[*_]*\s*\Z")
_SENTENCE = re.compile(r"(?<=[.!?:;])\s+|\n+")
_MOST_LISTED = 100
_LISTED = 0.6
"""Share of a column's different values that a prompt which lists them names at least."""


def placed_columns(prompt: str, columns: Sequence[str]) -> list[str]:
    """The columns that a prompt has a place for, in the prompt's order.

    Raises:
        UserError: if it is a list of messages, and malformed.
    """
    named = {_folded(column): column for column in reversed(columns)}
    found = [named[key] for place in places(prompt) if (key := _folded(place)) in named]
    return list(dict.fromkeys(found))


def prompt_says(prompt: str) -> str:
    """What a prompt says, of a chat the texts of its messages.

    Raises:
        UserError: if it is a list of messages, and malformed.
    """
    return "\n\n".join(text for _, text in read_chat(prompt, "prompt").messages)


def has_one_place(prompt: str) -> bool:
    """Whether a prompt shows a single input, such as `{text}`, whatever it is called."""
    return bool(prompt) and len(places(prompt)) == 1


def lists_all(prompt: str, values: Collection[Any]) -> bool:
    """Whether all of a column's values stand in a prompt."""
    return bool(prompt) and _listed(prompt_says(prompt), values) == 1


def asked_for(text: str, free: Mapping[str, Collection[str]]) -> tuple[list[str], str]:
    """The columns that a prompt asks for, and how that shows; none where it does not.

    What is surest comes first: keys or tags of the reply that it shows, the cue that it ends with, values that it lists,
    words of a sentence that asks for something.

    Args:
        text: the prompt.
        free: the columns that may be wanted, each with its different values if they are few, else with none.
    """
    folded = {name: " ".join(words(name)) for name in free}
    shown = [" ".join(words(key)) for key in (*_KEY.findall(text), *_TAG.findall(text))]
    if found := [name for name in free if folded[name] in shown]:
        return found, "your prompt shows it in the reply"
    lines = text.rstrip().splitlines()
    if cue := _CUE.match(lines[-1]) if lines else None:
        told = _telling(cue[1])
        if told and (found := [name for name in free if told == _telling(name)]):
            return found[:1], "your prompt ends with its name"
    shares = {name: _listed(text, values) for name, values in free.items()}
    if found := [name for name in free if shares[name] >= _LISTED]:
        return found, "your prompt lists its values"
    asking = [each for each in map(words, _SENTENCE.split(text)) if ASKING.intersection(each)]
    said = {_singular(word) for each in asking for word in each}
    named = [name for name in free if (told := _telling(name)) and told <= said]
    if found := [name for name in named if free[name]] or named:
        return found, "your prompt asks for it"
    return [], ""


def _telling(name: str) -> frozenset[str]:
    """The words of a name by which a prompt may mean it."""
    spoken = words(name)
    return frozenset(map(_singular, [word for word in spoken if word not in VAGUE] or spoken))


def _singular(word: str) -> str:
    if len(word) > 4 and word.endswith("ies"):
        return f"{word[:-3]}y"
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


def _listed(text: str, values: Collection[Any]) -> float:
    """The share of the values that stand in a text, each as a word of its own; 0 unless there are two."""
    texts = {str(value).strip() for value in values}
    if not 2 <= len(texts) <= _MOST_LISTED or any(len(each) < 2 for each in texts):
        return 0.0
    found = [each for each in texts if re.search(rf"(?<!\w){re.escape(each)}(?!\w)", text, re.IGNORECASE)]
    return len(found) / len(texts) if len(found) > 1 else 0.0


def _folded(name: str) -> str:
    return re.sub(r"[\s_.-]+", " ", name).strip().casefold()
