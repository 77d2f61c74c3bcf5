"""The built-in methods, each a recipe of the seams on one of two loops: the pool, and the paper's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from math import ceil
from typing import ClassVar, Literal, TypeAlias

from flowbot.fields import UserError
from flowbot.runtime.program import WorkflowProgram

from .aflow.author import Author
from .aflow.tree import Tree
from .allocator import Thompson
from .autodiff.gated import Gated
from .autodiff.proposer import AutoDiff
from .bilevel import BATCH, INNER_STEPS, LOOPS, Bilevel
from .confirm import AsAdopted, Closing, Confirm, few
from .editing import TRIES
from .feedback.ballots import BallotCritic
from .feedback.blame import Blame
from .judge import STRICTER, Judge, PosteriorJudge
from .method import Loop, Method, Sizes
from .packages.gepa import Gepa
from .packages.mipro import Mipro
from .packages.tuning import Package, PackageLoop, PackageProposer
from .paper.edits import Edits
from .paper.layerwise import Layerwise
from .parameters.combine import Combine
from .parameters.demonstrations import Demonstrations
from .parameters.hint import Hint
from .parameters.mend import Mend
from .parameters.model import Models
from .parameters.rewrite import Rewrite
from .parameters.rule import Rule
from .parameters.settings import Settings, samples, tools, without
from .planner import Bandit
from .pool import Pool, opening
from .population import Candidate
from .seams import Allocator, Context, Critic, Planner, Proposer
from .structure.catalogue_changes import CatalogueChanges
from .structure.written_edits import WrittenEdits
from .textgrad.descent import Descent
from .textgrad.proposer import TextGrad
from .tuned import Tuner

Proposers: TypeAlias = Sequence[Proposer[WorkflowProgram]]
ASKED_AGAIN = 2
"""Calls that one step takes where its reply is of no use and is asked for once more."""
META_SHARE = 0.15
"""Share of the planned calls that questions to the meta model are assumed to take."""


@dataclass(frozen=True, slots=True)
class Inner:
    """An inner optimiser: what tunes the steps of a program as it stands.

    Args:
        proposers: makes what proposes inside an outer loop, where its proposals are judged as any others.
        alone: makes, of the method's name, the protocol that it has of its own where no structure is changed; None: the pool.
        needs: modules of the extra `dspy` that it imports.
        asks: how it asks the meta model: in its own words, whoever that is; as it is able; not at all.
    """

    proposers: Callable[[], Proposers]
    alone: Callable[[str], Method] | None = None
    needs: Sequence[str] = ()
    asks: Literal["alike", "as able", "never"] = "as able"


def recipe(outer: str, inner: str) -> Method:
    """The built-in method of an outer and an inner strategy that `methods` knows.

    Raises:
        UserError: if the inner one is a package that is not installed.
    """
    name = f"{outer}+{inner}"
    tuner = INNER[inner]
    for module in tuner.needs:
        if find_spec(module) is None:
            raise UserError(f"method {name}", f"no package {module}", mend="install it: pip install 'flowbot[dspy]'")
    if outer == "paper":
        return PaperMethod(name, with_edits=True, inner=inner)
    if outer == "aflow":
        return PoolMethod(name, critic=None, asks=True, tree=partial(_tree, tuner))
    if outer == "none" and tuner.alone is not None:
        return tuner.alone(name)
    by_chance = outer == "random"
    if by_chance and inner == "blame":
        tuner = Inner(lambda: [Demonstrations(), Settings(without)], asks="never")

    def proposers() -> Proposers:
        models = [] if inner == "none" else [Models()]
        changes = [CatalogueChanges(asks=not by_chance), *([] if by_chance else [WrittenEdits()])]
        return [*([] if outer == "none" else changes), *tuner.proposers(), *models]

    critic = BallotCritic if outer == "flowbot" else None
    return PoolMethod(
        name,
        proposers,
        critic,
        planner=partial(Bandit, even=True) if by_chance else Bandit,
        asks=not by_chance or tuner.asks != "never",
        by_ability=critic is not None or tuner.asks == "as able",
    )


def _tree(inner: Inner) -> Tree:
    return Tree(Author(CatalogueChanges()), judged(inner.proposers()))


def judged(proposers: Proposers) -> Tuner | None:
    """What tunes a structure as it stands, each change being judged; None where nobody proposes any."""
    return Tuner(Bandit(proposers, wanders=False), PosteriorJudge()) if proposers else None


def tuning() -> Proposers:
    """New proposers that tune the steps of a program as it stands; those that need a step to blame share what is known of it."""
    blame = Blame()
    return [
        Demonstrations(), Rule(blame=blame), Rewrite(blame=blame), Hint(), Mend(), Settings(tools), Settings(samples), Settings(without),
        Combine(),
    ]  # fmt: skip


def default_proposers() -> Proposers:
    """New proposers of the default method: changes of the catalogue, edits that a large meta model writes, tuning, and other models."""
    return [CatalogueChanges(), WrittenEdits(), *tuning(), Models()]


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
    """

    name: str
    proposers: Callable[[], Proposers] = default_proposers
    critic: Callable[[], Critic[WorkflowProgram]] | None = BallotCritic
    planner: Callable[[Proposers, Critic[WorkflowProgram] | None], Planner[WorkflowProgram]] = Bandit
    judge: Callable[[], Judge[WorkflowProgram]] = PosteriorJudge
    allocator: Callable[[], Allocator[WorkflowProgram]] = Thompson
    closing: Callable[[], Closing[WorkflowProgram]] = Confirm
    asks: bool | None = None
    tree: Callable[[], Tree] | None = None
    by_ability: bool | None = None

    def calls(self, sizes: Sizes) -> Mapping[str, int]:
        """The effort is the plan; how it is divided is a guess."""
        closing = AsAdopted[WorkflowProgram]() if self._joins(sizes) else self.closing()
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
        judge = PosteriorJudge[WorkflowProgram](*STRICTER) if self.judge is PosteriorJudge else self.judge()
        return PoolLoop(Pool(planner, self.allocator(), judge), AsAdopted(), joined=True)

    def _joins(self, sizes: Sizes) -> bool:
        """Whether validation joins the search: where it has few rows, or few calls are planned for a start of so many steps, and
        nobody says otherwise."""
        return self.closing is Confirm and few(sizes.val, sizes.effort / sizes.start_calls)


