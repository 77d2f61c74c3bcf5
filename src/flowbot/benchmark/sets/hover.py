"""HoVer: claims that two to four articles of Wikipedia prove or do not prove."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flowbot.fields import UserError
from flowbot.fields.words import brief
from flowbot.task import Task
from flowbot.task.row import Row

from .benchmark_set import BenchmarkSet, SetRows
from .documents import Paragraphs, facts, paragraphs, pointers, searched
from .read import task_rows, text_column, with_id
from .scorers import evidence
from .scorers.official import official
from .scorers.wording import FACTS

LABELS = ("SUPPORTED", "NOT_SUPPORTED")
_NUMBERED = ("NOT_SUPPORTED", "SUPPORTED")
"""Labels by number, as on the hub."""
_DOCUMENTS = 10
"""That a search gives: the most of the published program's (Agrawal et al. 2025)."""
_THREE = 3


def _retrieves(variant: str) -> bool:
    return variant.startswith("retrieval")


def _label(row: Row) -> Any:
    found = next((row.values[each] for each in ("label", "answer") if each in row.values), None)
    return _NUMBERED[found] if type(found) is int and 0 <= found < len(_NUMBERED) else found


def _is_of(row: Row, variant: str) -> bool:
    """Whether a row has what a variant takes; the publisher's test has neither labels nor documents."""
    if variant == "retrieval-3":
        return len({title for title, _ in pointers(row)}) == _THREE
    if _retrieves(variant):
        return bool(pointers(row))
    return _label(row) not in (None, -1) and (variant == "label" or bool(row.values.get("evidence")))


def _fields(row: Row, variant: str) -> Mapping[str, Any]:
    at = pointers(row)
    given: Paragraphs = paragraphs(row, "evidence") if row.values.get("evidence") else ()
    fields: dict[str, Any] = {"claim": text_column(row, "claim"), FACTS: facts(given, at)}
    if _retrieves(variant):
        return with_id(row, {**fields, "titles": list(dict.fromkeys(title for title, _ in at))}, "uid")
    label = _label(row)
    if label not in LABELS:
        raise UserError(f"{row.place}: label", brief(label, 60), " or ".join(LABELS))
    if variant == "evidence":
        fields["evidence"] = "\n\n".join(f"{title}: {''.join(sentences).strip()}" for title, sentences in given)
    return with_id(row, {**fields, "label": label}, "uid")


def _make(rows: SetRows, variant: str) -> Task:
    inputs = {"claim": "str"}
    splits = task_rows(rows, lambda row: _fields(row, variant))
    if _retrieves(variant):
        return Task(
            goal="Find every document that is needed to verify the claim.",
            inputs=inputs,
            outputs={"titles": {"type": "list[str]", "about": f"titles of documents, at most {evidence.MOST_TITLES}"}},
            metric=official("all_titles_found", evidence.all_titles_found, rule=1, pure=True),
            splits=splits,
            tools=[searched(rows.folder, _DOCUMENTS, "Search paragraphs of Wikipedia.")],
        )
    given = variant == "evidence"
    told = "the evidence supports" if given else "the facts of Wikipedia support"
    return Task(
        goal=f"Say whether {told} the whole claim.",
        inputs={**inputs, "evidence": "str"} if given else inputs,
        outputs={"label": f"Literal[{', '.join(map(repr, LABELS))}]"},
        metric=official("right_label", evidence.right_label, rule=1, pure=True),
        splits=splits,
    )


SET = BenchmarkSet(
    name="hover",
    about="Claims that two to four articles of Wikipedia prove or do not prove: find the articles, or give the label.",
    source="Jiang et al. 2020, HoVer: hover_train_release_v1.1.json and hover_dev_release_v1.1.json",
    licence="CC BY-SA 4.0",
    make=_make,
    variants=("retrieval", "retrieval-3", "label", "evidence"),
    files={"train": ("hover_train_release_v*.json",), "test": ("hover_dev_release_v*.json",)},
    hub="hover-nlp/hover@refs/convert/parquet",
    metric="all documents that prove the claim are among the first 24 titles; in the variants label and evidence, the right label",
    together=("hpqa_id", "claim"),
    keeps=_is_of,
    prefixes={"retrieval": "retrieval_", "retrieval-3": "retrieval_", "evidence": "retrieval_"},
)
