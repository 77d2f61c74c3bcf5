"""The paper's protocol, by the product's own loop, in a simulated task: nothing is judged, validation after each batch chooses."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from flowbot.optimizer.belief import Belief
from flowbot.optimizer.bilevel import BATCH, Bilevel
from flowbot.optimizer.paper.edits import TRIES
from flowbot.optimizer.population import Candidate
from flowbot.optimizer.seams import Focus, Option, Proposal
from flowbot.run.events import Arm, Verdict
from simulate.product import Simulated
from simulate.world import Program, Task


@dataclass
class _Taken:
    """A proposer of changes that are taken as they are."""

    def learn(self, outcomes: Sequence[tuple[Candidate[Program], Verdict]]) -> None:
        """Nothing."""

    async def _seen(self, program: Program, focus: Focus, context: Simulated) -> list[int]:
        """The mistakes of the batch."""
        await context.run(program, focus.rows, "train")
        outcomes = context.population.outcomes(program)
        return [int(row) for row in focus.rows if not outcomes[row].score]


@dataclass
class Edits(_Taken):
    """Of the structure: feedback on every row of the batch, then edits by the critic, of what is offered and of what may be taken back."""

    def options(self, parent: Candidate[Program], context: Simulated) -> list[Option]:
        """One."""
        return [Option(Arm(kind="edits"), parent.program.hash, "edits", Belief(0.0, 0.0), cost=TRIES + BATCH)]

    async def propose(
        self, parent: Candidate[Program], focus: Focus, want: int, context: Simulated
    ) -> list[Proposal[Program]]:
        """One."""
        program = parent.program
        await self._seen(program, focus, context)
        context.pay(len(focus.rows) + 1)
        offered = [each.change for each in context.task.offers(program)]
        change = context.task.ballot(program, offered, context.rng(f"edits/{focus.draw}"))
        return [Proposal(context.task.apply(program, change), change, "meta")]


@dataclass
class Updates(_Taken):
    """Of the texts: feedback on every step of every run, then every step is written anew."""

    def options(self, parent: Candidate[Program], context: Simulated) -> list[Option]:
        """One."""
        calls = (BATCH + 1) * parent.program.cost
        return [
            Option(
                Arm(kind="layerwise"), parent.program.hash, "update", Belief(0.0, 0.0), cost=calls, level="parameters"
            )
        ]

    async def propose(
        self, parent: Candidate[Program], focus: Focus, want: int, context: Simulated
    ) -> list[Proposal[Program]]:
        """One."""
        program = parent.program
        wrong = await self._seen(program, focus, context)
        context.pay((len(focus.rows) + 1) * program.cost)
        made = context.task.instruct(program, context.rng(f"update/{focus.draw}"), wrong)
        return [Proposal(made, "update", "meta")]


def paper(task: Task, budget: int, seed: int) -> tuple[Program, int]:
    """The protocol of the FlowBot paper (arXiv 2604.26258), one epoch, or until the calls are used."""
    context = Simulated(task, budget, seed)
    found = asyncio.run(_walked(Bilevel(cast("Any", Edits()), cast("Any", Updates())), context))
    assert context.spent <= budget, (context.spent, budget)
    return found, context.spent


async def _walked(loop: Bilevel, context: Simulated) -> Program:
    of = cast("Any", context)
    start, rows = context.task.start, loop.opening(of)
    if context.calls_of(start) * len(rows) > context.left:
        return start
    await context.run(start, rows, "val")
    await loop.search(of)
    return cast("Program", (await loop.choose(of)).program)
