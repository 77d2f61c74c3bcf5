"""Asks the metric about answers whose worth is known: what the examples expect, what others expect, nothing at all.

What an example expects must score 1; what another expects, or an empty answer, should not, and must not make it raise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import TYPE_CHECKING, Any

from flowbot.fields import RefusedError, Type
from flowbot.task import Example, MetricError, Task
from flowbot.task.modules import own_line
from flowbot.task.quality import Remark, commonest, places, short

from .scoring import scored
from .trace import Trace

if TYPE_CHECKING:
    from .engine import Engine

MOST_ROWS = 1000
"""Rows that are scored; of more, so many, evenly spread."""
TRIED = 12
"""Rows that are scored with what another expects, and with an empty answer."""
JUDGED = 3
"""Rows that a judge's model is asked about."""
LOPSIDED = 0.6
"""Share of examples with the same expected outputs above which that is worth a word."""


@dataclass(frozen=True, slots=True)
class AnswerScore:
    """What the metric says of one answer; `score` is None where it raised, `said` is then the error."""

    example: Example
    score: float | None
    said: str


@dataclass(frozen=True, slots=True)
class Baseline:
    """What always giving the training examples' commonest answer scores.

    Args:
        outputs: that answer.
        share: of the training examples that expect it.
        mean: its score on validation and test.
        n: on so many examples.
    """

    outputs: Mapping[str, Any]
    share: float
    mean: float
    n: int


def known_answers(rows: Sequence[Example]) -> list[Example]:
    """The rows that expect something, at most `MOST_ROWS`."""
    return spread([example for example in rows if example.expected], MOST_ROWS)


def spread(rows: Sequence[Example], most: int) -> list[Example]:
    """At most `most` rows, evenly spread over all of them."""
    if len(rows) <= most:
        return list(rows)
    return [rows[index * len(rows) // most] for index in range(most)]


async def score_expected(engine: Engine, task: Task, rows: Sequence[Example]) -> list[AnswerScore]:
    """The score of what each row expects, given as a workflow's answer.

    Args:
        engine: what runs the metric; asks the models of judges.
        task: for its metric.
        rows: they expect something. Outputs that a row says nothing of are given as empty values.

    Raises:
        InfrastructureError, BudgetExceeded, Paused: if a judge's model cannot be asked.
    """
    return [await _said(engine, task, example, _whole(task, example.expected)) for example in rows]


async def score_baseline(
    engine: Engine, task: Task, train: Sequence[Example], held_out: Sequence[Example]
) -> Baseline | None:
    """What always giving the commonest answer scores; None where no answer occurs twice, there is nothing to score, or the metric fails.

    Raises:
        InfrastructureError, BudgetExceeded, Paused: as `score_expected`.
    """
    found = commonest(train)
    if found is None or found[1] * len(train) < 2:
        return None
    said = [await _said(engine, task, example, _whole(task, found[0])) for example in known_answers(held_out)]
    values = [row.score for row in said if row.score is not None]
    return Baseline(*found, fmean(values), len(values)) if values and len(values) == len(said) else None


async def telling_apart(engine: Engine, task: Task, rows: Sequence[Example]) -> list[Remark]:
    """Whether the metric tells wrong answers from right ones, and bears them.

    Args:
        engine, task: as for `score_expected`.
        rows: each is scored with what the next one expects that differs, and with empty values.

    Raises:
        InfrastructureError, BudgetExceeded, Paused: as `score_expected`.
    """
    others: list[AnswerScore] = []
    for index, example in enumerate(rows):
        around = [*rows[index + 1 :], *rows[:index]]
        other = next((each for each in around if each.expected != example.expected), None)
        if other is not None:
            others.append(await _said(engine, task, example, _whole(task, other.expected)))
    nothing = _whole(task, {})
    without = [
        await _said(engine, task, example, nothing)
        for example in rows
        if not example.expected or _whole(task, example.expected) != nothing
    ]
    remarks = [*_raising(others, "what another example expects"), *_raising(without, "empty values")]
    if len(others) > 1 and all(row.score == 1 for row in others):
        what = f"it gives 1 to what other examples expect too, on all {len(others)} rows that were tried"
        remarks.append(Remark("metric", what, "it tells nothing apart: compare the outputs with example.expected"))
        return remarks
    # Of a row without labels 0 or the first of some options may be the answer; an empty text is not.
    plainly = all(field.type.kind in ("str", "list", "object") for field in task.outputs)
    wrong = [row for row in without if plainly or row.example.expected]
    if len(wrong) > 1 and all(row.score == 1 for row in wrong):
        what = f"it gives 1 to empty values, on all {len(wrong)} rows that were tried"
        remarks.append(Remark("metric", what, "let an answer that says nothing score 0"))
    return remarks


def lopsided(baseline: Baseline) -> list[Remark]:
    """What is to be said of examples of which most expect the same."""
    if baseline.share < LOPSIDED:
        return []
    told = ", ".join(f"{name}: {short(value)}" for name, value in baseline.outputs.items())
    what = (
        f"{baseline.share:.0%} of the training rows expect the same ({told}); "
        f"always answering that scores {baseline.mean:.0%} on validation and test"
    )
    return [Remark("data", what, "judge scores against that; more rows of the rare kinds show more")]


def empty(kind: Type) -> Any:
    """The emptiest value of a type: `""`, 0, False, the first option, an empty list."""
    match kind.kind:
        case "str":
            return ""
        case "int":
            return 0
        case "float":
            return 0.0
        case "bool":
            return False
        case "literal":
            return kind.options[0]
        case "list":
            return []
        case "object":
            return {name: empty(member) for name, member in kind.members}


def _whole(task: Task, outputs: Mapping[str, Any]) -> dict[str, Any]:
    """The outputs, those that are missing as empty values: a workflow gives all of them."""
    return {field.name: outputs.get(field.name, empty(field.type)) for field in task.outputs}


async def _said(engine: Engine, task: Task, example: Example, outputs: Mapping[str, Any]) -> AnswerScore:
    # A person's words are on what a workflow answered; here they would only stand in the way.
    asked = replace(example, feedback="")
    try:
        score = await scored(engine, task, asked, Trace(example.id, example.inputs, (), outputs))
    except MetricError as error:
        line = own_line(error.__cause__) if error.__cause__ is not None else ""
        return AnswerScore(example, None, f"{error.message} ({line})" if line else error.message)
    except RefusedError as error:
        return AnswerScore(example, None, str(error))
    return AnswerScore(example, score.value, score.feedback)


def _raising(rows: Sequence[AnswerScore], what: str) -> list[Remark]:
    raised = [row for row in rows if row.score is None]
    if not raised:
        return []
    where = places([row.example for row in raised])
    return [
        Remark("metric", f"it fails on {what}: {raised[0].said} ({where})", "a run would pause there: let it score 0")
    ]
