"""DROP: F1 and exact match by AllenNLP's script, with references as texts and as several spans; and AFlow's F1."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from flowbot.benchmark.sets.registry import load_set
from flowbot.benchmark.sets.scorers.drop import em_and_f1
from official._questions import compared, published, spoken
from scorers import CASES, Case


def cases(folder: Path) -> Iterator[Case]:
    """Each kind of answer, the best over the references; and spans of the references that `and` joins."""
    script, aflow = published("drop.py"), published("aflow_drop.py").DROPBenchmark("", "", "")
    task, own = (load_set("drop", folder, variant=variant) for variant in ("official", "aflow"))
    for example, kind, answer in spoken(task):
        score = task.metric(example, {"answer": answer})
        told = " and ".join(each.strip() for each in answer.split("|"))
        theirs = [max(each) for each in zip(*(script.get_metrics(told, right) for right in example.extra["references"]), strict=True)]  # fmt: skip
        yield from compared("drop.py", "drop official", example, kind, (score.parts["em"], score.value), theirs)
    for example, kind, answer in spoken(own):
        pairs = [(right, part) for right in example.extra["references"] for part in answer.split("|")]
        best = max(aflow.calculate_score(*pair)[0] for pair in pairs)
        ours = own.metric(example, {"answer": answer}).value
        yield from compared("aflow_drop.py", "drop aflow", example, kind, (ours,), (best,))
    rows = [row for row in (*task.test, *task.val, *task.train) if " and " in row.expected["answer"]][:CASES]
    for index, row in enumerate(rows):
        right, other = (rows[at].expected["answer"].split(" and ") for at in (index, index - 1))
        kinds = {
            "right": right,
            "reversed": right[::-1],
            "one missing": right[1:],
            "another's too": [*right, *other],
            "another's": other,
            "one twice": [right[0]] * 2,
            "in one": [" ".join(right)],
            "empty": [""],
        }
        for kind, told in kinds.items():
            ours, theirs = em_and_f1(" | ".join(told), right), script.get_metrics(told, right)
            yield from compared("drop.py", "drop official, several spans", row, kind, ours, theirs)
