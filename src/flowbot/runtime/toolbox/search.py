"""Search over a corpus as a tool."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from flowbot.fields import Field, StepError, ToolSignature
from flowbot.task import SearchSource, Tool

from .corpus import VERSION, open_corpus

MOST_CHARACTERS = 3500
"""Of the texts that one search gives, in equal parts; a model that calls tools is shown not much more of a result."""
_LEAST_CHARACTERS = 300  # of a text


def search_tool(source: SearchSource, cache_dir: Path, say: Callable[[str], None]) -> tuple[Tool, Callable[[], None]]:
    """The tool that a source declares, and what closes its index: `query` in, `results` out: texts, with their titles
    where the corpus has any.

    Args:
        source: the declaration.
        cache_dir, say: as of `open_corpus`.

    Raises:
        UserError, InfrastructureError: as `open_corpus`.
    """
    corpus = open_corpus(Path(source.corpus), cache_dir, where=f"{source.where}.search", say=say)
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
        source.about or f"Search {len(corpus):,} documents of {Path(source.corpus).stem.replace('_', ' ')}.",
        (Field.of("query", "str", "words to look for"),),
        (Field.of("results", kind, f"the {source.k} documents that fit best, best first"),),
        pure=True,
    )
    tool = Tool(signature, search, None, f"search {VERSION} {corpus.sha} k={source.k} {shown}", plain=False)
    return tool, corpus.close


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
