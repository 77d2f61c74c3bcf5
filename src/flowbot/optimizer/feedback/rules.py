"""Which step a failing run speaks against, where that can be seen without a question."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from flowbot.optimizer.inside import Inside
from flowbot.runtime.evaluation import Row
from flowbot.runtime.program import WorkflowProgram
from flowbot.runtime.trace import Step
from flowbot.task import Metric
from flowbot.workflow.scope import Scope

from .links import givers, links_of
from .loss import wrong_outputs
from .question import passed_on

FEWEST_LETTERS = 4
"""Of a text that is recognised within another one."""
_WORD = re.compile(r"\w+")


def blamed_by_rule(
    program: WorkflowProgram, row: Row, metric: Metric, suspects: Collection[str]
) -> tuple[str, str] | None:
    """The address of the call that a failing run speaks against, and why; None where that cannot be seen.

    In this order: the step that failed, or the only one that gave it what it failed on; the only suspect that the result
    rests on; the last step, where another step gave it the right answer, of labels no other one besides, and it gave another.

    Args:
        program: what was run.
        row: a failing run, as it is told.
        metric: the task's.
        suspects: paths of the steps that may be to blame.
    """
    steps = {step.address: step for step in row.trace.steps}
    ended = Inside(row.trace).ends(row.trace.error.partition(": ")[0])  # of a program the call in it that failed
    failed = steps.get(ended[0]) if len(ended) == 1 else None
    if failed is not None:
        if may_be_blamed(failed, suspects):
            return failed.address, "it failed"
        given = {address for _, address, _ in givers(program, row, failed)}
        if len(given) != 1 or not may_be_blamed(steps[(giver := given.pop())], suspects):
            return None
        return giver, f"`{failed.address}` failed on what it gave"
    linked = links_of(program, row)
    ran = [address for address in linked if may_be_blamed(steps[address], suspects)]
    if len({steps[each].slots for each in ran}) == 1:
        return ran[-1], "the only step that the result rests on and that may be changed"
    last = {_missed(program, row, output, steps, suspects) for output in wrong_outputs(row, metric)}
    found = last.pop() if len(last) == 1 else None
    return None if found is None else (found, "it was given the right answer and gave another")


def may_be_blamed(step: Step, suspects: Collection[str]) -> list[str]:
    """The suspects that a call is one of, or uses the texts of."""
    return [each for each in step.slots if each in suspects]


def _missed(
    program: WorkflowProgram, row: Row, output: str, steps: dict[str, Step], suspects: Collection[str]
) -> str | None:
    """The call that gave an output and had the right answer before it, from another call."""
    right = row.example.expected.get(output)
    linked = links_of(program, row)
    step = next(
        (
            steps[address]
            for address, links in linked.items()
            if any(each.part == output and each.how == "end" for each in links)
        ),
        None,
    )
    while step is not None and not may_be_blamed(step, suspects):
        direct = passed_on(program, row, step) or []
        given = [address for name, address, taken in givers(program, row, step) if taken and f"in.{name}" in direct]
        step = steps[given[0]] if len(given) == 1 else None
    if step is None or any(stands_in(right, value) for value in (step.outputs or {}).values()):
        return None
    given = [step.inputs.get(name) for name in {name for name, _, _ in givers(program, row, step)}]
    kind = Scope.of(program.workflow.sketch).type_of(program.workflow.sketch.outputs[output])
    others = [each for each in (kind.options if kind else ()) if each != right]
    if any(stands_in(each, value) for each in others for value in given):
        return None  # what names several labels, as what weighs them does, is no answer
    return step.address if any(stands_in(right, value) for value in given) else None


def stands_in(right: Any, value: Any) -> bool:
    """Whether a right answer stands in a value: a text word for word, a number of two digits or more as it is. A truth value, a
    digit or a text of few letters that stands somewhere says nothing."""
    if isinstance(right, bool) or right is None:
        return False
    if isinstance(right, int | float):
        digits = str(right).removesuffix(".0").lstrip("-")
        return not isinstance(value, bool) and right == value and len(digits) > 1
    if not isinstance(right, str):
        return bool(right) and right == value
    words, given = _words(right), _words(value) if isinstance(value, str) else ""
    return len(words) >= FEWEST_LETTERS and f" {words} " in f" {given} "


def _words(text: str) -> str:
    return " ".join(_WORD.findall(text.casefold()))
