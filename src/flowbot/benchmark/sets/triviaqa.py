"""TriviaQA, closed book: trivia questions without documents, and all names of each answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from flowbot.fields import UserError
from flowbot.fields.words import brief, kind_of
from flowbot.task import Task
from flowbot.task.data import listed_rows, read_rows
from flowbot.task.row import Row

from .benchmark_set import BenchmarkSet, SetRows
from .documents import texts
from .read import column, json_list, task_rows, text_column, with_id
from .scorers import triviaqa
from .scorers.official import official

_ANSWER = ("Answer", "answer")


def data_rows(path: Path) -> Sequence[Row]:
    """The rows of the publisher's file: `{Data: [{Question, QuestionId, Answer: {Value, NormalizedAliases}}]}`.

    Raises:
        UserError: naming the file and the place in it.
    """
    if path.suffix.lower() != ".json":
        return read_rows(path)
    data = json_list(path, "Data")
    if data is None:
        raise UserError(str(path), "JSON without Data", "{Data: [{Question, QuestionId, Answer}, …]}")
    return listed_rows(data, f"{path}: Data")


def _is_of(row: Row, variant: str) -> bool:
    """Whether the answer is told: in the publisher's test it is not."""
    given: Any = next((row.values[each] for each in _ANSWER if each in row.values), None)
    return bool(_names(row, cast("Mapping[str, Any]", given))) if isinstance(given, Mapping) else given is not None


def _names(row: Row, answer: Mapping[str, Any]) -> list[str]:
    """All names of a publisher's answer that its script compares with: the normalised aliases, and what people answered."""
    inner = Row(f"{row.place}: answer", answer)
    return [name for each in ("NormalizedAliases", "normalized_aliases", "HumanAnswers") for name in texts(inner, each)]


def _fields(row: Row) -> Mapping[str, Any]:
    given = column(row, *_ANSWER)
    if isinstance(given, Mapping):
        answer = cast("Mapping[str, Any]", given)
        aliases = _names(row, answer)
        value: Any = next(
            (answer[each] for each in ("Value", "value") if answer.get(each)), aliases[0] if aliases else None
        )
    else:
        value, aliases = given, texts(row, triviaqa.ALIASES) or [given]
    if not isinstance(value, str) or not aliases:
        found = kind_of(value) if not isinstance(value, str) else f"{brief(value, 60)} without aliases"
        raise UserError(f"{row.place}: answer", found, "a text, or {Value: TEXT, NormalizedAliases: [TEXT, …]}")
    fields = {"question": text_column(row, "Question", "question"), "answer": value, triviaqa.ALIASES: aliases}
    return with_id(row, fields, "QuestionId", "question_id")


def _make(rows: SetRows, variant: str) -> Task:
    return Task(
        goal="Answer the trivia question.",
        inputs={"question": "str"},
        outputs={"answer": {"type": "str", "about": "a name or a few words, with nothing around it"}},
        metric=official("triviaqa_exact", triviaqa.triviaqa_exact, rule=1, pure=True),
        splits=task_rows(rows, _fields),
    )


SET = BenchmarkSet(
    name="triviaqa",
    about="Trivia questions, answered from memory.",
    source="Joshi et al. 2017, TriviaQA: unfiltered-web-dev.json, or any of its files of questions",
    licence="of the questions: not stated",
    make=_make,
    files={"test": ("unfiltered-web-dev.json",)},
    hub="mandarjoshi/trivia_qa/unfiltered.nocontext",
    metric="exact match with any alias",
    together=("Question", "question"),
    reader=data_rows,
    keeps=_is_of,
)
