"""The inputs that somebody hands a workflow by name: none unknown, none missing, each of its type."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flowbot.fields import Field, UserError
from flowbot.fields.near import nearest
from flowbot.task.examples import input_values
from flowbot.task.row import Row

WHERE = "inputs"


def named_inputs(values: Mapping[str, Any], fields: Sequence[Field]) -> dict[str, Any]:
    """The inputs as values of their types.

    Args:
        values: JSON values by name.
        fields: the workflow's inputs.

    Raises:
        UserError: naming one that is unknown, missing or of another type.
    """
    names = [field.name for field in fields]
    odd = [f"the unknown input {name}" + _meant(name, names) for name in values if name not in names]
    odd += [f"no {name}" for name in names if name not in values]
    if odd:
        raise UserError(WHERE, odd[0], "the inputs " + " ".join(f"{field.name}={field.type}" for field in fields))
    return input_values(Row(WHERE, values), fields)


def _meant(name: str, names: Sequence[str]) -> str:
    near = nearest(name, names)
    return f" (did you mean {near!r}?)" if near else ""
