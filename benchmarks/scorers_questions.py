"""Our scorers of questions and claims beside the published ones, on 100 real rows a set.

    python benchmarks/scorers_questions.py DATA PUBLISHED [--out benchmarks/results/scorers_questions.jsonl]

DATA holds the folders drop, fever, hotpotqa, hover and triviaqa (not part of this project), PUBLISHED the published scorers, each a
file as `PUBLISHED_BY` says; they are run and not kept. Every row gives one answer of each kind in `answers`: the right one, the right
one written otherwise, and wrong ones. A line of JSON a comparison goes to the results, with every answer that is
scored differently.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import re
import string
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from flowbot.bench.sets.registry import load_set
from flowbot.bench.sets.scorers.drop import em_and_f1
from flowbot.task import Example, Task

ROWS = 100
TOLERANCE = 1e-9
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
Values = tuple[float, ...]
Case = tuple[Any, Values, Values]
"""An answer, our scores of it, and the published ones."""


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


def published(folder: Path, name: str, **more: Any) -> ModuleType:
    """A published file as a module, its other imports replaced."""
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
    return [*task.test, *task.val, *task.train][:ROWS]


def spoken(task: Task, name: str) -> Iterator[tuple[Example, str]]:
    """Rows, each with every kind of answer in an output."""
    rows = examples(task)
    for index, example in enumerate(rows):
        other = str(rows[(index + 1) % len(rows)].expected[name])
        for answer in answers(str(example.expected[name]), other).values():
            yield example, answer


def hotpotqa(data: Path, folder: Path) -> Iterator[tuple[str, str, Iterator[Case]]]:
    """F1 and exact match."""
    script, dspy, aflow = (
        published(folder, name) for name in ("hotpot_evaluate_v1.py", "dspy_metrics.py", "aflow_hotpotqa.py")
    )
    tasks = {
        variant: load_set("hotpotqa", data / "hotpotqa", variant=variant)
        for variant in ("distractor", "exact", "aflow")
    }
    aflow_rule = aflow.HotpotQABenchmark("", "", "")

    def official(variant: str, theirs: Callable[[str, str], Values], *parts: str) -> Iterator[Case]:
        task = tasks[variant]
        for example, answer in spoken(task, "answer"):
            score = task.metric(example, {"answer": answer})
            ours = (score.value, *(score.parts[each] for each in parts))
            yield answer, ours, theirs(answer, example.expected["answer"])

    def by_script(found: str, right: str) -> Values:
        return float(script.f1_score(found, right)[0]), float(script.exact_match_score(found, right))

    def by_dspy(found: str, right: str) -> Values:
        return float(dspy.EM(found, [right])), float(dspy.HotPotF1(found, [right]))

    yield "hotpotqa distractor: F1, EM", "hotpot_evaluate_v1.py", official("distractor", by_script, "em")
    yield "hotpotqa exact, retrieval: EM, F1", "dspy_metrics.py", official("exact", by_dspy, "f1")
    rule = official("aflow", lambda found, right: (float(aflow_rule.calculate_score(right, found)[0]),))
    yield "hotpotqa aflow: F1", "aflow_hotpotqa.py", rule


def drop(data: Path, folder: Path) -> Iterator[tuple[str, str, Iterator[Case]]]:
    """F1 and exact match; with references as texts, and with the spans that `and` joins in them."""
    script, aflow = published(folder, "drop.py"), published(folder, "aflow_drop.py").DROPBenchmark("", "", "")
    official, own = (load_set("drop", data / "drop", variant=variant) for variant in ("official", "aflow"))

    def texts() -> Iterator[Case]:
        for example, answer in spoken(official, "answer"):
            score = official.metric(example, {"answer": answer})
            told = [each.strip() for each in answer.split("|")]
            theirs = [script.get_metrics(" and ".join(told), each) for each in example.extra["references"]]
            yield (
                answer,
                (score.value, score.parts["em"]),
                tuple(float(max(each)) for each in zip(*theirs, strict=True))[::-1],
            )

    def spans() -> Iterator[Case]:
        rows = [*official.test, *official.val, *official.train]
        many = [row for row in rows if " and " in row.expected["answer"]][:ROWS]
        for index in range(len(many)):
            right, other = (many[at].expected["answer"].split(" and ") for at in (index, index - 1))
            for told in (
                right,
                right[::-1],
                right[1:],
                [*right, *other],
                other,
                [right[0]] * 2,
                [" ".join(right)],
                [""],
            ):
                em, f1 = em_and_f1(" | ".join(told), right)
                yield " | ".join(told), (f1, em), tuple(map(float, script.get_metrics(told, right)))[::-1]

    def best() -> Iterator[Case]:
        for example, answer in spoken(own, "answer"):
            pairs = [(right, part) for right in example.extra["references"] for part in answer.split("|")]
            theirs = max(float(aflow.calculate_score(*pair)[0]) for pair in pairs)
            yield answer, (own.metric(example, {"answer": answer}).value,), (theirs,)

    yield "drop official: F1, EM", "drop.py", texts()
    yield "drop official, several spans: F1, EM", "drop.py", spans()
    yield "drop aflow: F1", "aflow_drop.py", best()


def triviaqa(data: Path, folder: Path) -> Iterator[tuple[str, str, Iterator[Case]]]:
    """Exact match and F1, the best over the aliases."""
    script = published(folder, "triviaqa_evaluation.py")
    task = load_set("triviaqa", data / "triviaqa")

    def cases() -> Iterator[Case]:
        for example, answer in spoken(task, "answer"):
            score = task.metric(example, {"answer": answer})
            measures = (script.exact_match_score, script.f1_score)
            aliases = example.extra["aliases"]
            theirs = (script.metric_max_over_ground_truths(each, answer, aliases) for each in measures)
            yield answer, (score.value, score.parts["f1"]), tuple(map(float, theirs))

    yield "triviaqa: EM, F1", "triviaqa_evaluation.py", cases()


def claims(data: Path, folder: Path) -> Iterator[tuple[str, str, Iterator[Case]]]:
    """All documents of HoVer found, and FEVER's labels."""
    normalised = published(folder, "dspy_metrics.py").normalize_text
    evaluate = {"evaluate": SimpleNamespace(normalize_text=normalised)}
    utils, fever = published(folder, "gepa_hover_utils.py", dspy=evaluate), published(folder, "fever_scorer.py")
    hover, labels = load_set("hover", data / "hover"), load_set("fever", data / "fever")

    def documents() -> Iterator[Case]:
        rows = examples(hover)
        for index, example in enumerate(rows):
            right, other = example.expected["titles"], rows[index - 1].expected["titles"]
            for found in (right, right[1:], [*other, *right[::-1]], other, [each.upper() for each in right], []):
                gold = {"supporting_facts": [{"key": each} for each in right]}
                documents = SimpleNamespace(retrieved_docs=[f"{each} | text" for each in found])
                theirs = float(utils.discrete_retrieval_eval(gold, documents))
                yield found, (hover.metric(example, {"titles": found}).value,), (theirs,)

    def named() -> Iterator[Case]:
        for example in examples(labels):
            for found in ("SUPPORTS", "REFUTES", "NOT ENOUGH INFO"):
                told = {"label": example.expected["label"], "predicted_label": found}
                theirs = float(fever.is_correct_label(told))
                yield found, (labels.metric(example, {"label": found}).value,), (theirs,)

    yield "hover retrieval: all found", "gepa_hover_utils.py", documents()
    yield "fever: label", "fever_scorer.py", named()


def main() -> None:
    """Compare, keep the results, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("published", type=Path)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "scorers_questions.jsonl")
    told = parser.parse_args()
    lines: list[dict[str, Any]] = []
    for compare in (hotpotqa, drop, triviaqa, claims):
        for name, file, cases in compare(told.data, told.published):
            answered = list(cases)
            apart = [
                {"answer": answer, "ours": ours, "published": theirs}
                for answer, ours, theirs in answered
                if any(abs(one - other) > TOLERANCE for one, other in zip(ours, theirs, strict=True))
            ]
            line = {
                "scorer": name,
                "published": PUBLISHED_BY[file],
                "answers": len(answered),
                "apart": len(apart),
                "cases": apart,
            }
            lines.append(line)
            print(f"{name:40} {len(answered):6,} answers, {len(apart):4} scored otherwise  ({PUBLISHED_BY[file]})")
    told.out.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")


if __name__ == "__main__":
    main()
