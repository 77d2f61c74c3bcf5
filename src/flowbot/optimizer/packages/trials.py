"""What a published optimiser may do with our programs: run them, ask the meta model, say what it tried. It waits, in its own thread.

The ceiling is here and not in the package: nothing is begun that may pass what is left, and then the package is left.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from flowbot.fields import ModelError, RefusedError
from flowbot.lm.client import Message, Request
from flowbot.optimizer.admission import Admissions, admitted
from flowbot.optimizer.population import Candidate
from flowbot.optimizer.scored import scored
from flowbot.optimizer.seams import Context, Pick, Proposal
from flowbot.runtime.evaluation import Row
from flowbot.runtime.program import WorkflowProgram

from .bridge import Bridge, Left

PURPOSE = "proposals"
MAX_TOKENS = 2000
"""Of a reply of the meta model."""
WARM = 1.0
"""Temperature of its replies, as both packages ask for."""


@dataclass(slots=True)
class Trials:
    """One run of a package.

    Args:
        bridge: to the event loop.
        context: of the search.
        start: what is tuned.
        train: ids of the rows that it may learn from and show.
        val: ids of those that it chooses by.
        pick: what it was asked for, on `start`.
        seed: of its choices.
        most: calls that it may take, counted by their worst case, which no proposal that is made beside it can change; None: all
            that is left of the plan.
        journal: where all that it tries is written down; None: only its best will be.
    """

    bridge: Bridge
    context: Context
    start: Candidate
    train: Sequence[str]
    val: Sequence[str]
    pick: Pick
    seed: int
    most: float | None = None
    journal: Admissions | None = None
    best: Candidate | None = None
    """The best on `val` so far, the earliest of equals; None where none is better than the start."""
    taken: float = 0.0
    """Calls that were begun, at their worst case."""
    asked: int = 0
    """Questions to the meta model so far."""
    _paid: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    """Programs and rows that take no call any more. What others run beside it does not count: when they end is chance."""

    def __post_init__(self) -> None:
        program = self.start.program
        self._paid.update((program.hash, row) for row in self.context.population.outcomes(program))

    @property
    def left(self) -> float:
        """Calls that may be begun."""
        return self.context.left if self.most is None else self.most - self.taken

    @property
    def chooses_by_training(self) -> bool:
        """Whether the rows that it chooses by are those that it learns from."""
        return set(self.val) <= set(self.train)

    def cost(self, rows: int) -> float:
        """Calls that running a program on so many rows takes at most; all that a package makes take as many."""
        return rows * self.context.calls_of(self.start.program)

    def run(self, program: WorkflowProgram, rows: Sequence[str]) -> list[Row | None]:
        """How a program does on rows, None for one that an endpoint refuses.

        Raises:
            Left: if that may pass what is left, or fails.
        """
        return self.bridge.wait(lambda: self._run(program, rows))

    def ask(self, messages: Sequence[Message], schema: Mapping[str, Any] | None = None) -> str:
        """A reply of the meta model, each time another one; "" where it gives none.

        Raises:
            Left: if there is no call left, or it fails.
        """
        return self.bridge.wait(lambda: self._ask(messages, schema))

    def proposed(self, parent: Candidate, proposal: Proposal) -> Candidate | None:
        """The candidate that a proposal makes, journalled; None where it has no other program than its parent's."""
        return self.bridge.wait(lambda: self._proposed(parent, proposal))

    def decided(self, candidate: Candidate, rows: Sequence[str], rule: str, *, kept: bool) -> None:
        """Journal what became of a candidate, beside its parent on rows; one that is kept was run on all of `val`."""
        self.bridge.wait(lambda: self._decided(candidate, rows, rule, kept))

    def mean(self, candidate: Candidate) -> float:
        """Its score on `val`, as far as it was run there."""
        scores = self.context.population.scores(candidate.program, self.val)
        return math.fsum(scores) / len(scores) if scores else 0.0

    def close(self) -> None:
        """What is open is set aside: there was no call left to decide of it. On the loop, after the package."""
        for each in self.context.population.open if self.journal is not None else ():
            self._compared(each, (), "set aside", "unfinished")

    async def _run(self, program: WorkflowProgram, rows: Sequence[str]) -> list[Row | None]:
        due = {(program.hash, each) for each in rows} - self._paid
        self._take(len(due) * self.context.calls_of(program))
        self._paid |= due
        for purpose, ids in (("train", set(self.train)), ("val", set(self.val) - set(self.train))):
            await self.context.run(program, [each for each in rows if each in ids], purpose)
        found = {row.example.id: row for row in self.context.recorded(program, rows)}
        return [found.get(each) for each in rows]

    async def _ask(self, messages: Sequence[Message], schema: Mapping[str, Any] | None) -> str:
        self._take(1)
        self.asked += 1
        self.context.watch.step("a question of the package to the meta model")
        try:
            return await self.context.ask(Request(tuple(messages), MAX_TOKENS, WARM, schema), PURPOSE, self.asked)
        except (ModelError, RefusedError):
            return ""

    def _take(self, calls: float) -> None:
        if calls > self.left:
            raise Left
        self.taken += calls

    async def _proposed(self, parent: Candidate, proposal: Proposal) -> Candidate | None:
        if self.journal is not None:
            return self.journal.admitted(self.context, replace(self.pick, parent=parent), proposal)
        if proposal.program is None or proposal.program.hash == parent.program.hash:
            return None
        return admitted("", self.pick, proposal, proposal.program, parent)

    async def _decided(self, candidate: Candidate, rows: Sequence[str], rule: str, kept: bool) -> None:
        if self.journal is not None:
            self._compared(candidate, rows, "adopt" if kept else "drop", rule)
            if kept:
                self.context.record(scored(self.context, candidate.program, "val", self.val))
        if kept and self.mean(candidate) > self.mean(self.best or self.start):
            self.best = candidate
            if self.journal is not None:
                self.context.population.incumbent = candidate

    def _compared(
        self, candidate: Candidate, rows: Sequence[str], decision: Literal["adopt", "drop", "set aside"], rule: str
    ) -> None:
        assert self.journal is not None
        pairs = self.context.population.pairs(candidate, dict.fromkeys(rows), shown=True)
        self.journal.compared(self.context, candidate, decision, rule, pairs)
