"""HotpotQA: F1 and exact match by the publisher's script, by DSPy, and by AFlow."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from flowbot.benchmark.sets.registry import load_set
from official._questions import compared, published, spoken
from scorers import Case


def cases(folder: Path) -> Iterator[Case]:
    """Each kind of answer in each variant."""
    script, dspy = published("hotpot_evaluate_v1.py"), published("dspy_metrics.py")
    aflow = published("aflow_hotpotqa.py").HotpotQABenchmark("", "", "")
    rules = {
        "distractor": ("hotpot_evaluate_v1.py", "em", lambda found, right: (script.f1_score(found, right)[0], script.exact_match_score(found, right))),
        "exact": ("dspy_metrics.py", "f1", lambda found, right: (dspy.EM(found, [right]), dspy.HotPotF1(found, [right]))),
        "aflow": ("aflow_hotpotqa.py", "", lambda found, right: (aflow.calculate_score(right, found)[0],)),
    }  # fmt: skip
    for variant, (file, part, official) in rules.items():
        task = load_set("hotpotqa", folder, variant=variant)
        for example, kind, answer in spoken(task):
            score = task.metric(example, {"answer": answer})
            ours = (score.value, score.parts[part]) if part else (score.value,)
            theirs = official(answer, example.expected["answer"])
            yield from compared(file, f"hotpotqa {variant}", example, kind, ours, theirs)
