"""HoVer: whether all documents were found, as in the program of GEPA."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

from flowbot.benchmark.sets.registry import load_set
from official._questions import compared, examples, published
from scorers import Case


def cases(folder: Path) -> Iterator[Case]:
    """The right titles, and titles made wrong."""
    evaluate = {"evaluate": SimpleNamespace(normalize_text=published("dspy_metrics.py").normalize_text)}
    script, task = published("gepa_hover_utils.py", dspy=evaluate), load_set("hover", folder)
    rows = examples(task)
    for index, example in enumerate(rows):
        right, other = example.expected["titles"], rows[index - 1].expected["titles"]
        kinds = {
            "right": right,
            "one missing": right[1:],
            "among others, reversed": [*other, *right[::-1]],
            "another's": other,
            "upper case": [each.upper() for each in right],
            "none": [],
        }
        for kind, found in kinds.items():
            gold = {"supporting_facts": [{"key": each} for each in right]}
            theirs = script.discrete_retrieval_eval(gold, SimpleNamespace(retrieved_docs=[f"{each} | text" for each in found]))  # fmt: skip
            ours = task.metric(example, {"titles": found}).value
            yield from compared("gepa_hover_utils.py", "hover retrieval", example, kind, (ours,), (theirs,))
