"""The methods by name, `OUTER[+INNER]`, as recipes of the seams; a user's own is an object, or an entry point.

    outer: flowbot (chooses by beliefs and votes), random (the control: any change is as likely, nothing is asked), paper, none
    inner: blame (demonstrations, rewrites and mended code of the step that is blamed), layerwise (the paper's), none

A package adds a method under the entry point group `flowbot.methods`: a name, and an object with the members of `Method`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Protocol, cast, runtime_checkable

from flowbot.fields import UserError
from flowbot.fields.near import one_of
from flowbot.fields.numbers import shown
from flowbot.runtime.program import WorkflowProgram

from .population import Candidate
from .seams import Context

GROUP = "flowbot.methods"
OUTERS = ("flowbot", "paper", "random", "none")
INNERS = ("blame", "layerwise", "none")
DEFAULT_INNER = {"flowbot": "blame", "paper": "layerwise", "random": "blame", "none": "blame"}


@dataclass(frozen=True, slots=True)
class Sizes:
    """What a search would work on.

    Args:
        train, val, test: rows of each split.
        start_calls: model calls an example of the start, judges included.
        effort: planned search calls.
    """

    train: int
    val: int
    test: int
    start_calls: int
    effort: int


class Loop(Protocol):
    """One search by a method: made anew for every run, so it may keep what it learns."""

    def opening(self, context: Context[WorkflowProgram]) -> Sequence[str]:
        """Ids of the rows that the start is run on before anything else."""
        ...

    async def search(self, context: Context[WorkflowProgram]) -> str:
        """Search; says why it stopped. What was adopted stands in the population at any time.

        Raises:
            BudgetExceeded: at a ceiling of the user's.
        """
        ...

    async def choose(self, context: Context[WorkflowProgram]) -> Candidate[WorkflowProgram]:
        """What is returned. A ceiling that ends it early leaves a choice all the same."""
        ...


@runtime_checkable
class Method(Protocol):
    """A recipe: what `optimize(method=…)` takes besides a name."""

    @property
    def name(self) -> str:
        """Part of the run's identity: two methods that propose or decide differently have different names."""
        ...

    def calls(self, sizes: Sizes) -> Mapping[str, int]:
        """Model calls by purpose (`train`, `val`, `gradients`, `proposals`) that the search takes at most; the closing test aside.
        Their sum is what is planned: the search stops there."""
        ...

    def loop(self, sizes: Sizes) -> Loop:
        """A new search."""
        ...


def find_method(method: object) -> Method:
    """The method of a name, or the object itself.

    Raises:
        UserError: for an unknown name, or an object that is no method.
    """
    if isinstance(method, str):
        return _named(method)
    if isinstance(method, type) or not isinstance(method, Method) or not isinstance(cast("object", method.name), str):
        raise UserError(
            "method",
            shown(method),
            "a name such as 'flowbot+blame', or an object with `name`, `calls(sizes)` and `loop(sizes)`",
        )
    return method


def _named(text: str) -> Method:
    own = {each.name: each for each in entry_points(group=GROUP)}
    outer, _, inner = text.partition("+")
    if text in own:
        return find_method(own[text].load())
    if outer not in OUTERS:
        raise UserError("method", shown(text), f"an outer strategy, {one_of(outer, (*OUTERS, *own))}")
    inner = inner or DEFAULT_INNER[outer]
    if inner not in INNERS:
        raise UserError("method", repr(inner), f"an inner strategy, {one_of(inner, INNERS)}")
    from .recipes import recipe

    return recipe(outer, inner)
