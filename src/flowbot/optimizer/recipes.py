"""The built-in methods, each a recipe of the seams on one of two loops: the pool, and the paper's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from math import ceil
from typing import ClassVar, Literal

from flowbot.fields import UserError

from .aflow.author import Author
from .aflow.tree import Tree
from .autodiff.gated import Gated
from .autodiff.proposer import AutoDiff
from .autoflow.chat import Chat
from .autoflow.writer import Writer, require_writable
from .bilevel import BATCH, INNER_STEPS, LOOPS, Bilevel
from .editing import TRIES
from .feedback.ballots import BallotCritic
from .judge import PosteriorJudge
from .method import Loop, Method, Sizes
from .packages.gepa import Gepa
from .packages.mipro import Mipro
from .packages.tuning import Package, PackageLoop, PackageProposer
from .paper.edits import Edits
from .paper.layerwise import Layerwise
from .parameters.demonstrations import Demonstrations
from .parameters.settings import Settings, models, without
from .planner import Bandit
from .pool_method import META_SHARE, PoolMethod, Proposers, tuning
from .structure.catalogue_changes import CatalogueChanges
from .structure.fillings import Fillings
from .structure.written_edits import WrittenEdits
from .textgrad.descent import Descent
from .textgrad.proposer import TextGrad
from .tuned import Tuner

ASKED_AGAIN = 2
"""Calls that one step takes where its reply is of no use and is asked for once more."""


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
        tree = partial(_tuned, lambda: Tree(Author(CatalogueChanges())), tuner)
        return PoolMethod(name, critic=None, asks=True, tree=tree)
    if outer in ("autoflow", "autoflow-words"):
        tree = partial(_tuned, lambda: Chat(Writer(outer == "autoflow-words")), tuner)
        return PoolMethod(name, critic=None, asks=True, tree=tree, require=require_writable)
    if outer == "none" and tuner.alone is not None:
        return tuner.alone(name)
    by_chance = outer == "random"
    if by_chance and inner == "blame":
        tuner = Inner(lambda: [Demonstrations(), Settings(without)], asks="never")

    def proposers() -> Proposers:
        late = [] if inner == "none" else [Settings(models, late=True)]
        changes = [CatalogueChanges(asks=not by_chance), Fillings(), *([] if by_chance else [WrittenEdits()])]
        return [*([] if outer == "none" else changes), *tuner.proposers(), *late]

    critic = BallotCritic if outer == "flowbot" else None
    return PoolMethod(
        name,
        proposers,
        critic,
        planner=partial(Bandit, even=True) if by_chance else Bandit,
        asks=not by_chance or tuner.asks != "never",
        by_ability=critic is not None or tuner.asks == "as able",
    )


def _tuned(make: Callable[[], Tree | Chat], inner: Inner) -> Tree | Chat:
    """A search of structures, each of which an inner optimiser tunes."""
    search = make()
    search.ranking.tuner = judged(inner.proposers())
    return search


def judged(proposers: Proposers) -> Tuner | None:
    """What tunes a structure as it stands, each change being judged; None where nobody proposes any."""
    return Tuner(Bandit(proposers, wanders=False), PosteriorJudge()) if proposers else None


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
