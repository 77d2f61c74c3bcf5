"""What a method is: how many calls it plans, and the loop that searches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from flowbot.fields import UserError
from flowbot.fields.near import one_of
from flowbot.fields.numbers import is_number, shown
from flowbot.task import Task
from flowbot.workflow.workflow import Workflow

from .population import Candidate
from .seams import Context

PURPOSES = ("train", "val", "gradients", "proposals")
"""What the calls of a search are for: running programs on training or validation rows, feedback, new texts and structures."""


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

    def opening(self, context: Context) -> Sequence[str]:
        """Ids of the rows that the start is run on before anything else."""
        ...

    async def search(self, context: Context) -> str:
        """Search; says why it stopped. What was adopted stands in the population at any time.

        Raises:
            BudgetExceeded: at a ceiling of the user's.
        """
        ...

    async def choose(self, context: Context) -> Candidate:
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
        """Model calls by purpose (see `PURPOSES`) that the search takes at most; the closing test aside. Their sum is what is
        planned: `Context.left` counts it down, and the search stops there."""
        ...

    def loop(self, sizes: Sizes) -> Loop:
        """A new search."""
        ...


def follows_ability(method: Method, sizes: Sizes) -> bool:
    """Whether how a method asks the meta model follows what it is able to do, so that this is found out first: as the method says in a
    member `by_ability`, else where it plans to ask for feedback. Who asks for new texts alone, as a package does in its own words, asks
    everyone alike."""
    said: bool | None = getattr(method, "by_ability", None)
    return planned_by_purpose(method, sizes)["gradients"] > 0 if said is None else said


def gives_models(method: Method) -> bool:
    """Whether a method may give steps other models of the user's list: any may that does not say by `gives_models` that it never does."""
    return bool(getattr(method, "gives_models", True))


def by_score(method: Method) -> bool:
    """Whether a method says by `by_score` that it compares by score alone, whatever the objective."""
    return bool(getattr(method, "by_score", False))


def require_suited(method: Method, start: Workflow, task: Task) -> None:
    """Refuse a start from which a method can do nothing, before anything is paid for: as it says by a function `require`, if it has one.

    Raises:
        UserError: naming what is in the way.
    """
    require = getattr(method, "require", None)
    if require is not None:
        require(start, task)


def planned_by_purpose(method: Method, sizes: Sizes) -> dict[str, int]:
    """What a method plans, every purpose named.

    Raises:
        UserError: for a purpose that there is none of, or a number of calls that is none.
    """
    planned = {**dict.fromkeys(PURPOSES, 0), **method.calls(sizes)}
    for purpose, calls in planned.items():
        where = f"method {method.name}: calls"
        if purpose not in PURPOSES:
            raise UserError(where, shown(purpose), one_of(purpose, PURPOSES))
        if not is_number(calls) or calls < 0 or calls != int(calls):
            raise UserError(f"{where}[{purpose!r}]", shown(calls), "a whole number of calls, at least 0")
    return planned
