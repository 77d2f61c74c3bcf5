"""pydantic's findings as FlowBot's: the place in the file, what was found, what was expected."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from flowbot.fields import UserError, foreign
from flowbot.fields.foreign import MOST_FINDINGS, Place

from .defects import Defect
from .parameters import PARAMETERS

_FORMS = frozenset({"<test>", "<all>", "<any>", "<not>", "<else>", "<text>", "<place>", "<tuned>"})
"""Tags that pydantic puts into the place of an error in a condition, or a part of a prompt: they do not stand in the file."""
WHOLE = "workflow"
"""How a defect names the whole as its place."""


class FormatError(UserError):
    """Data is not in the format: names the first thing that is wrong and how many more there are.

    Args:
        where: the file, or what else the data is.
        defects: all that is wrong, each `where` a place in it; at least one, at most `MOST_FINDINGS`.
    """

    def __init__(self, where: str, defects: Sequence[Defect]) -> None:
        first = defects[0]
        capped = "at least " if len(defects) >= MOST_FINDINGS else ""
        more = f" (and {capped}{len(defects) - 1} more)" if len(defects) > 1 else ""
        place = where if first.where == WHOLE else f"{where}: {first.where}"
        super().__init__(place, what=first.what, mend=first.mend + more)
        self.defects = tuple(defects)


def findings(error: ValidationError) -> list[tuple[str, str, str]]:
    """What pydantic found as (place, found, expected), at most `MOST_FINDINGS`."""
    return foreign.findings(error, _place)


def explain(error: ValidationError) -> tuple[str, str, str]:
    """The first finding as (place, found, expected), and how many more there are."""
    return foreign.explain(error, _place)


def explained(error: ValidationError, place: str) -> PydanticCustomError:
    """A finding inside `place`, to be raised by a validator; `explain` reads it back."""
    within, found, expected = explain(error)
    context = {"place": f"{place}.{within}".rstrip("."), "found": found, "expected": expected}
    return PydanticCustomError("explained", "{place}: found {found}; expected {expected}", context)


def finding_defect(place: str, found: str, expected: str) -> Defect:
    """A finding as a defect; "" is the place of the whole."""
    return Defect(place or WHOLE, f"found {found}", f"expected {expected}")


def _place(place: Place, kind: str) -> str:
    steps = list(place[:-1] if kind in ("missing", "extra_forbidden") else place)
    text = ""
    for index, step in enumerate(steps):
        # The tag of a node's kind follows its name, or the member `node`; a node may well be named `code`.
        of_node = (index > 1 and steps[index - 2] == "nodes") or (index > 0 and steps[index - 1] == "node")
        if step in _FORMS or (of_node and step in PARAMETERS):
            continue
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return text
