"""TriviaQA: exact match and F1 by the publisher's script, the best over the aliases."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from flowbot.benchmark.sets.registry import load_set
from official._questions import compared, published, spoken
from scorers import Case


def cases(folder: Path) -> Iterator[Case]:
    """Each kind of answer."""
    script = published("triviaqa_evaluation.py")
    task = load_set("triviaqa", folder)
    for example, kind, answer in spoken(task):
        score = task.metric(example, {"answer": answer})
        measures = (script.exact_match_score, script.f1_score)
        theirs = [script.metric_max_over_ground_truths(each, answer, example.extra["aliases"]) for each in measures]
        yield from compared(
            "triviaqa_evaluation.py", "triviaqa", example, kind, (score.value, score.parts["f1"]), theirs
        )
