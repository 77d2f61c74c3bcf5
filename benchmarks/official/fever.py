"""FEVER: the label, by the publisher's script."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from flowbot.benchmark.sets.registry import load_set
from official._questions import compared, examples, published
from scorers import Case


def cases(folder: Path) -> Iterator[Case]:
    """Each label."""
    script, task = published("fever_scorer.py"), load_set("fever", folder)
    for example in examples(task):
        for found in ("SUPPORTS", "REFUTES", "NOT ENOUGH INFO"):
            theirs = script.is_correct_label({"label": example.expected["label"], "predicted_label": found})
            ours = task.metric(example, {"label": found}).value
            yield from compared("fever_scorer.py", "fever", example, found, (ours,), (theirs,))
