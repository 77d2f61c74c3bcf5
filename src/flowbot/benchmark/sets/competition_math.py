"""MATH: competition mathematics whose answers are written in LaTeX (Hendrycks et al. 2021)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from flowbot.fields import UserError
from flowbot.task import Task
from flowbot.task.data import parse_rows
from flowbot.task.decode import decoded
from flowbot.task.row import Row
from flowbot.task.sources import PythonSource

from .benchmark_set import PYTHON, BenchmarkSet, SetRows
from .read import task_rows, text_column, with_id
from .scorers.math import boxed, math_metric


def problem_rows(path: Path) -> Sequence[Row]:
    """The rows of a publisher's file: one problem in a JSON file of its own, or JSON Lines.

    Raises:
        UserError: naming the file, and the line.
    """
    rows = parse_rows(decoded(path)[0], str(path), path.suffix.lower(), alone=True)
    own = "/".join(path.with_suffix("").parts[-3:]) if path.suffix == ".json" else ""
    return [Row(row.place, {"id": own, **row.values}) if own and len(rows) == 1 else row for row in rows]


def _fields(row: Row) -> dict[str, str]:
    answer = text_column(row, "answer") if "answer" in row.values else boxed(text_column(row, "solution"))
    if not answer:
        raise UserError(f"{row.place}: solution", "no \\boxed{…}", "the answer, boxed")
    return with_id(row, {"problem": text_column(row, "problem"), "answer": answer}, "unique_id")


def _make(rows: SetRows, variant: str) -> Task:
    return Task(
        goal="Solve the problem.",
        inputs={"problem": {"type": "str", "about": "a problem of competition mathematics, in LaTeX"}},
        outputs={"answer": {"type": "str", "about": "the final answer alone, in LaTeX, without dollar signs"}},
        metric=math_metric("math-verify" if variant == PYTHON else variant),
        splits=task_rows(rows, _fields),
        tools=[PythonSource()] if variant == PYTHON else [],
    )


SET = BenchmarkSet(
    name="math",
    about="Competition mathematics.",
    source="Hendrycks et al. 2021, MATH: train/ and test/ with a file a problem; MATH-500: test.jsonl",
    licence="MIT",
    make=_make,
    variants=("math-verify", "aflow", PYTHON),
    files={"train": ("train/*/*.json", "train.jsonl"), "test": ("test/*/*.json", "test.jsonl")},
    hub="HuggingFaceH4/MATH-500",
    metric="the answer is the same mathematics, by math-verify; `aflow`: or a number less than 0.001 away",
    together=("problem",),
    reader=problem_rows,
)