@dataclass(slots=True)
class PoolLoop:
    """The pool or another search of training rows, and validation at its end; see `methods.Loop`."""

    pool: Pool[WorkflowProgram] | Tree
    closing: Closing[WorkflowProgram]
    joined: bool = False
    """Whether validation joins the rows of the search."""

    def opening(self, context: Context[WorkflowProgram]) -> Sequence[str]:
        """Some training rows, as many as the plan allows."""
        return opening(context)

    async def search(self, context: Context[WorkflowProgram]) -> str:
        """Search with what is not set aside for validation."""
        if self.joined:
            context.join_validation()
            context.watch.news(
                "Validation is small, or few calls are planned: its rows join the search, and none validate"
            )
        start = context.calls_of(context.population.start.program)
        with context.set_aside(self.closing.room(context.left + context.spent, len(context.validation), start)):
            return await self.pool.search(context)

    async def choose(self, context: Context[WorkflowProgram]) -> Candidate[WorkflowProgram]:
        """What validation confirms."""
        return await self.closing.choose(context)


@dataclass(frozen=True, slots=True)
class PaperMethod:
    """A search by the paper's protocol; what it takes follows from the number of rows and not from the effort.

    Args:
        name: of the method.
        with_edits: whether the structure is changed.
        inner: name of the inner optimiser; what `layerwise` proposes is taken as it is, what another one does is judged.
    """

    name: str
    with_edits: bool
    inner: str
    gives_models: ClassVar[bool] = False

    @property
    def by_ability(self) -> bool:
        """As of `method.follows_ability`: edits are asked for of everyone alike."""
        return INNER[self.inner].asks == "as able"

    def calls(self, sizes: Sizes) -> Mapping[str, int]:
        """Of an epoch, if programs have a step more than the start on average."""
        steps = sizes.start_calls + 1
        loops = ceil(sizes.train / BATCH) * LOOPS
        inner = 0 if self.inner == "none" else INNER_STEPS
        return {
            "train": sizes.train * LOOPS * (self.with_edits + inner) * steps,
            "val": sizes.val * (sizes.start_calls + ceil(sizes.train / BATCH) * steps),
            "gradients": sizes.train * LOOPS * (self.with_edits + inner * steps),
            "proposals": loops * (TRIES * self.with_edits + inner * steps),
        }

    def loop(self, sizes: Sizes) -> Loop:
        """As of `Method`."""
        outer = Edits() if self.with_edits else None
        if self.inner == "layerwise":
            return Bilevel(outer, Layerwise())
        return Bilevel(outer, tuner=judged(INNER[self.inner].proposers()))


@dataclass(frozen=True, slots=True)
class OwnProtocol:
    """A search by the protocol that an inner optimiser has of its own, until the planned calls are used.

    Args:
        name: of the method.
        search: makes the loop.
        gradients: whether it asks for feedback; a package asks in its own words for new texts alone.
    """

    name: str
    search: Callable[[], Loop]
    gradients: bool = True
    gives_models: ClassVar[bool] = False
    by_score: ClassVar[bool] = True

    def calls(self, sizes: Sizes) -> Mapping[str, int]:
        """The effort is the plan; how it is divided is a guess."""
        meta = int(META_SHARE * sizes.effort)
        gradients = meta * self.gradients
        return {"train": sizes.effort - meta - gradients, "val": 0, "gradients": gradients, "proposals": meta}

    def loop(self, sizes: Sizes) -> Loop:
        """As of `Method`."""
        return self.search()


@dataclass(frozen=True, slots=True)
class Baseline:
    """The method `none+none`: the start is scored and tested."""

    name: str = "none+none"
    gives_models: ClassVar[bool] = False

    def calls(self, sizes: Sizes) -> Mapping[str, int]:
        """Validation of the start, every reply of which may have to be asked for again."""
        return {"train": 0, "val": ASKED_AGAIN * sizes.val * sizes.start_calls, "gradients": 0, "proposals": 0}

    def loop(self, sizes: Sizes) -> Loop:
        """As of `Method`."""
        return Bilevel()


def _published(package: Package, needs: Sequence[str]) -> Inner:
    """A published package as an inner optimiser."""
    own = partial(OwnProtocol, search=partial(PackageLoop, package), gradients=False)
    return Inner(lambda: [PackageProposer(package)], alone=own, needs=needs, asks="alike")


INNER: Mapping[str, Inner] = {
    "blame": Inner(tuning),
    "layerwise": Inner(lambda: [Layerwise()], alone=partial(PaperMethod, with_edits=False, inner="layerwise")),
    "autodiff": Inner(lambda: [AutoDiff()], alone=partial(OwnProtocol, search=Gated)),
    "textgrad": Inner(lambda: [TextGrad()], alone=partial(OwnProtocol, search=Descent)),
    "gepa": _published(Gepa(), ["gepa"]),
    "mipro": _published(Mipro(), ["dspy", "optuna"]),
    "none": Inner(list, alone=Baseline, asks="never"),
}
"""The inner optimisers by name."""
