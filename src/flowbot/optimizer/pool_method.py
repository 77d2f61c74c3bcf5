"""A method of the seams' parts on the pool, the default one where none is named."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias, runtime_checkable

from flowbot.task import Task
from flowbot.workflow.workflow import Workflow

from .allocator import Thompson
from .confirm import AsAdopted, Closing, Confirm, few
from .feedback.ballots import BallotCritic
from .feedback.blame import Blame
from .judge import STRICTER, Judge, PosteriorJudge
from .method import Loop, Sizes
from .parameters.combine import Combine
from .parameters.demonstrations import Demonstrations
from .parameters.hint import Hint
from .parameters.mend import Mend
from .parameters.rewrite import Rewrite
from .parameters.rule import Rule
from .parameters.settings import Settings, models, programs, samples, tools, values, without
from .planner import Bandit
from .pool import Pool, opening
from .population import Candidate
from .seams import Allocator, Context, Critic, Planner, Proposer
from .structure.catalogue_changes import CatalogueChanges
from .structure.fillings import Fillings
from .structure.written_edits import WrittenEdits

Proposers: TypeAlias = Sequence[Proposer]
META_SHARE = 0.15
"""Share of the planned calls that questions to the meta model are assumed to take."""


class Searches(Protocol):
    """What searches training rows in a loop of its own."""

    async def search(self, context: Context) -> str:
        """As of `method.Loop`."""
        ...


@runtime_checkable
class Opens(Protocol):
    """One that says which rows the start is run on first."""

    def opening(self, context: Context) -> Sequence[str]:
        """As of `method.Loop`."""
        ...


def tuning() -> Proposers:
    """New proposers that tune the steps of a program as it stands; those that need a step to blame share what is known of it."""
    blame = Blame()
    return [
        Demonstrations(), Rule(blame=blame), Rewrite(blame=blame), Hint(), Mend(), Settings(tools), Settings(samples), Settings(without),
        Settings(values, steps=programs), Combine(),
    ]  # fmt: skip


def default_proposers() -> Proposers:
    """New proposers of the default method: changes of the catalogue, edits that a large meta model writes, tuning, and other models."""
    return [CatalogueChanges(), Fillings(), WrittenEdits(), *tuning(), Settings(models, late=True)]


@dataclass(frozen=True, slots=True)
class PoolMethod:
    """A search by the pool. What is left out is the part of the default method.

    Each part is a factory, since a part may keep what it learns in a run; a class that needs no arguments is one.

    Args:
        name: of the method; see `Method.name`.
        proposers: makes those that propose.
        critic: makes the one that votes; None: nobody does.
        asks: whether the meta model is asked anything; None: where there is a critic.
        planner: makes, of proposers and critic, what chooses among the changes; see `seams.Planner`.
        judge: makes what adopts and drops; see `judge.Judge`.
        allocator: makes what chooses who runs on which rows; see `seams.Allocator`.
        closing: makes what chooses the program that is returned; see `confirm.Closing`.
        tree: makes what searches in place of the pool and its parts but `closing`; None: the pool does.
        by_ability: as of `method.follows_ability`.
        require: as of `method.require_suited`.
    """

    name: str
    proposers: Callable[[], Proposers] = default_proposers
    critic: Callable[[], Critic] | None = BallotCritic
    planner: Callable[[Proposers, Critic | None], Planner] = Bandit
    judge: Callable[[], Judge] = PosteriorJudge
    allocator: Callable[[], Allocator] = Thompson
    closing: Callable[[], Closing] = Confirm
    asks: bool | None = None
    tree: Callable[[], Searches] | None = None
    by_ability: bool | None = None
    require: Callable[[Workflow, Task], None] | None = None

    def calls(self, sizes: Sizes) -> Mapping[str, int]:
        """The effort is the plan; how it is divided is a guess."""
        closing = AsAdopted() if self._joins(sizes) else self.closing()
        val = int(closing.room(sizes.effort, sizes.val, sizes.start_calls))
        asks = self.critic is not None if self.asks is None else self.asks
        meta = int(META_SHARE * sizes.effort) if asks else 0
        return {"train": sizes.effort - val - meta, "val": val, "gradients": meta // 2, "proposals": meta - meta // 2}

    def loop(self, sizes: Sizes) -> Loop:
        """As of `Method`."""
        joins = self._joins(sizes)
        if self.tree is not None:
            return PoolLoop(self.tree(), AsAdopted() if joins else self.closing(), joins)
        critic = None if self.critic is None else self.critic()
        planner = self.planner(self.proposers(), critic)
        if not joins:
            return PoolLoop(Pool(planner, self.allocator(), self.judge()), self.closing())
        judge = PosteriorJudge(*STRICTER) if self.judge is PosteriorJudge else self.judge()
        return PoolLoop(Pool(planner, self.allocator(), judge), AsAdopted(), joined=True)

    def _joins(self, sizes: Sizes) -> bool:
        """Whether validation joins the search: where it has few rows, or few calls are planned for a start of so many steps, and
        nobody says otherwise."""
        return self.closing is Confirm and few(sizes.val, sizes.effort / sizes.start_calls)


@dataclass(slots=True)
class PoolLoop:
    """The pool or another search of training rows, and validation at its end; see `methods.Loop`."""

    pool: Searches
    closing: Closing
    joined: bool = False
    """Whether validation joins the rows of the search."""

    def opening(self, context: Context) -> Sequence[str]:
        """Some training rows, as many as the plan allows."""
        return self.pool.opening(context) if isinstance(self.pool, Opens) else opening(context)

    async def search(self, context: Context) -> str:
        """Search with what is not set aside for validation."""
        if self.joined:
            context.join_validation()
            context.watch.news(
                "Validation is small, or few calls are planned: its rows join the search, and none validate"
            )
        start = context.calls_of(context.population.start.program)
        with context.set_aside(self.closing.room(context.left + context.spent, len(context.validation), start)):
            return await self.pool.search(context)

    async def choose(self, context: Context) -> Candidate:
        """What validation confirms."""
        return await self.closing.choose(context)
