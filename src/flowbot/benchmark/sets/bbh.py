"""BIG-Bench Hard: 27 tasks that took language models a chain of thought to solve (Suzgun et al. 2022)."""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from flowbot.task import Task
from flowbot.task.data import listed_rows, read_rows
from flowbot.task.row import Row

from .benchmark_set import BenchmarkSet, SetRows
from .read import column, json_list, task_rows, text_column, with_id
from .scorers.bbh import score
from .scorers.official import official

_YES_NO = ("Yes", "No")
_DEDUCE = "Deduce the order of the objects, and choose the statement that is true."
_FOLLOW = "Follow who has what through the exchanges, and choose what is asked for."
_BRACKETS = "Close the open brackets: give the missing closing ones in order, with a blank between them."
_FILM = "Choose the film that is most like the given ones; answer with its letter in brackets."
_RUIN = "Choose the humorous edit of the name that changes one letter; answer with its letter in brackets."
Answer = str | int | tuple[str, ...]
"""What a task's answers are: a type, the number of lettered options, or the labels."""
TASKS: Mapping[str, tuple[Answer, str]] = {
    "boolean_expressions": (("True", "False"), "Evaluate the Boolean expression."),
    "causal_judgement": (_YES_NO, "Answer the question about what caused what as a typical person would."),
    "date_understanding": (6, "Infer the date from what is told, and choose it."),
    "disambiguation_qa": (4, "Choose what the pronoun in the sentence refers to, or that it is ambiguous."),
    "dyck_languages": ("str", _BRACKETS),
    "formal_fallacies": (("valid", "invalid"), "Say whether the argument follows deductively from its premises."),
    "geometric_shapes": (11, "Choose the shape that the SVG path draws."),
    "hyperbaton": (2, "Choose the sentence whose adjectives are in the right order."),
    "logical_deduction_five_objects": (5, _DEDUCE),
    "logical_deduction_seven_objects": (7, _DEDUCE),
    "logical_deduction_three_objects": (3, _DEDUCE),
    "movie_recommendation": ("str", _FILM),
    "multistep_arithmetic_two": ("int", "Compute the value of the expression."),
    "navigate": (_YES_NO, "Say whether the instructions lead back to the starting point."),
    "object_counting": ("int", "Count the things that the question asks for."),
    "penguins_in_a_table": (5, "Answer the question about the table of penguins and what was changed in it."),
    "reasoning_about_colored_objects": (18, "Answer the question about the colours of the things that are described."),
    "ruin_names": ("str", _RUIN),
    "salient_translation_error_detection": (6, "Choose the kind of error in the translation from German."),
    "snarks": (2, "Choose the sarcastic sentence."),
    "sports_understanding": (("yes", "no"), "Say whether the sentence about sports is plausible."),
    "temporal_sequences": (4, "Choose the time in which the person could have gone there."),
    "tracking_shuffled_objects_five_objects": (5, _FOLLOW),
    "tracking_shuffled_objects_seven_objects": (7, _FOLLOW),
    "tracking_shuffled_objects_three_objects": (3, _FOLLOW),
    "web_of_lies": (_YES_NO, "Say whether the last person tells the truth."),
    "word_sorting": ("str", "Sort the words alphabetically; give them with a blank between them."),
}
"""Answers and goal of each. Two with options are texts all the same: one or two of their targets are no letter."""


def example_rows(path: Path) -> Sequence[Row]:
    """The rows of a publisher's file: a JSON object whose `examples` are the rows.

    Raises:
        UserError: naming the file, and the row.
    """
    examples = json_list(path, "examples")
    return read_rows(path) if examples is None else listed_rows(examples, f"{path}: examples")


def _fields(row: Row) -> dict[str, Any]:
    return with_id(row, {"input": text_column(row, "input"), "answer": column(row, "target", "answer")})


def _make(name: str, rows: SetRows, variant: str) -> Task:
    answer, goal = TASKS[name]
    if isinstance(answer, int):
        answer = tuple(f"({letter})" for letter in string.ascii_uppercase[:answer])
    kind = answer if isinstance(answer, str) else f"Literal{list(answer)}"
    return Task(
        goal=goal,
        inputs={"input": {"type": "str", "about": "the question"}},
        outputs={"answer": {"type": kind, "about": "the answer alone"}},
        metric=official("bbh", score, rule=1, pure=True) if kind == "str" else "exact",
        splits=task_rows(rows, _fields),
    )


SETS = [
    BenchmarkSet(
        name=f"bbh/{name}",
        about=goal,
        source=f"Suzgun et al. 2022, BIG-Bench Hard: {name}.json",
        licence="MIT",
        make=partial(_make, name),
        files={"test": (f"{name}.json",)},
        metric="the answer is the target, letter by letter",
        together=("input",),
        reader=example_rows,
    )
    for name, (_, goal) in TASKS.items()
]
