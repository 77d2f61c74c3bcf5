"""The tool of the starts, as a module that an exported file can import."""

from __future__ import annotations

from typing import TypedDict


class Passage(TypedDict):
    """What a search finds."""

    title: str
    text: str


class Found(TypedDict):
    """The results of a search."""

    results: list[Passage]


def search(query: str) -> Found:
    """Find passages."""
    return {"results": [{"title": f"Page {number}", "text": f"{query[:20]} {number}"} for number in range(3)]}
