"""What a program did on made-up replies, as its process tells it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal, cast

from flowbot.fields.foreign import Closed

Deed = Literal["connects", "starts", "writes"]


class Touched(Closed):
    """Something that a program did past the tap.

    Args:
        deed: what.
        what: the host, the command or the file.
        where: `FILE:LINE` of the program's own code, "" where none of it ran.
    """

    deed: Deed
    what: str
    where: str


class Asked(Closed):
    """A request to a model.

    Args:
        scope: the steps that it was made in, as `plan/ask`.
        model: the name that it asks for.
        body: of it.
    """

    scope: str
    model: str
    body: Mapping[str, Any]


class Run(Closed):
    """A program run once.

    Args:
        example: its place in the data.
        marked: whether each text stood between marks.
        asked: its requests, in order.
        texts, values: names of those that were read.
        turns: names of the texts whose worked examples were read as turns.
        touched: what it did past the tap.
        lacks: outputs of several that its result does not name.
        error: what it raised, with its place; "" where it ended.
    """

    example: str
    marked: bool
    asked: tuple[Asked, ...] = ()
    texts: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    turns: tuple[str, ...] = ()
    touched: tuple[Touched, ...] = ()
    lacks: tuple[str, ...] = ()
    error: str = ""


class Declared(Closed):
    """A text or a value of the program.

    Args:
        name, default, where: as it stands in the source.
        turns: whether worked examples of it are sent as turns.
    """

    name: str
    default: Any
    where: str
    turns: bool = False


class Observed(Closed):
    """All that one process saw.

    Args:
        texts, values: what the program declares.
        runs: in order.
        again: the first of them once more, after all others; None where there was none.
        takes: the program's parameters by name, and whether each must be given.
        takes_any: whether it takes others besides.
        fault: why nothing could be run; "" where it could.
    """

    texts: tuple[Declared, ...] = ()
    values: tuple[Declared, ...] = ()
    runs: tuple[Run, ...] = ()
    again: Run | None = None
    takes: Mapping[str, bool] = {}
    takes_any: bool = False
    fault: str = ""


def marks(name: str) -> tuple[str, str]:
    """What stands before and behind a text that is looked for: letters and digits that no template, quoting or change of case touches."""
    return f"zq{name.lower()}from ", f" zq{name.lower()}till"


def turn_marks(name: str) -> tuple[str, str]:
    """The same of a turn of that text."""
    return marks(f"{name}turn")


def said(asked: Asked) -> str:
    """All texts of a request, one a line."""
    return "\n".join(_texts(asked.body))


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in cast("dict[str, object]", value).values():
            yield from _texts(each)
    elif isinstance(value, list):
        for each in cast("list[object]", value):
            yield from _texts(each)
