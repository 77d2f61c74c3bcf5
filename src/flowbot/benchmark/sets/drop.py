"""DROP: questions on a passage that take counting, adding, sorting or picking out several spans."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

from flowbot.fields import UserError
from flowbot.fields.words import brief
from flowbot.task import Task
from flowbot.task.data import read_rows
from flowbot.task.row import Row

from .benchmark_set import BenchmarkSet, SetRows
from .documents import texts
from .read import column, json_value, task_rows, text_column, with_id
from .scorers import drop
from .scorers.official import official

Reference = str | list[str]
_FORM = "{PASSAGE: {passage: TEXT, qa_pairs: [{question, answer, query_id}, …]}, …}"


def passage_rows(path: Path) -> Sequence[Row]:
    """The rows of the publisher's file, a question each: `{PASSAGE: {passage, qa_pairs: [{question, answer, query_id}]}}`.

    Raises:
        UserError: naming the file and the place in it.
    """
    whole = json_value(path)
    if whole is None:
        return read_rows(path)
    if not isinstance(whole, dict):
        raise UserError(str(path), "JSON that is no object", _FORM)
    return [row for name, each in cast("dict[str, Any]", whole).items() for row in _questions(each, f"{path}: {name}")]


def _questions(value: Any, place: str) -> Iterator[Row]:
    passage = cast("Mapping[str, Any]", value if isinstance(value, dict) else {})
    asked: Any = passage.get("qa_pairs")
    if not isinstance(asked, list) or not all(isinstance(each, dict) for each in cast("list[Any]", asked)):
        raise UserError(place, brief(cast("object", value), 60), _FORM)
    for index, each in enumerate(cast("list[dict[str, Any]]", asked)):
        yield Row(f"{place}[{index}]", {"passage": passage.get("passage"), **each})


def _references(row: Row) -> list[Reference]:
    """What is right: texts of a normalised row, spans of the publisher's."""
    answer = column(row, "answer")
    if isinstance(answer, str):
        return [*(texts(row, drop.REFERENCES) or [answer])]
    validated: Any = row.values.get("validated_answers") or []
    if isinstance(validated, Mapping):  # as a table: a list for each of a validated answer's members
        columns = cast("Mapping[str, Sequence[Any]]", validated)
        validated = [dict(zip(columns, each, strict=True)) for each in zip(*columns.values(), strict=True)]
    return [_spans(each, f"{row.place}: answer") for each in (answer, *validated)]


def _spans(answer: Any, place: str) -> list[str]:
    """An answer of the publisher's: a number, spans, or a date, whichever is there first."""
    match answer:
        case {"number": str() | int() | float() as number} if str(number):
            return [str(number)]
        case {"spans": [str(), *_]}:
            return texts(Row(place, cast("Mapping[str, Any]", answer)), "spans")
        case {"date": {"day": str() as day, "month": str() as month, "year": str() as year}}:
            return [f"{day} {month} {year}"]
        case _:
            raise UserError(
                place, brief(answer, 60), "an answer {number: …}, {spans: […]} or {date: {day, month, year}}"
            )


def _fields(row: Row, between: str) -> Mapping[str, Any]:
    told = _references(row)
    first = next((each for each in told if "".join(each).strip()), told[0])
    fields = {
        "passage": text_column(row, "passage"),
        "question": text_column(row, "question"),
        "answer": first if isinstance(first, str) else between.join(each.strip() for each in first),
        drop.REFERENCES: told,
    }
    return with_id(row, fields, "query_id")


def _make(rows: SetRows, variant: str) -> Task:
    about = "a number, a date, or words of the passage or the question, with nothing around it"
    rule = drop.drop_aflow if variant == "aflow" else drop.drop_f1
    between = drop.JOINED if variant == "aflow" else f" {drop.BETWEEN} "
    several = "" if variant == "aflow" else f"; several spans have {drop.BETWEEN} between them"
    return Task(
        goal="Answer the question about the passage.",
        inputs={"passage": "str", "question": {"type": "str", "about": "what is asked about the passage"}},
        outputs={"answer": {"type": "str", "about": about + several}},
        metric=official(rule.__name__, rule, rule=1, pure=True),
        splits=task_rows(rows, partial(_fields, between=between)),
    )


SET = BenchmarkSet(
    name="drop",
    about="Questions on a passage that take counting, adding, sorting, or picking out several spans.",
    source="Dua et al. 2019, DROP: drop_dataset_train.json and drop_dataset_dev.json",
    licence="CC BY-SA 4.0",
    make=_make,
    variants=("official", "aflow"),
    files={"train": ("drop_dataset_train*.json",), "test": ("drop_dataset_dev*.json",)},
    metric="DROP's F1, the best over the references; in the variant aflow the best token F1 of any part of the answer",
    together=("passage",),
    reader=passage_rows,
)
