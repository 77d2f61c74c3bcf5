"""HumanEval: 164 Python functions to be written from their signature and docstring."""

from __future__ import annotations

import re

from flowbot.fields import UserError
from flowbot.task import Task
from flowbot.task.row import Row
from flowbot.task.splits import Split

from .benchmark_set import BenchmarkSet, SetRows, SplitRows
from .programs import Problem, problems_of, programming_task, shown_asserts
from .read import text_column
from .scorers.hidden_tests import Tests

# fmt: off
VALIDATION = frozenset({
    9, 12, 15, 16, 18, 19, 24, 29, 30, 31, 51, 55, 56, 60, 66, 75, 78, 85, 95, 98, 101, 105, 115, 131, 132, 134, 135, 139, 145, 152,
    155, 157, 160,
})
# fmt: on
"""Numbers of the 33 problems that AFlow (Zhang et al. 2024) validates on; it tests on the other 131."""


def divide(found: SplitRows) -> SplitRows:
    """AFlow's division, whichever files the rows come from: 33 and 131."""
    rows = sorted((row for each in found.values() for row in each), key=_number)
    made: dict[Split, list[Row]] = {"val": [], "test": []}
    for row in rows:
        made["val" if _number(row) in VALIDATION else "test"].append(row)
    return made


def _number(row: Row) -> int:
    told = re.search(r"\d+$", text_column(row, "task_id", "id"))
    if told is None:
        raise UserError(
            f"{row.place}: task_id", repr(row.values.get("task_id", row.values.get("id")))[:60], "HumanEval/NUMBER"
        )
    return int(told[0])


def _problem(row: Row, variant: str) -> Problem:
    prompt, function = text_column(row, "prompt"), text_column(row, "entry_point")
    starts = list(re.finditer(rf"^def {re.escape(function)}\b", prompt, re.MULTILINE))
    if not starts:
        raise UserError(f"{row.place}: prompt", f"no def {function}", "the function that entry_point names")
    return Problem(
        id=text_column(row, "task_id", "id"),
        text=prompt,
        reference=prompt + text_column(row, "canonical_solution", "answer"),
        tests=Tests(
            entry_point=function,
            hidden=f"{text_column(row, 'test')}\ncheck({function})",
            public=shown_asserts(prompt, function),
            before=prompt[: starts[-1].start()],
            opening=prompt,
        ),
    )


def _make(rows: SetRows, variant: str) -> Task:
    return programming_task(
        "Write the Python function whose signature and docstring are given.",
        "its signature and docstring, with what stands before them",
        problems_of(rows, variant, _problem),
    )


SET = BenchmarkSet(
    name="humaneval",
    about="Python functions, to be written from their signature and docstring.",
    source="Chen et al. 2021, Evaluating Large Language Models Trained on Code: HumanEval.jsonl",
    licence="MIT",
    make=_make,
    files={"test": ("HumanEval.jsonl",)},
    hub="openai/openai_humaneval",
    metric="pass@1: the program passes the publisher's tests, which no workflow sees; 10 s of processor time and 256 MB in the sandbox",
    split="AFlow's 33 for validation and 131 for test; where train rows are wanted, half of the 33, in a seeded order",
    divide=divide,
)
