"""GSM8K: word problems of grade school whose answer is a whole number."""

from __future__ import annotations

from flowbot.fields import UserError
from flowbot.fields.words import cut
from flowbot.task import Task
from flowbot.task.row import Row
from flowbot.task.sources import PythonSource

from .benchmark_set import PYTHON, BenchmarkSet, SetRows
from .read import column, task_rows, text_column, with_id
from .scorers.gsm8k import final_number, score
from .scorers.official import official


def _fields(row: Row) -> dict[str, object]:
    answer = final_number(column(row, "answer"))
    if answer is None:
        raise UserError(
            f"{row.place}: answer", repr(cut(str(column(row, "answer")), 60)), "a number, alone or after ####"
        )
    return with_id(row, {"question": text_column(row, "question"), "answer": answer})


def _make(rows: SetRows, variant: str) -> Task:
    return Task(
        goal="Solve the word problem.",
        inputs={"question": {"type": "str", "about": "the problem"}},
        outputs={"answer": {"type": "int", "about": "the number that is asked for, without its unit"}},
        metric=official("gsm8k", score, rule=1, pure=True),
        splits=task_rows(rows, _fields),
        tools=[PythonSource()] if variant == PYTHON else [],
    )


SET = BenchmarkSet(
    name="gsm8k",
    about="Word problems of grade school, solved in two to eight steps.",
    source="Cobbe et al. 2021, Training Verifiers to Solve Math Word Problems: train.jsonl and test.jsonl",
    licence="MIT",
    make=_make,
    variants=("", PYTHON),
    files={"train": ("train.jsonl",), "test": ("test.jsonl",)},
    hub="openai/gsm8k/main",
    metric="the number is the right one; of a text the one after ####, else the last one",
    together=("question",),
)
