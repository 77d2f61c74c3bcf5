"""Which expected outputs a metric needs, and whether the rows have them."""

from __future__ import annotations

from collections.abc import Sequence

from flowbot.fields import Field, UserError

from .example import Example
from .faults import RAISED, Faults
from .metrics import Metric, Part, parts_of

UNLABELLED = "; without labels, a judge (metric: {judge: {rubric: TEXT}}) or a function of your own can score"


def check_labels(rows: Sequence[Example], outputs: Sequence[Field], metric: Metric, faults: Faults = RAISED) -> None:
    """What each part of a metric compares must be there in every row; what a user's function sees, in every row or none.

    A judge is shown the expected outputs that there are, and needs none.

    Args:
        rows: the examples of all splits.
        outputs: of the task.
        metric: of the task.
        faults: where the faults of single rows go.

    Raises:
        UserError: naming the row and what is missing in it, or the part that is on what is no output.
    """
    names = [field.name for field in outputs]
    for name, part in parts_of(metric).items():
        strange = next((each for each in part.on if each not in names), None)
        if strange is not None:
            raise UserError(f"metric.parts.{name}.on", repr(strange), f"an output of the task: {', '.join(names)}")
        if part.metric.judge is None:
            _check_part(rows, part, part.on or names, f" in part {name}" if name else "", faults)


def _check_part(rows: Sequence[Example], part: Part, names: Sequence[str], where: str, faults: Faults) -> None:
    labels = [[name for name in names if name in row.expected] for row in rows]
    full = {name: row for row, given in zip(rows[::-1], labels[::-1], strict=True) for name in given}
    for row, given in zip(rows, labels, strict=True):
        with faults:
            if part.metric.built_in and (not given or (part.on and len(given) < len(names))):
                lacks = [repr(name) for name in names if name not in given]
                what = (" and " if part.on else " or ").join(lacks)
                raise UserError(
                    row.place,
                    f"no {what}",
                    f"a value to compare with, for the metric {part.metric.name}{where}{UNLABELLED}",
                )
            missing = [name for name in names if name in full and name not in given]
            if missing:
                lacks = ", ".join(map(repr, missing))
                raise UserError(row.place, f"no {lacks}", f"a value, as in {full[missing[0]].place}")
