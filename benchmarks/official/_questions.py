"""Questions and claims: the published scorers' files, which are run and not kept, and answers of all kinds to score."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import string
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from flowbot.task import Example, Task
from scorers import CASES, PUBLISHED, Case

PUBLISHED_BY = {
    "hotpot_evaluate_v1.py": "github:hotpotqa/hotpot 3635853 hotpot_evaluate_v1.py",
    "dspy_metrics.py": "PyPI dspy 3.4.1 dspy/evaluate/metrics.py",
    "aflow_hotpotqa.py": "github:FoundationAgents/AFlow 364399e benchmarks/hotpotqa.py",
    "drop.py": "PyPI allennlp-models 2.10.1 allennlp_models/rc/tools/drop.py",
    "aflow_drop.py": "github:FoundationAgents/AFlow 364399e benchmarks/drop.py",
    "triviaqa_evaluation.py": "github:mandarjoshi90/triviaqa ca43b58 evaluation/triviaqa_evaluation.py",
    "gepa_hover_utils.py": "github:gepa-ai/gepa-artifact 0a4d0e3 gepa_artifact/benchmarks/hover/hover_utils.py",
    "fever_scorer.py": "github:sheffieldnlp/fever-scorer 4801615 src/fever/scorer.py",
}
"""Where each file of PUBLISHED is from."""


class _Base:
    """Stands for what the published files inherit and do not score with."""

    def __init__(self, *_: object) -> None: ...


def _same(*_: object, **__: object) -> Callable[[Any], Any]:
    return lambda call: call


STUBS: dict[str, dict[str, Any]] = {
    "ujson": vars(json),
    "six": {"string_types": (str,)},
    "utils": {},
    "utils.dataset_utils": {},
    "utils.utils": {},
    "dspy.dsp.utils.utils": {"print_message": lambda *_: None},
    "benchmarks.benchmark": {"BaseBenchmark": _Base},
    "scripts.logs": {"logger": None},
    "tenacity": dict.fromkeys(("retry", "retry_if_exception_type", "stop_after_attempt", "wait_fixed"), _same),
}
"""What the published files import and do not score with."""


def published(name: str, **more: Any) -> ModuleType:
    """A published file as a module, its other imports replaced."""
    folder = Path(os.environ[PUBLISHED])
    parents = {".".join(each.split(".")[: end + 1]) for each in STUBS for end in range(each.count("."))}
    stubs = {**{each: {} for each in sorted(parents)}, **STUBS, **more}
    kept = {each: sys.modules.get(each) for each in stubs}
    for each, members in stubs.items():
        sys.modules[each] = ModuleType(each)
        vars(sys.modules[each]).update(members)
        sys.modules[each].__path__ = []
    try:
        spec = importlib.util.spec_from_file_location(Path(name).stem, folder / name)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        for each, module_before in kept.items():
            if module_before is None:
                del sys.modules[each]
            else:
                sys.modules[each] = module_before
    return module


def answers(right: str, other: str) -> dict[str, str]:
    """Answers to a question by kind: right ones, the same written otherwise, and wrong ones."""
    words = right.split()
    return {
        "right": right,
        "upper case, article, point": f"The {right.upper()}.",
        "sentence": f"It is {right}, I think",
        "first half": " ".join(words[: max(1, len(words) // 2)]),
        "reversed": " ".join(words[::-1]),
        "hyphens": right.replace(" ", "-"),
        "punctuation": right.translate(str.maketrans("", "", string.punctuation)),
        "underscores": right.replace(" ", "_"),
        "number as float": re.sub(r"\b(\d+)\b", r"\1.0", right),
        "number off by one": re.sub(r"\d+", lambda found: str(int(found[0]) + 1), right),
        "thousands": re.sub(r"\d{4,}", lambda found: f"{int(found[0]):,}", right),
        "money and percent": re.sub(r"\d+", r"$\g<0>%", right),
        "bars": " | ".join(words),
        "twice": f"{right}|{right}",
        "yes": "yes",
        "no": "No.",
        "another": other,
        "both": f"{right} and {other}",
        "empty": "",
    }


def examples(task: Task) -> Sequence[Example]:
    """The first rows, beginning with test."""
    return [*task.test, *task.val, *task.train][:CASES]


def spoken(task: Task, name: str = "answer") -> Iterator[tuple[Example, str, str]]:
    """Rows, each with every kind of answer in an output, and the kind before it."""
    rows = examples(task)
    for index, example in enumerate(rows):
        other = str(rows[(index + 1) % len(rows)].expected[name])
        for kind, answer in answers(str(example.expected[name]), other).items():
            yield example, kind, answer


def compared(
    file: str, form: str, example: Example, kind: str, ours: Sequence[float], theirs: Sequence[float]
) -> Iterator[Case]:
    """A case for each measure of one answer: the first of both are compared, then the second ones."""
    for one, other in zip(ours, theirs, strict=True):
        yield Case(form, example.id, kind, float(one), float(other), PUBLISHED_BY[file])
