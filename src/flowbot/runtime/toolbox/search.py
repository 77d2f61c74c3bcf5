"""Search over a corpus as a tool."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flowbot.fields import Field, StepError, ToolSignature
from flowbot.task import SearchSource, Tool

from .corpus import VERSION, Corpus

MOST_CHARACTERS = 3500
"""Of the texts that one search gives, in equal parts; a model that calls tools is shown not much more of a result."""
_LEAST_CHARACTERS = 300  # of a text


def search_tool(source: SearchSource, corpus: Corpus) -> Tool:
    """The tool that a source declares: `query` in, `results` out: texts, with their titles where the corpus has any.

    Args:
        source: the declaration.
        corpus: its opened index; whoever opened it closes it.
    """

    shown = max(_LEAST_CHARACTERS, MOST_CHARACTERS // source.k)

    def search(query: str) -> dict[str, Any]:
        if not query.strip():
            raise StepError("an empty query; expected some words to look for")
        found = corpus.search(query, source.k)
        if corpus.titled:
            return {"results": [{"title": each.title, "text": _cut(each.text, shown)} for each in found]}
        return {"results": [_cut(each.text, shown) for each in found]}

    kind = "list[{title: str, text: str}]" if corpus.titled else "list[str]"
    signature = ToolSignature(
        source.name,
        source.about or f"Search {len(corpus):,} documents of {_name(Path(source.corpus))}.",
        (Field.of("query", "str", "words to look for"),),
        (Field.of("results", kind, f"the {source.k} documents that fit best, best first"),),
        pure=True,
    )
    return Tool(signature, search, None, f"search {VERSION} {corpus.sha} k={source.k} {shown}", plain=False)


def _name(corpus: Path) -> str:
    return corpus.stem.replace("_", " ")


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
