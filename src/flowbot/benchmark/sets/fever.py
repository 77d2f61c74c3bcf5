"""FEVER: claims that sentences of Wikipedia support, refute or leave open."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from flowbot.fields import UserError
from flowbot.fields.words import brief
from flowbot.task import Task
from flowbot.task.row import Row

from .benchmark_set import BenchmarkSet, SetRows
from .documents import searched, texts
from .read import task_rows, text_column, with_id
from .scorers import evidence
from .scorers.official import official
from .scorers.wording import FACTS

LABELS = ("SUPPORTS", "REFUTES", "NOT ENOUGH INFO")
_EVIDENCE = "gold_evidence"
_DOCUMENTS = 5
_POINTER = 4
"""Of a piece of evidence: two ids, a title, and the number of a sentence."""
_MARKS = {"-LRB-": "(", "-RRB-": ")", "-LSB-": "[", "-RSB-": "]", "-COLON-": ":", "_": " "}
"""How the publisher writes a title."""


def _is_of(row: Row, variant: str) -> bool:
    """Whether a row has what a variant takes: the publisher's test has no labels. Given the evidence, only claims that have any: an
    empty one would tell the label."""
    named = bool(row.values.get("label", row.values.get("answer")))
    return named and (variant != "evidence" or bool(row.values.get(_EVIDENCE)))


def _titles(row: Row) -> list[str]:
    """Titles of the articles with evidence: of the publisher's sets of evidence, each `[[ID, ID, TITLE, NUMBER], …]`."""
    given: Any = row.values.get("evidence") or []
    groups = cast("list[Any]", given) if isinstance(given, list) else [None]
    found: list[Any] = [
        each for group in groups for each in (cast("list[Any]", group) if isinstance(group, list) else [None])
    ]
    if not all(isinstance(each, list) and len(cast("list[Any]", each)) == _POINTER for each in found):
        raise UserError(f"{row.place}: evidence", brief(cast("object", given), 60), "[[[ID, ID, TITLE, NUMBER], …], …]")
    told = list(dict.fromkeys(each[2] for each in found if isinstance(each[2], str)))
    for mark, letter in _MARKS.items():
        told = [title.replace(mark, letter) for title in told]
    return told


def _fields(row: Row, variant: str) -> Mapping[str, Any]:
    label = text_column(row, "label", "answer")
    if label not in LABELS:
        raise UserError(f"{row.place}: label", repr(label)[:60], " or ".join(LABELS))
    told = texts(row, _EVIDENCE)
    fields: dict[str, Any] = {"claim": text_column(row, "claim"), "label": label}
    fields[FACTS] = told or [f"{title}." for title in _titles(row)]
    if variant == "evidence":
        fields["evidence"] = "\n".join(told)
    return with_id(row, fields)


def _make(rows: SetRows, variant: str) -> Task:
    inputs: dict[str, Any] = {"claim": "str"}
    labels = LABELS
    if variant == "evidence":
        inputs["evidence"], labels = {"type": "str", "about": "sentences of Wikipedia"}, LABELS[:2]
    where = "the evidence" if variant == "evidence" else "Wikipedia"
    open_ = "" if variant == "evidence" else "; NOT ENOUGH INFO where it does neither"
    tools = [searched(rows.folder, _DOCUMENTS, "Search sentences of Wikipedia.")] if variant == "retrieval" else []
    return Task(
        goal=f"Say whether {where} SUPPORTS or REFUTES the claim{open_}.",
        inputs=inputs,
        outputs={"label": f"Literal[{', '.join(map(repr, labels))}]"},
        metric=official("right_label", evidence.right_label, rule=1, pure=True),
        splits=task_rows(rows, lambda row: _fields(row, variant)),
        tools=cast("list[Any]", tools),
    )


SET = BenchmarkSet(
    name="fever",
    about="Claims that Wikipedia supports, refutes or leaves open: alone, with the evidence, or with a search.",
    source="Thorne et al. 2018, FEVER: train.jsonl, paper_dev.jsonl and paper_test.jsonl",
    licence="CC BY-SA 3.0",
    make=_make,
    variants=("claim", "evidence", "retrieval"),
    files={"train": ("train.jsonl",), "val": ("paper_dev.jsonl",), "test": ("paper_test.jsonl",)},
    metric="the right label",
    together=("claim",),
    keeps=_is_of,
)
