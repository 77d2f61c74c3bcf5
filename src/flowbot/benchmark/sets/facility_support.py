"""Facility support: how urgent a customer's e-mail is, its mood, and what it is about (Meta's prompt-ops; the tutorial of DSPy's GEPA)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from random import Random
from typing import Any, cast

from flowbot.fields import UserError
from flowbot.fields.words import cut
from flowbot.task import Part, Parts, Task
from flowbot.task.row import Row

from .benchmark_set import BenchmarkSet, SetRows, SplitRows
from .read import column, task_rows, text_column, with_id
from .scorers.facility_support import CATEGORIES, categories
from .scorers.official import official

_URGENCY = ["low", "medium", "high"]
_SENTIMENT = ["negative", "neutral", "positive"]
_EXPECTED = "urgency, sentiment and categories"


def _fields(row: Row) -> dict[str, Any]:
    nested = row.values.get("fields")
    inner = Row(f"{row.place}: fields", cast("Mapping[str, Any]", nested)) if isinstance(nested, Mapping) else row
    answer = _answer(row)
    about = answer.get("categories")
    if isinstance(about, Mapping):  # the publisher's: each with true or false
        about = [name for name, told in cast("Mapping[str, Any]", about).items() if told]
    labels = {"urgency": answer.get("urgency"), "sentiment": answer.get("sentiment"), "categories": about}
    return with_id(row, {"email": text_column(inner, "email", "input"), **labels})


def _answer(row: Row) -> Mapping[str, Any]:
    value = column(row, "answer")
    try:
        answer: Any = json.loads(value) if isinstance(value, str) else value
    except ValueError:
        answer = None
    if not isinstance(answer, Mapping):
        raise UserError(f"{row.place}: answer", repr(cut(str(value), 60)), f"an object with {_EXPECTED}")
    return cast("Mapping[str, Any]", answer)


def _make(rows: SetRows, variant: str) -> Task:
    return Task(
        goal="Read an e-mail to a company for the care of buildings: say how urgent it is, in what mood it is, and what it is about.",
        inputs={"email": "str"},
        outputs={
            "urgency": f"Literal{_URGENCY}",
            "sentiment": f"Literal{_SENTIMENT}",
            "categories": f"list[Literal{list(CATEGORIES)}]",
        },
        metric=Parts(
            {
                "urgency": Part("exact", on="urgency"),
                "sentiment": Part("exact", on="sentiment"),
                "categories": Part(official("categories", categories, rule=1, pure=True), on="categories"),
            }
        ),
        splits=task_rows(rows, _fields),
    )


def tutorial_split(found: SplitRows) -> SplitRows:
    """As the tutorial divides them: shuffled with seed 0; the first third is train, the second val, the rest test."""
    rows = [row for each in found.values() for row in each]
    Random(0).shuffle(rows)
    first, second = int(len(rows) * 0.33), int(len(rows) * 0.66)
    return {"train": rows[:first], "val": rows[first:second], "test": rows[second:]}


SET = BenchmarkSet(
    name="facility_support",
    about="How urgent a customer's e-mail is, its mood, and which of ten subjects it is about.",
    source="Meta, prompt-ops: use-cases/facility-support-analyzer/dataset.json",
    licence="MIT",
    make=_make,
    files={"test": ("dataset.json",)},
    metric="mean of three: the urgency is right, the sentiment is right, and the share of the ten categories that are rightly named or not",
    split="the tutorial's: shuffled with seed 0, then 33 % train, 33 % val, the rest test",
    divide=tutorial_split,
)
