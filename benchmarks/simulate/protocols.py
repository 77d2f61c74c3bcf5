"""The FlowBot paper's protocol and AFlow's search, by the product's own loops, in a simulated task."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

from flowbot.optimizer.aflow.tree import Tree
from flowbot.optimizer.belief import Belief
from flowbot.optimizer.bilevel import BATCH, Bilevel
from flowbot.optimizer.confirm import AsAdopted, Confirm, few
from flowbot.optimizer.editing import TRIES
from flowbot.optimizer.judge import PosteriorJudge
from flowbot.optimizer.method import Loop
from flowbot.optimizer.planner import Bandit
from flowbot.optimizer.pool_method import PoolLoop
from flowbot.optimizer.population import Candidate
from flowbot.optimizer.seams import Focus, Option, Pick, Proposal
from flowbot.optimizer.tuned import Tuner
from flowbot.run.events import Arm
from simulate.product import Simulated, Structures, Texts
from simulate.world import Program, Task


class Edits:
    """Of the structure: feedback on every row of the batch, then edits by the critic, of what is offered and of what may be taken back."""

    def options(self, parent: Candidate[Program], context: Simulated) -> list[Option]:
        """One."""
        return [Option(Arm(kind="edits"), parent.program.hash, "edits", Belief(0.0, 0.0), cost=TRIES + BATCH)]

    async def propose(
        self, parent: Candidate[Program], focus: Focus, want: int, context: Simulated
    ) -> list[Proposal[Program]]:
        """One."""
        program = parent.program
        await context.run(program, focus.rows, "train")
        context.pay(len(focus.rows) + 1)
        offered = [each.change for each in context.task.offers(program)]
        change = context.task.ballot(program, offered, context.rng(f"edits/{focus.draw}"))
        return [Proposal(context.task.apply(program, change), change, "meta")]


class Updates:
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
        await context.run(program, focus.rows, "train")
        outcomes = context.population.outcomes(program)
        wrong = [int(row) for row in focus.rows if not outcomes[row].score]
        context.pay((len(focus.rows) + 1) * program.cost)
        made = context.task.instruct(program, context.rng(f"update/{focus.draw}"), wrong)
        return [Proposal(made, "update", "meta")]


@dataclass
class Writer:
    """AFlow's author: one change by the critic, of what is offered and was not tried on the parent."""

    _tried: set[str] = field(default_factory=set[str])

    def offers(self, parent: Candidate[Program], context: Simulated) -> list[Option]:
        """As of `aflow.author`."""
        options = Structures().options(parent, context)
        return [replace(each, cost=each.cost + TRIES) for each in options if each.key not in self._tried]

    async def modified(
        self, parent: Candidate[Program], offers: Sequence[Option], tried: Sequence[str], context: Simulated
    ) -> tuple[Pick[Program], Proposal[Program]]:
        """One; another one, up to `TRIES`, where a candidate has that structure."""
        known = {each.program.structure for each in context.population.members}
        left, paid = list(offers), 0
        while True:
            rng = context.rng(f"author/{len(self._tried)}")
            change = context.task.ballot(parent.program, [each.title for each in left], rng)
            option = next(each for each in left if each.title == change)
            left.remove(option)
            self._tried.add(option.key)
            context.pay(1)
            paid += 1
            made = context.task.apply(parent.program, change)
            pick = Pick(parent, cast("Any", self), Focus(option, 0, option.prior, option.prior))
            if made.structure not in known:
                context.pay(option.cost - TRIES)  # for its code
                return pick, Proposal(made, change, "meta")
            if not left or paid == TRIES:
                return pick, Proposal(None, change, "meta", faults=("that was tried",))


def paper(task: Task, budget: int, seed: int) -> tuple[Program, int]:
    """The protocol of the FlowBot paper (arXiv 2604.26258), one epoch, or until the calls are used."""
    return _run(Bilevel(cast("Any", Edits()), cast("Any", Updates())), task, budget, seed)


def aflow(task: Task, budget: int, seed: int, tuned: bool = False) -> tuple[Program, int]:
    """AFlow's search (arXiv 2410.10762) as FlowBot has it, until it stands, or the calls are used.

    Args:
        tuned: whether each new structure gets judged draws of texts.
    """
    tuner = Tuner(Bandit(cast("Any", [Texts(("demonstrate", "rewrite"))]), wanders=False), PosteriorJudge())
    tree = Tree(cast("Any", Writer()))
    tree.ranking.tuner = tuner if tuned else None
    joins = few(task.n, budget / task.start.cost)
    return _run(PoolLoop(tree, AsAdopted() if joins else Confirm(), joins), task, budget, seed)


def _run(loop: Loop, task: Task, budget: int, seed: int) -> tuple[Program, int]:
    context = Simulated(task, budget, seed)
    found = asyncio.run(_walked(loop, context))
    assert context.spent <= budget, (context.spent, budget)
    return found, context.spent


async def _walked(loop: Loop, context: Simulated) -> Program:
    of = cast("Any", context)
    start, rows = context.task.start, loop.opening(of)
    if context.calls_of(start) * len(rows) > context.left:
        return start
    await context.run(start, rows, "train")
    await loop.search(of)
    return cast("Program", (await loop.choose(of)).program)
