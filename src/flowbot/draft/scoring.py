"""The metric and the goal that go with a task's fields."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flowbot.fields import Field
from flowbot.task import Example
from flowbot.task.numerals import is_amount

from .columns import SQL
from .names import words

UNFINISHED = "Say here in your own words what"
"""How the part of a drafted rubric begins that is the user's to write."""
RUBRIC = (
    "The {outputs} does what the goal asks of the {inputs}. It is right, complete and to the point; nothing is made up.\n"
    "(" + UNFINISHED + " a good {outputs} has, and what makes one bad.)"
)
"""The judge's rubric of a task without labels, for the user to finish."""
_GENERAL = frozenset(("answer", "label", "output", "target", "class", "category", "gold", "expected", "result", "y"))
_ANSWERS = frozenset(
    ("expected", "ground truth", "ground truths", "reference", "ideal", "gold", "target", "y", "annotation", "chosen")
)
"""Names of answers that say nothing to a model."""
_MOST_MEMBERS = 6
_SHORT = 6
"""Words on average up to which an answer is a name or a phrase, not a text."""


def metric_of(outputs: Sequence[Field], rows: Sequence[Example], *, labelled: bool) -> tuple[Any, str]:
    """A metric as it stands in a task file, and why this one."""
    if not labelled:
        named = _spoken([field.name for field in outputs])
        rubric = RUBRIC.format(outputs=named, inputs=_spoken(list(rows[0].inputs) if rows else ["input"]))
        return {"judge": {"rubric": rubric}}, (
            "there are no labels to compare with: a model judges by a rubric, which you must finish in task.yaml"
        )
    kinds = {field.type.kind for field in outputs}
    if kinds & {"list", "object"}:
        said = "lists and objects: the share of their parts that are right"
        labelled_lists = any("list[Literal[" in str(field.type) for field in outputs)
        order = (
            "lists of labels in any order (list[str] where the order counts)"
            if labelled_lists
            else "lists item by item in order"
        )
        return "json_fields", f"{said}, {order}"
    if kinds <= {"int", "float"}:
        return "numeric", "numbers: right or wrong"
    if "str" not in kinds:
        return ("numeric" if "float" in kinds and kinds <= {"int", "float"} else "exact"), "labels: right or wrong"
    texts = [text for row in rows for field in outputs if isinstance(text := row.expected.get(field.name), str)]
    if texts and all(SQL.match(text) for text in texts):
        return "f1", (
            "queries, compared word by word; better is a metric of your own that runs both and compares what they find "
            "(metric: metrics.py:score)"
        )
    if texts and kinds <= {"str", "int", "float"} and all(is_amount(text) for text in texts):
        return "numeric", "amounts: the number must be right, and the currency or percent where one is given"
    if sum(len(text.split()) for text in texts) <= _SHORT * len(texts):
        return "normalised", (
            "short texts: right or wrong, apart from case, punctuation and articles; numbers, amounts and dates by value"
        )
    return "f1", (
        "longer texts, by the words that they share; where many wordings are right a judge serves better "
        "(metric: {judge: {rubric: ...}})"
    )


def goal_of(inputs: Sequence[Field], outputs: Sequence[Field], *, labelled: bool) -> str:
    """A sentence that says what is wanted, as far as names can."""
    given = _spoken([field.name for field in inputs])
    members = [name for name, _ in outputs[0].type.members] if len(outputs) == 1 else []
    wanted = _spoken(members if 1 <= len(members) <= _MOST_MEMBERS else [field.name for field in outputs])
    if wanted in _ANSWERS:
        wanted = "answer"
    if all(field.type.kind in ("literal", "bool") for field in outputs):
        return f"Classify the {given}." if wanted in _GENERAL else f"Classify the {given}: find the {wanted}."
    return f"Given the {given}, {'find' if labelled else 'write'} the {wanted}."


def _spoken(names: Sequence[str]) -> str:
    said = [" ".join(words(name)) or name for name in names]
    return said[0] if len(said) == 1 else f"{', the '.join(said[:-1])} and the {said[-1]}"
