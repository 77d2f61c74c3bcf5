"""The product's own search in a simulated task: its pool, planner, judge, allocator and closing, over programs without a model."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random

from flowbot.optimizer.allocator import Thompson
from flowbot.optimizer.belief import Belief
from flowbot.optimizer.confirm import Closing, Confirm, few
from flowbot.optimizer.feedback.ballots import put_to_the_vote
from flowbot.optimizer.judge import PRIOR_SPREAD, STRICTER, PosteriorJudge
from flowbot.optimizer.planner import Bandit, VoteWeight
from flowbot.optimizer.pool import Pool
from flowbot.optimizer.population import Candidate, Outcome, Population
from flowbot.optimizer.priors import shipped_priors
from flowbot.optimizer.progress import Watch
from flowbot.optimizer.seams import Ballots, Focus, Option, Proposal, Proposer
from flowbot.run.events import Arm, Event
from simulate.world import Program, Task

DRAWS = 8
"""Texts of each kind for one program."""
MISTAKES = 3
"""Rows that a rewrite is made from."""
BALLOTS = 2
"""Calls of one vote."""


class Simulated:
    """A context without a model: rows are looked up, and paid for once."""

    def __init__(self, task: Task, budget: float, seed: int) -> None:
        self.task, self.seed, self.spent = task, seed, 0
        self.planned = budget
        self.population: Population[Program] = Population(task.start)
        self.rows = self.training = self._order(range(task.n), "train")
        self.validation = self._order(range(task.n, 2 * task.n), "val")
        self.events: list[Event] = []
        self.watch = Watch()

    def _order(self, rows: range, label: str) -> list[str]:
        found = [str(row) for row in rows]
        self.rng(f"order/{label}").shuffle(found)
        return found

    @property
    def left(self) -> float:
        """Planned calls that are left."""
        return self.planned - self.spent

    def rng(self, label: str) -> Random:
        """By the seed and the label."""
        return Random(f"{self.seed}/{label}")

    def calls_of(self, program: Program) -> float:
        """Calls an example."""
        return program.cost

    def pay(self, calls: int) -> None:
        """Count calls of a meta model."""
        self.spent += calls

    async def run(self, program: Program, rows: Sequence[str], why: str) -> None:
        """Look up those of the rows that it was not run on."""
        rows, scores = self.population.missing(program, rows), self.task.rows(program)
        self.pay(program.cost * len(rows))
        for row in rows:
            self.population.record(program.hash, row, Outcome(scores[int(row)], program.cost))

    def join_validation(self) -> None:
        """Validation is searched on, too."""
        self.rows, self.validation = self.rows + self.validation, []

    @contextmanager
    def set_aside(self, calls: float) -> Generator[None]:
        """For later."""
        self.planned -= calls
        yield
        self.planned += calls

    def settle(self) -> None:
        """No ceiling cuts anything short here."""

    def record(self, event: Event) -> None:
        """Keep it."""
        self.events.append(event)


@dataclass
class Structures:
    """Adds a kind, or takes one away; tuning opens a change again. Without a meta model none whose code it would write."""

    meta: bool = True

    def options(self, parent: Candidate[Program], context: Simulated) -> list[Option]:
        """All of them, whatever was tried."""
        return [
            Option(
                Arm(kind=each.kind, place=each.place),
                key=f"{parent.program.hash}+{each.change}",
                title=each.change,
                prior=Belief(each.believed, PRIOR_SPREAD),
                extra=each.calls,
                cost=each.cost if self.meta else 0,
            )
            for each in context.task.offers(parent.program)
            if self.meta or each.plain or not each.cost
        ]

    async def propose(
        self, parent: Candidate[Program], focus: Focus, want: int, context: Simulated
    ) -> list[Proposal[Program]]:
        """One."""
        context.pay(focus.option.cost)
        return [Proposal(context.task.apply(parent.program, focus.option.title), focus.option.title, "prior")]


@dataclass
class Texts:
    """Draws demonstrations, or rewrites the instruction from mistakes."""

    kinds: tuple[str, ...]

    def options(self, parent: Candidate[Program], context: Simulated) -> list[Option]:
        """All of them, whatever was tried."""
        return [
            Option(
                Arm(kind={"rewrite": "instruct"}.get(kind, kind)),
                key=f"{parent.program.hash}/{kind}",
                title=kind,
                prior=shipped_priors().belief({"rewrite": "instruct"}.get(kind, kind), "parameters"),
                cost=1 + MISTAKES if kind == "rewrite" else 0,
                most=DRAWS,
                level="parameters",
            )
            for kind in self.kinds
        ]

    async def propose(
        self, parent: Candidate[Program], focus: Focus, want: int, context: Simulated
    ) -> list[Proposal[Program]]:
        """One."""
        rng = context.rng(f"propose/{focus.option.key}/{focus.draw}")
        if focus.option.title == "demonstrate":
            return [Proposal(context.task.demos(parent.program, rng), "demonstrate", "prior")]
        seen = context.population.outcomes(parent.program)
        wrong = [row for row in context.rows if row in seen and not seen[row].score][:MISTAKES]
        context.pay(len(wrong) + 1)
        made = context.task.instruct(parent.program, rng, [int(row) for row in wrong])
        return [Proposal(made, "rewrite", "meta", shown=tuple(wrong))]


@dataclass
class Voters:
    """The critic: right with the task's probability.

    Args:
        contrast: whether it is asked once a structure without the mistakes, too, and a vote for what it names then counts nothing.
        reads_all: whether it is shown all changes, and not as many as a small model can read.
    """

    contrast: bool = True
    reads_all: bool = False
    _blind: dict[frozenset[str], str] = field(default_factory=dict[frozenset[str], str])

    @property
    def cost(self) -> int:
        """Calls of one vote at most."""
        return BALLOTS + self.contrast

    async def vote(self, parent: Candidate[Program], options: Sequence[Option], context: Simulated) -> Ballots:
        """Ballots for what may be added."""
        program = parent.program
        additions = [each for each in options if not each.title.startswith("-")]
        shown = put_to_the_vote(additions, context.rng(f"ballots/{sorted(program.structure)}"))
        added = {each.title: each.key for each in (additions if self.reads_all else shown)}
        if not added:
            return Ballots(0, {}, {}, {})
        if self.contrast and program.structure not in self._blind:
            context.pay(1)
            self._blind[program.structure] = context.task.blind_ballot(program, list(added))
        context.pay(BALLOTS)
        rng = context.rng(f"vote/{program.hash}")
        named = [context.task.ballot(program, list(added), rng) for _ in range(BALLOTS)]
        won = Counter(added[each] for each in named if each != self._blind.get(program.structure))
        return Ballots(BALLOTS, won, {}, {})


@dataclass(frozen=True)
class Settings:
    """A variant of the search.

    Args:
        meta: whether there is a meta model: a critic, rewritten instructions, code.
        even: whether all changes are as likely as any other.
        joined: whether validation joins the rows of the search, with stricter bars and without a confirmation at the end; None:
            where it has few rows, or where few calls are planned.
        wanders: whether another parent is tried on a plateau.
        voters: who votes, where there is a meta model; None: nobody.
        weight: what votes are worth.
        structures: proposes changes of the structure.
        more: proposers besides.
        closing: chooses what is returned.
        planner, judge: of the search.
        texts: what is written, where there is a meta model.
    """

    meta: bool = True
    even: bool = False
    joined: bool | None = None
    wanders: bool = True
    voters: Callable[[], Voters] | None = Voters
    weight: Callable[[], VoteWeight] = VoteWeight
    structures: Callable[[bool], Structures] = Structures
    more: tuple[Callable[[], Proposer[Program]], ...] = ()
    closing: Callable[[], Closing[Program]] = Confirm
    planner: Callable[..., Bandit[Program]] = Bandit
    judge: type[PosteriorJudge[Program]] = PosteriorJudge
    texts: tuple[str, ...] = ("demonstrate", "rewrite")


BY_CHANCE = Settings(meta=False, even=True)
"""Changes drawn evenly, and no call to a meta model: the control that shows what choosing is worth."""


def search(task: Task, budget: int, seed: int, settings: Settings = Settings()) -> tuple[Program, int]:
    """The product's search on a task."""
    context = Simulated(task, budget, seed)
    found = asyncio.run(searched(context, settings))
    assert context.spent <= budget, (context.spent, budget)
    return found, context.spent


async def searched(context: Simulated, s: Settings = Settings()) -> Program:
    """The program that the product's search returns."""
    task, budget = context.task, context.planned
    texts = Texts(s.texts if s.meta else ("demonstrate",))
    planner = s.planner(
        [s.structures(s.meta), texts, *(make() for make in s.more)],
        s.voters() if s.meta and s.voters else None,
        even=s.even,
        wanders=s.wanders,
        weight=s.weight(),
    )
    if few(task.n, budget / task.start.cost) if s.joined is None else s.joined:
        context.join_validation()
        await Pool(planner, Thompson(), s.judge(*STRICTER)).search(context)
        return context.population.incumbent.program
    closing = s.closing()
    with context.set_aside(closing.room(budget, task.n, task.start.cost)):
        await Pool(planner, Thompson(), s.judge()).search(context)
    return (await closing.choose(context)).program
