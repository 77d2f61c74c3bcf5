"""The product's own search in a simulated task: its pool, planner, judge, allocator and closing, over programs without a model."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from flowbot.optimizer.allocator import Thompson
from flowbot.optimizer.belief import Belief
from flowbot.optimizer.confirm import Confirm
from flowbot.optimizer.judge import PRIOR_SPREAD, PosteriorJudge
from flowbot.optimizer.planner import Bandit
from flowbot.optimizer.pool import Pool
from flowbot.optimizer.population import Candidate, Outcome, Population
from flowbot.optimizer.seams import Ballots, Focus, Option, Proposal
from flowbot.run.events import Arm, Event, Verdict
from simulate.rivals.arms import ADD
from simulate.world import KINDS, Program, Task

MISTAKES = 3
"""Rows that a rewrite is made from."""
BALLOTS = 2


class Simulated:
    """A context without a model: rows are looked up, and paid for once."""

    def __init__(self, task: Task, budget: float, seed: int) -> None:
        self.task, self.seed, self.spent = task, seed, 0
        self.planned = budget
        self.population: Population[Program] = Population(task.start)
        self.rows = self._order(range(task.n), "train")
        self.validation = self._order(range(task.n, 2 * task.n), "val")
        self.events: list[Event] = []

    def _order(self, rows: range, label: str) -> list[str]:
        found = [str(row) for row in rows]
        self.rng(f"order/{label}").shuffle(found)
        return found

    @property
    def left(self) -> float:
        return self.planned - self.spent

    def rng(self, label: str) -> Random:
        return Random(f"{self.seed}/{label}")

    def calls_of(self, program: Program) -> float:
        return program.cost

    def pay(self, calls: int) -> None:
        self.spent += calls

    async def run(self, program: Program, rows: Sequence[str], why: str) -> None:
        scores = self.task.rows(program)
        self.pay(program.cost * len(rows))
        for row in rows:
            self.population.record(program.hash, row, Outcome(scores[int(row)], program.cost))

    def record(self, event: Event) -> None:
        self.events.append(event)


class Structures:
    """Adds a kind, or takes one away; tuning opens a change again."""

    def options(self, parent: Candidate[Program], context: Simulated) -> list[Option]:
        task, program = context.task, parent.program
        found: list[Option] = []
        for kind in task.kinds:
            there = kind in program.structure
            calls, name = KINDS[kind].calls, f"-{kind}" if there else kind
            found.append(
                Option(
                    Arm(kind=name),
                    key=f"{program.hash}+{name}",
                    title=name,
                    prior=Belief(-0.03 if there else ADD[kind], PRIOR_SPREAD),
                    extra=-calls if there else calls,
                    cost=1 if name == "compute" else 0,
                )
            )
        return found

    async def propose(
        self, parent: Candidate[Program], focus: Focus, want: int, context: Simulated
    ) -> list[Proposal[Program]]:
        context.pay(focus.option.cost)
        return [Proposal(context.task.apply(parent.program, focus.option.title), focus.option.title, "prior")]

    def learn(self, outcomes: Sequence[tuple[Candidate[Program], Verdict]]) -> None:
        """Nothing."""


@dataclass
class Texts:
    """Draws demonstrations, or rewrites the instruction from mistakes."""

    most: int = 8
    kinds: tuple[str, ...] = ("demonstrate", "rewrite")

    def options(self, parent: Candidate[Program], context: Simulated) -> list[Option]:
        return [
            Option(
                Arm(kind=kind),
                key=f"{parent.program.hash}/{kind}",
                title=kind,
                prior=Belief({"demonstrate": 0.03, "rewrite": 0.02}[kind], PRIOR_SPREAD),
                cost=1 + MISTAKES if kind == "rewrite" else 0,
                most=self.most,
                level="parameters",
            )
            for kind in self.kinds
        ]

    async def propose(
        self, parent: Candidate[Program], focus: Focus, want: int, context: Simulated
    ) -> list[Proposal[Program]]:
        rng = context.rng(f"propose/{focus.option.key}/{focus.draw}")
        if focus.option.title == "demonstrate":
            return [Proposal(context.task.demos(parent.program, rng), "demonstrate", "prior")]
        seen = context.population.outcomes(parent.program)
        wrong = [row for row in context.rows if row in seen and not seen[row].score][:MISTAKES]
        context.pay(len(wrong) + 1)
        made = context.task.instruct(parent.program, rng, [int(row) for row in wrong])
        return [Proposal(made, "rewrite", "meta", shown=tuple(wrong))]

    def learn(self, outcomes: Sequence[tuple[Candidate[Program], Verdict]]) -> None:
        """Nothing."""


@dataclass
class Voters:
    """The critic: right with the task's probability."""

    cost: int = BALLOTS

    async def vote(self, parent: Candidate[Program], options: Sequence[Option], context: Simulated) -> Ballots:
        added = {each.title: each.key for each in options if not each.title.startswith("-")}
        if not added:
            return Ballots(0, {}, {}, {})
        context.pay(self.cost)
        rng = context.rng(f"vote/{parent.program.hash}")
        won = Counter(added[context.task.ballot(parent.program, list(added), rng)] for _ in range(self.cost))
        return Ballots(self.cost, won, {}, {})


@dataclass(frozen=True)
class Settings:
    """What is varied."""

    width: int = 5
    side_by_side: int = 2
    votes: bool = True
    even: bool = False
    gate: float = 0.8
    adopt: float = 0.90
    final: float = 0.80
    drop: float = 0.30
    texts: tuple[str, ...] = ("demonstrate", "rewrite")
    most: int = 8


def search(task: Task, budget: int, seed: int, settings: Settings = Settings()) -> tuple[Program, int]:
    """The product's search on a task."""
    return asyncio.run(_search(task, budget, seed, settings))


async def _search(task: Task, budget: int, seed: int, s: Settings) -> tuple[Program, int]:
    context = Simulated(task, budget, seed)
    closing: Confirm[Program] = Confirm(bar=s.gate)
    context.planned = budget - closing.room(budget, task.n, 1)
    planner: Bandit[Program] = Bandit(
        [Structures(), Texts(s.most, s.texts)], Voters() if s.votes else None, even=s.even
    )
    pool = Pool(planner, Thompson(s.side_by_side), PosteriorJudge(s.adopt, s.final, s.drop), s.width)
    await pool.search(context)
    context.planned = budget
    found = await closing.choose(context)
    assert context.spent <= budget, (context.spent, budget)
    return found.program, context.spent
