"""HotpotQA: questions whose answer takes facts from two articles of Wikipedia."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flowbot.task import Task
from flowbot.task.row import Row

from .benchmark_set import BenchmarkSet, SetRows
from .documents import facts, paragraphs, pointers, searched
from .read import task_rows, text_column, with_id
from .scorers.hotpotqa import hotpotqa_aflow, hotpotqa_exact, hotpotqa_f1
from .scorers.official import official
from .scorers.wording import FACTS

_METRICS = {
    "distractor": hotpotqa_f1,
    "exact": hotpotqa_exact,
    "retrieval": hotpotqa_exact,
    "aflow": hotpotqa_aflow,
}
_DOCUMENTS = 7
"""That a search gives, as in the published program (Agrawal et al. 2025)."""


def _fields(row: Row, variant: str) -> Mapping[str, Any]:
    given = paragraphs(row, "context")
    fields: dict[str, Any] = {
        "question": text_column(row, "question"),
        "answer": text_column(row, "answer"),
        FACTS: facts(given, pointers(row)),
    }
    if variant == "aflow":
        fields["context"] = "\n".join(" ".join(sentences) for _, sentences in given)
    elif variant != "retrieval":
        fields["context"] = "\n\n".join(f"{title}: {''.join(sentences).strip()}" for title, sentences in given)
    return with_id(row, fields, "_id")


def _make(rows: SetRows, variant: str) -> Task:
    retrieves, rule = variant == "retrieval", _METRICS[variant]
    inputs = {"question": {"type": "str", "about": "what is asked"}}
    if not retrieves:
        inputs["context"] = {"type": "str", "about": "paragraphs of Wikipedia, two of which are needed"}
    about = "a name, a date, a number, yes, no, or a few words, with nothing around it"
    return Task(
        goal="Answer the question." if retrieves else "Answer the question from the context.",
        inputs=inputs,
        outputs={"answer": {"type": "str", "about": about}},
        metric=official(rule.__name__, rule, rule=1, pure=True),
        splits=task_rows(rows, lambda row: _fields(row, variant)),
        tools=[searched(rows.folder, _DOCUMENTS, "Search paragraphs of Wikipedia.", beside="hover")]
        if retrieves
        else [],
    )


SET = BenchmarkSet(
    name="hotpotqa",
    about="Questions that take facts from two articles of Wikipedia, with ten paragraphs given or with a search.",
    source="Yang et al. 2018, HotpotQA: hotpot_dev_distractor_v1.json (its train file is larger than what is read: take it from the hub)",
    licence="CC BY-SA 4.0",
    make=_make,
    variants=tuple(_METRICS),
    files={"test": ("hotpot_dev_distractor_v1*.json",)},
    hub="hotpotqa/hotpot_qa/distractor",
    metric="token F1 of the answer; exact match in the variants exact and retrieval",
    together=("question",),
)
