"""What the sets about Wikipedia share: paragraphs by title, the facts that an answer follows from, and a corpus to search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from flowbot.fields import UserError
from flowbot.fields.words import brief
from flowbot.task import SearchSource
from flowbot.task.row import Row

CORPUS = "corpus.jsonl"
"""The file that is searched: an object with `title` and `text` (or `sentences`) a line."""
Paragraphs = Sequence[tuple[str, Sequence[str]]]
"""Titles, each with the sentences under it."""


def paragraphs(row: Row, name: str) -> Paragraphs:
    """The paragraphs in a column: `[[TITLE, [SENTENCE, …]], …]`, `[{title, sentences}, …]` or `{title: […], sentences: […]}`.

    Raises:
        UserError: naming the row, if the column holds something else.
    """
    found = _pairs(row, name, "title", "sentences")
    if not all(_are_texts(sentences) for _, sentences in found):
        raise _strange(row, name, "a title and its sentences each")
    return found


def pointers(row: Row, name: str = "supporting_facts") -> Sequence[tuple[str, int]]:
    """Titles and numbers of sentences in a column: `[[TITLE, NUMBER], …]`, `[{key, value}, …]` or `{title: […], sent_id: […]}`;
    none where there is no such column, or null in it.

    Raises:
        UserError: naming the row, if the column holds something else.
    """
    if row.values.get(name) is None:
        return []
    value: Any = row.values[name]
    found = _pairs(row, name, *(("title", "sent_id") if isinstance(value, Mapping) else ("key", "value")))
    if not all(type(number) is int for _, number in found):
        raise _strange(row, name, "a title and the number of a sentence each")
    return found


def facts(given: Paragraphs, at: Sequence[tuple[str, int]]) -> list[str]:
    """The sentences that are pointed at, each after its title; a title alone where the sentence is not there."""
    sentences_of = dict(given)
    told: list[str] = []
    for title, number in at:
        sentences = sentences_of.get(title, ())
        told.append(f"{title}: {sentences[number].strip()}" if 0 <= number < len(sentences) else f"{title}.")
    return list(dict.fromkeys(told))


def searched(folder: Path | None, k: int, about: str, *, beside: str = "") -> SearchSource:
    """A search tool over the corpus that stands beside the rows.

    Args:
        folder: of the rows.
        k: how many documents a search gives.
        about: what the corpus holds, for models.
        beside: another set's folder next to this one whose corpus serves where there is none here; "" for none.

    Raises:
        UserError: naming `data`, if there is no such file.
    """
    expected = f"{CORPUS} beside the rows, an object with title and text (or sentences) a line"
    if folder is None:
        raise UserError("data", "rows of the hub, which have no corpus to search", expected)
    places = [folder / CORPUS, *([folder.resolve().parent / beside / CORPUS] if beside else [])]
    for each in places:
        if each.is_file():
            return SearchSource(corpus=each, k=k, about=about)
    raise UserError("data", f"no {' and '.join(map(str, places))}", expected)


def texts(row: Row, name: str) -> list[str]:
    """The texts in a column; none where there is no such column, or null in it.

    Raises:
        UserError: naming the row, if the column holds something else.
    """
    value: Any = row.values.get(name)
    if value is not None and not _are_texts(value):
        raise _strange(row, name, "a list of texts")
    return list(value or ())


def _pairs(row: Row, name: str, first: str, second: str) -> Sequence[tuple[str, Any]]:
    """Pairs of a text and something else, in whichever of the three forms they stand."""
    value: Any = row.values.get(name)
    found: list[tuple[Any, ...]] = []
    try:
        if isinstance(value, Mapping):
            table = cast("Mapping[str, Any]", value)
            found = list(zip(table[first], table[second], strict=True))
        else:
            found = [(each[first], each[second]) if isinstance(each, Mapping) else tuple(each) for each in value]
    except (KeyError, TypeError, ValueError):
        found = [()]
    if not all(len(each) == 2 and isinstance(each[0], str) for each in found):
        raise _strange(row, name, f"pairs: [{first.upper()}, {second.upper()}], …")
    return cast("Sequence[tuple[str, Any]]", found)


def _are_texts(value: object) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(each, str) for each in cast("Sequence[object]", value))


def _strange(row: Row, name: str, expected: str) -> UserError:
    return UserError(f"{row.place}: {name}", brief(repr(row.values.get(name)), 80), expected)
