"""IFEval and IFBench: prompts with instructions that code can check."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, cast

from flowbot.fields import UserError
from flowbot.fields.near import one_of
from flowbot.fields.yaml import parse_json
from flowbot.task import Task
from flowbot.task.row import Row

from .benchmark_set import BenchmarkSet, SetRows
from .read import column, task_rows, text_column, with_id
from .scorers.instructions import RESPONSE, Kind, checkers, follows_instructions, require_nltk_data

UNTAGGED = "untagged"
_TAGGED = "words:start_verb"


def _fields(kind: Kind, row: Row) -> dict[str, Any]:
    names, given = _listed(row, "instruction_id_list"), _listed(row, "kwargs")
    known = checkers(kind)
    for name in names:
        if name not in known:
            raise UserError(f"{row.place}: instruction_id_list", repr(name)[:80], one_of(str(name), list(known)))
    if not names or len(given) != len(names) or not all(isinstance(each, Mapping) for each in given):
        raise UserError(
            f"{row.place}: kwargs",
            f"{len(given)} for {len(names)} instructions",
            "an object for each, and an instruction",
        )
    made: list[Mapping[str, Any]] = [
        {name: value for name, value in each.items() if value is not None} for each in given
    ]
    fields = {"prompt": text_column(row, "prompt"), "instruction_id_list": names, "kwargs": made}
    return with_id(row, fields, "key")


def _listed(row: Row, name: str) -> list[Any]:
    value = column(row, name)
    value = parse_json(value, f"{row.place}: {name}") if row.texts and isinstance(value, str) else value
    if not isinstance(value, list):
        raise UserError(f"{row.place}: {name}", repr(value)[:60], "a list")
    return cast("list[Any]", value)


def _is_of(row: Row, variant: str) -> bool:
    """Whether a variant takes a row."""
    return variant != UNTAGGED or _TAGGED not in column(row, "instruction_id_list")


def _make(kind: Kind, rows: SetRows, variant: str) -> Task:
    splits = task_rows(rows, partial(_fields, kind))
    require_nltk_data(
        (name for each in splits.values() for row in each for name in row.values["instruction_id_list"]), kind
    )
    return Task(
        goal="Answer the prompt, and follow each of its instructions to the letter.",
        inputs={"prompt": {"type": "str", "about": "what is asked for, and how it must be written"}},
        outputs={RESPONSE: {"type": "str", "about": "the answer as it is to be read, and nothing else"}},
        metric=follows_instructions(kind),
        splits=splits,
    )


_METRIC = "all instructions of the prompt are followed to the letter (strict, prompt level); parts: loose, and the shares of instructions"

SETS = [
    BenchmarkSet(
        name="ifeval",
        about="Prompts with instructions on form that code can check, 25 kinds.",
        source="Zhou et al. 2023, Instruction-Following Evaluation for Large Language Models: input_data.jsonl",
        licence="Apache-2.0",
        make=partial(_make, "ifeval"),
        files={"test": ("input_data.jsonl", "ifeval_input_data.jsonl")},
        hub="google/IFEval",
        metric=_METRIC,
        together=("prompt",),
    ),
    BenchmarkSet(
        name="ifbench",
        about="Prompts with unusual instructions on form that code can check, 58 kinds.",
        source="Pyatkin et al. 2025, Generalizing Verifiable Instruction Following: IFBench_test.jsonl",
        licence="ODC-BY 1.0",
        make=partial(_make, "ifbench"),
        variants=("", UNTAGGED),
        files={"test": ("IFBench_test.jsonl",)},
        hub="allenai/IFBench_test",
        keeps=_is_of,
        metric=_METRIC + "; the variant untagged leaves out rows that need a tagger of NLTK's",
        together=("prompt",),
    ),
]
