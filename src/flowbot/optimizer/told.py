"""What a question to the meta model tells of a mistake, and the two controls that show what it is worth.

`shuffled` tells what was expected and said of another mistake of the same program, one of which something else was expected, and
leaves what went right as it is; `blind` tells neither of any, and of its score only whether it is the best. Both ask the same questions as `real`, as far as one does not follow from what was told before.
"""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from dataclasses import replace
from random import Random

from flowbot.fields import Score
from flowbot.runtime.evaluation import Row

from .feedback.runs import PERFECT
from .seams import FeedbackMode


def as_told(
    rows: Sequence[Row], others: Sequence[Row], mode: FeedbackMode, seed: int, told: MutableMapping[str, Row]
) -> list[Row]:
    """Recorded runs as a question shows them.

    Args:
        rows: the runs.
        others: the mistakes of the same program, from which `shuffled` takes; without another one nothing is told.
        mode: see `FeedbackMode`.
        seed: of the run.
        told: by the id of each row of the program the mistake that was told of it: it is told again, whatever was run since. Added to.
    """
    if mode == "real":
        return list(rows)
    return [_shuffled(row, others, seed, told) if mode == "shuffled" else _blind(row) for row in rows]


def _shuffled(row: Row, others: Sequence[Row], seed: int, told: MutableMapping[str, Row]) -> Row:
    if row.score.value >= PERFECT:
        return row
    name = row.example.id
    if name not in told:
        different = [each for each in others if each.example.expected != row.example.expected]
        if not different:
            return _blind(row)
        told[name] = Random(f"{seed}/told/{name}").choice(different)
    other = told[name]
    example = replace(row.example, expected=other.example.expected, feedback=other.example.feedback)
    return replace(row, example=example, score=other.score)


def _blind(row: Row) -> Row:
    score = Score(float(row.score.value >= PERFECT))
    return replace(row, example=replace(row.example, expected={}, feedback=""), score=score)
