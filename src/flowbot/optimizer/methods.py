"""The methods by name: `OUTER[+INNER]`, and the schedule that goes with each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

from flowbot.fields import UserError
from flowbot.fields.near import one_of
from flowbot.fields.numbers import shown

from .effort import Effort

if TYPE_CHECKING:
    from flowbot.task import Example

    from .bilevel import Schedule
    from .inner import Inner
    from .outer import Outer

MethodName = Literal[
    "flowbot+blame", "flowbot+layerwise", "flowbot+none", "paper+layerwise", "paper+blame", "paper+none",
    "random+blame", "random+layerwise", "random+none", "none+blame", "none+layerwise", "none+none",
    "flowbot", "paper", "random", "none",
]  # fmt: skip
"""All methods; an outer strategy alone takes the inner one of `DEFAULT_INNER`."""
OUTERS = ("flowbot", "paper", "random", "none")
INNERS = ("blame", "layerwise", "none")
DEFAULT_INNER = {"flowbot": "blame", "paper": "layerwise", "random": "blame", "none": "blame"}
PAPER_BATCH = 5
PAPER_LOOPS = 2
PAPER_INNER_STEPS = 5


@dataclass(frozen=True, slots=True)
class Method:
    """An outer and an inner strategy by name."""

    outer: str
    inner: str

    def __str__(self) -> str:
        return f"{self.outer}+{self.inner}"

    @staticmethod
    def parse(text: str) -> Method:
        """Read `OUTER` or `OUTER+INNER`; without an inner part each outer strategy has its own.

        Raises:
            UserError: for a name that is not known.
        """
        outer, _, inner = text.partition("+") if isinstance(cast("object", text), str) else ("", "", "")
        if outer not in OUTERS:
            raise UserError("method", shown(text), f"an outer strategy, {one_of(outer, OUTERS)}")
        inner = inner or DEFAULT_INNER[outer]
        if inner not in INNERS:
            raise UserError("method", repr(inner), f"an inner strategy, {one_of(inner, INNERS)}")
        return Method(outer, inner)

    def build_outer(self) -> Outer:
        """The outer strategy."""
        if self.outer == "paper":
            from .outer.paper import PaperOuter

            return PaperOuter()
        if self.outer == "none":
            from .none import Nothing

            return Nothing()
        from .outer.flowbot import Choosing

        return Choosing(by="chance" if self.outer == "random" else "votes")

    def build_inner(self) -> Inner:
        """The inner strategy."""
        if self.inner == "layerwise":
            from .inner.layerwise import Layerwise

            return Layerwise()
        if self.inner == "none":
            from .none import Nothing

            return Nothing()
        from .inner.blame import Blame

        return Blame()

    def schedule(self, train: Sequence[Example], effort: Effort) -> Schedule:
        """The schedule: the paper's protocol with `paper` on either side, else by effort."""
        from .bilevel import Schedule

        if self.outer == "paper" or self.inner == "layerwise":
            batches = [train[start : start + PAPER_BATCH] for start in range(0, len(train), PAPER_BATCH)]
            return Schedule(batches, PAPER_LOOPS, PAPER_INNER_STEPS, validate=True)
        return Schedule([train], effort.rounds, effort.inner_steps, validate=False)
