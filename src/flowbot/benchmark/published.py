"""Figures that others published, to stand beside ours: in the bench file under `published`, by a name for each column.

    published:
      FlowBot (paper):
        model: gpt-4.1-mini
        source: arXiv 2604.26258, table 1
        scores: {hotpotqa: 72.8, ifbench: 52.5}          # in percent, by the task's name in this file

They enter no statistic and no rank of what was measured here: others' rows, prompts and scoring are never quite ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from flowbot.fields import UserError
from flowbot.fields.foreign import Closed, checked, short

Text = Annotated[str, StringConstraints(strict=True, strip_whitespace=True, min_length=1, max_length=300)]
Percent = Annotated[float, Field(strict=True, ge=0, le=100, allow_inf_nan=False)]


class Published(Closed):
    """A column of published figures.

    Args:
        name: what its heading says; its key in the file.
        model: that it was measured with.
        source: where it stands: a paper and its table.
        scores: by task, in percent.
        note: what else is to be known of it, as how many rows it is of.
    """

    name: Text
    model: Text
    source: Text
    scores: Annotated[dict[Text, Percent], Field(min_length=1, max_length=1000)]
    note: Text | None = None


def read_published(data: Any, where: str = "published") -> tuple[Published, ...]:
    """The columns of a bench file.

    Args:
        data: what stands under `published`; None for nothing.
        where: how errors name the place.

    Raises:
        UserError: if it is not as the module's first lines show, a figure is not in percent, or a source is missing.
    """
    if data is None:
        return ()
    if not isinstance(data, Mapping):
        raise UserError(where, short(data), "columns by name, each with model, source and scores")
    return tuple(_column(name, each, f"{where}.{name}") for name, each in data.items())  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]


def _column(name: str, data: Any, where: str) -> Published:
    column = checked(Published, {**data, "name": name} if isinstance(data, dict) else data, where)
    if max(column.scores.values()) <= 1 and any(0 < each < 1 for each in column.scores.values()):
        raise UserError(f"{where}.scores", "no figure above 1", "percent, as 72.8 and not 0.728")
    return column
