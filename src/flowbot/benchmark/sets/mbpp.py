"""MBPP: short Python programs to be written from a sentence and an assert."""

from __future__ import annotations

import ast
from typing import Any, cast

from flowbot.fields import UserError
from flowbot.fields.yaml import parse_json
from flowbot.task import Task
from flowbot.task.row import Row
from flowbot.task.splits import SPLITS, Split

from .benchmark_set import BenchmarkSet, SetRows, SplitRows
from .programs import Problem, problems_of, programming_task
from .read import column, text_column
from .scorers.hidden_tests import Tests

ALL = "all-asserts"
_LAST = {"": 10, "test": 510, "val": 600, "train": 974}
"""The last task_id of each of the publisher's splits; 1 to 10 are for prompts."""


def divide(found: SplitRows) -> SplitRows:
    """The publisher's division by task_id: 11–510 test, 511–600 validation, 601–974 train."""
    made: dict[Split, list[Row]] = {split: [] for split in SPLITS}
    for row in (row for each in found.values() for row in each):
        number = _number(row)
        split = next((name for name, last in _LAST.items() if number <= last), "")
        if split:
            made[cast("Split", split)].append(row)
    return made


def _number(row: Row) -> int:
    told = str(column(row, "task_id", "id")).removeprefix("mbpp-")
    if not told.isdecimal() or not 1 <= int(told) <= _LAST["train"]:
        raise UserError(f"{row.place}: task_id", repr(told)[:60], f"a whole number from 1 to {_LAST['train']}")
    return int(told)


def _texts(row: Row, name: str) -> list[str]:
    """A column of texts; none where there is no such column. Tables write a list as text."""
    value: Any = row.values.get(name, [])
    value = parse_json(value, f"{row.place}: {name}") if row.texts and isinstance(value, str) else value
    if not isinstance(value, list) or not all(isinstance(each, str) for each in cast("list[object]", value)):
        raise UserError(f"{row.place}: {name}", repr(cast("object", value))[:60], "a list of texts")
    return cast("list[str]", value)


def _problem(row: Row, variant: str) -> Problem:
    asserts = _texts(row, "test_list")
    code = text_column(row, "code", "answer")
    if not asserts:
        raise UserError(f"{row.place}: test_list", "nothing", "asserts")
    setup = [str(row.values.get("test_setup_code") or ""), *_texts(row, "test_imports")]
    return Problem(
        id=f"mbpp-{_number(row)}",
        text=text_column(row, "text", "prompt"),
        reference=code,
        tests=Tests(
            entry_point=_asked(code, asserts[0]) or str(row.values.get("entry_point", "")),
            hidden="\n".join([*(each for each in setup if each), *asserts]),
            public=tuple(asserts if variant == ALL else asserts[:1]),
        ),
    )


def _asked(code: str, test: str) -> str:
    """The function that the reference defines and the test calls; "" where either cannot be read."""
    try:
        made = {each.name for each in ast.parse(code).body if isinstance(each, ast.FunctionDef | ast.ClassDef)}
        called = [each.id for each in ast.walk(ast.parse(test)) if isinstance(each, ast.Name)]
    except (SyntaxError, ValueError):
        return ""
    return next((name for name in called if name in made), "")


def _make(rows: SetRows, variant: str) -> Task:
    return programming_task(
        "Write the Python function that the problem asks for, under the name that the tests call.",
        "what the function does",
        problems_of(rows, variant, _problem),
    )


SET = BenchmarkSet(
    name="mbpp",
    about="Short Python functions, to be written from a sentence.",
    source="Austin et al. 2021, Program Synthesis with Large Language Models: mbpp.jsonl or sanitized-mbpp.json",
    licence="CC BY 4.0",
    make=_make,
    variants=("", ALL),
    files={"test": ("mbpp.jsonl", "sanitized-mbpp.json")},
    hub="google-research-datasets/mbpp/full",
    metric="pass@1: the program passes all asserts of the problem, in the sandbox within 10 s of processor time and 256 MB; the first one is shown, in "
    "the variant all-asserts all of them, as its authors prompted",
    split="the publisher's, by task_id: 11–510 test, 511–600 val, 601–974 train; 1–10 are left out",
    divide=divide,
)
