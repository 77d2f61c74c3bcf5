"""BIG-Bench Hard: exact match of what the usual pattern takes from a chain of thought, `(?<=the answer is )(.*)(?=.)`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from flowbot.benchmark.sets.scorers.bbh import score
from flowbot.task import Example
from scorers import Case, first_rows

_ANSWER = re.compile(r"(?<=the answer is )(.*)(?=.)")
TASKS = ("dyck_languages", "movie_recommendation", "ruin_names")


def official(found: str, wanted: str) -> float:
    """The usual score of a chain of thought that ends in `So the answer is TARGET.`"""
    told = _ANSWER.search(found)
    return float(told is not None and told[1].strip() == wanted)


def cases(folder: Path) -> Iterator[Case]:
    """Each reference, and the next row's, at the end of a chain of thought."""
    for name in TASKS:
        rows = first_rows(folder.with_name(f"bbh_{name}"), count=34)
        for row, other in zip(rows, [*rows[1:], rows[0]], strict=True):
            for kind, each in (("reference", row), ("another row's", other)):
                found = f"Let's think step by step.\nSo the answer is {each['answer']}."
                ours = score(Example(row["id"], {}, {"answer": row["answer"]}), {"answer": found}).value
                yield Case(f"bbh/{name}", row["id"], kind, ours, official(found, row["answer"]))
