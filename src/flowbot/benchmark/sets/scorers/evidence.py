"""Claims and their evidence: all documents found, as GEPA and LangProBe score HoVer, and the right label, as FEVER and HoVer do."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Any

from flowbot.fields import Score
from flowbot.task import Example

from .tokens import squad_form
from .wording import because, wrong

MOST_TITLES = 24
"""Titles that count, the first ones: the documents of the published program's three searches (7, 7 and 10)."""


def all_titles_found(example: Example, outputs: Mapping[str, Any]) -> Score:
    """1 if the titles of all documents that prove the claim are among the first 24 that were given, else 0; the part `recall` is
    the share of them that is there.

    Titles are compared as DSPy normalises them: decomposed Unicode, then as SQuAD's script does.
    """
    found = {_form(title) for title in outputs["titles"][:MOST_TITLES]}
    wanted = list(dict.fromkeys(example.expected["titles"]))
    missing = [title for title in wanted if _form(title) not in found]
    parts = {"recall": 1 - len(missing) / len(wanted)}
    if not missing:
        return Score(1.0, "", parts)
    there = [title for title in wanted if title not in missing]
    said = f"titles: not found: {', '.join(missing)}; found: {', '.join(there) or 'none'}."
    more = len(outputs["titles"]) - MOST_TITLES
    late = f" Only the first {MOST_TITLES} titles count; {more} more were given." if more > 0 else ""
    return Score(0.0, said + late + because(example), parts)


def right_label(example: Example, outputs: Mapping[str, Any]) -> Score:
    """1 for the right label, else 0."""
    found, expected = outputs["label"], example.expected["label"]
    return Score(1.0) if found == expected else Score(0.0, f"{wrong('label', found, [expected])}.{because(example)}")


def _form(title: str) -> str:
    return squad_form(unicodedata.normalize("NFD", title))
