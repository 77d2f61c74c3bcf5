"""The neutral rule lines that FlowBot comes with, shipped as `rules.json`, and what kinds of outputs a step gives."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from flowbot.fields.yaml import read_data
from flowbot.optimizer.seams import Context
from flowbot.optimizer.step_view import step_at
from flowbot.runtime.program import WorkflowProgram

from .step_change import task_outputs

MOST_LABELS = 12
"""Different values up to which expected texts are labels."""


class RuleLine(NamedTuple):
    """One line: for which kinds of outputs (all, where none is named), and the words of which one says that it is said already."""

    line: str
    kinds: Sequence[str] = ()
    words: Sequence[str] = ()


@cache
def shipped_lines() -> tuple[RuleLine, ...]:
    """The lines that FlowBot comes with."""
    return tuple(RuleLine(**each) for each in read_data(Path(__file__).parents[1] / "rules.json")["lines"])


def neutral_lines(kinds: frozenset[str], told: str) -> list[str]:
    """The lines that a step with outputs of these kinds may be told, those left out that what it is told says already."""
    folded = told.casefold()
    return [
        each.line
        for each in shipped_lines()
        if (not each.kinds or kinds.intersection(each.kinds)) and not any(word in folded for word in each.words)
    ]


def labels_of(context: Context, program: WorkflowProgram, path: str) -> dict[str, list[str]]:
    """The labels of each output of the task that a step gives and that takes one of a few values, the commonest first."""
    found: dict[str, list[str]] = {}
    gives = task_outputs(context, program, path)
    for output, name in gives.items():
        values = [str(each.expected[name]) for each in context.task.splits["train"] if name in each.expected]
        counts = Counter(values)
        if 2 <= len(counts) <= min(MOST_LABELS, len(values) // 2) and not any("\n" in each for each in counts):
            kind = next(each.type.kind for each in context.task.outputs if each.name == name)
            if kind in ("str", "literal", "bool"):
                found[output] = [label for label, _ in counts.most_common()]
    return found


def output_kinds(context: Context, program: WorkflowProgram, path: str) -> frozenset[str]:
    """The kinds of what a step gives; `label` for one of a few values."""
    step = step_at(program.workflow, path)
    if step.ways:
        return frozenset({"label"})
    labels = labels_of(context, program, path)
    return frozenset("label" if each in labels or kind == "literal" else kind for each, kind in step.kinds().items())
