"""The inner optimisers by name, and `blame` with one part another or left out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from random import Random
from typing import Any, TypeAlias, cast

from flowbot.optimizer.feedback.blame import Blame, Blamed
from flowbot.optimizer.feedback.parts import suspects
from flowbot.optimizer.feedback.runs import failing
from flowbot.optimizer.method import Method
from flowbot.optimizer.methods import INNERS, PoolMethod, find_method, tuning
from flowbot.optimizer.parameters import rewrite
from flowbot.optimizer.parameters.demonstrations import Demonstrations
from flowbot.optimizer.parameters.rewrite import Rewrite
from flowbot.optimizer.pool_method import Proposers
from flowbot.optimizer.population import Candidate
from flowbot.optimizer.seams import Context, Focus, Option, Proposal
from flowbot.runtime.evaluation import Row
from flowbot.runtime.program import WorkflowProgram

from .world import World

Maker: TypeAlias = Callable[[World], Method]
LEFT_OUT = {"none", "mipro", *(["gepa"] if find_spec("gepa") is None else [])}
"""MIPROv2 writes its texts from a summary of the data and from no mistake, so that no critic is right or wrong; `gepa` needs its package."""
MAJORITY = 3
"""Answers of which the most decide."""


class ByChance(Blame):
    """Asks nothing: any step is as likely as any other."""

    def cost(self, program: WorkflowProgram, rows: Sequence[Row]) -> int:
        """None."""
        return 0

    async def of(self, search: Context[WorkflowProgram], program: WorkflowProgram) -> Blamed:
        """Nothing speaks against any."""
        return Blamed(dict.fromkeys(suspects(program), 0))


class ByRule(Blame):
    """What can be seen without a question, and chance among the rest."""

    def cost(self, program: WorkflowProgram, rows: Sequence[Row]) -> int:
        """None."""
        return 0

    async def of(self, search: Context[WorkflowProgram], program: WorkflowProgram) -> Blamed:
        """As of `Blame`, which is given no reply."""
        return await Blame.of(self, cast("Any", _Instead(search, ask_fields=_nothing)), program)


class ByMajority(Blame):
    """The step that most of three answers name, whatever the draw."""

    async def of(self, search: Context[WorkflowProgram], program: WorkflowProgram) -> Blamed:
        """As of `Blame`, from three failing runs."""

        def few(of: WorkflowProgram, rows: Iterable[str]) -> Sequence[Row]:
            return failing(search.recorded(of, rows))[:MAJORITY]

        found = await Blame.of(self, cast("Any", _Instead(search, recorded=few)), program)
        return _First(found.runs, found.feedback)


class Known(Blame):
    """Knows the fault: what attribution could gain at most."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world

    def cost(self, program: WorkflowProgram, rows: Sequence[Row]) -> int:
        """None."""
        return 0

    async def of(self, search: Context[WorkflowProgram], program: WorkflowProgram) -> Blamed:
        """The first spoiled step."""
        spoiled = self.world.spoiled(program.workflow)
        return _First({path: int(path in spoiled[:1]) for path in suspects(program)})


@dataclass(frozen=True, slots=True)
class _First(Blamed):
    def draw(self, rng: Random, tries: Mapping[str, int]) -> str:
        return max(self.runs, key=lambda path: self.runs[path])


class _Instead:
    """A context with some of its members replaced."""

    def __init__(self, context: object, **members: object) -> None:
        self.__dict__.update(members)
        self._context = context

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)


async def _nothing(*asked: object, **more: object) -> None:
    """A question without a reply."""


def _texts() -> Proposers:
    """What asks the meta model, alone: worked examples mend nothing here, and their tries hide what attribution does."""
    return [each for each in tuning() if not isinstance(each, Demonstrations)]


class FullPass(Rewrite):
    """Rewrites from gradients of all calls back to the first, though one step is to be changed."""

    async def propose(
        self, parent: Candidate[WorkflowProgram], focus: Focus, want: int, context: Context[WorkflowProgram]
    ) -> Sequence[Proposal[WorkflowProgram]]:
        """As of `Rewrite`."""
        _FULL.set(True)  # in the task of this proposal alone
        return await Rewrite.propose(self, parent, focus, want, context)


_FULL: ContextVar[bool] = ContextVar("_FULL", default=False)
_backward_all = rewrite.backward_all


async def _backward(*asked: Any, until: str | None = None, **more: Any) -> Any:
    return await _backward_all(*asked, until=None if _FULL.get() else until, **more)


rewrite.backward_all = _backward


class OnePlace:
    """A proposer that offers each kind of change at one step alone, drawn by lot for each program: so many steps do not make it likelier."""

    def __init__(self, proposer: Any) -> None:
        self._proposer = proposer
        self.propose, self.learn = proposer.propose, proposer.learn

    def options(self, parent: Candidate[WorkflowProgram], context: Context[WorkflowProgram]) -> Sequence[Option]:
        """One a kind."""
        kinds: dict[str, list[Option]] = {}
        for each in self._proposer.options(parent, context):
            kinds.setdefault(each.arm.kind, []).append(each)
        return [context.rng(f"{parent.program.hash}/{kind}").choice(found) for kind, found in kinds.items()]


def _one_place() -> Proposers:
    return [cast("Any", OnePlace(each)) for each in tuning()]


def _full_pass() -> Proposers:
    return [FullPass(blame=each.blame) if isinstance(each, Rewrite) else each for each in _texts()]


def _made(
    name: str, proposers: Callable[[], Proposers], blame: Callable[[World], Blame] | None, world: World
) -> Method:
    def blaming() -> Proposers:
        found, one = proposers(), None if blame is None else blame(world)
        for each in found:
            if one is not None and hasattr(each, "blame"):
                cast("Any", each).blame = one
        return found

    return PoolMethod(name, blaming, critic=None)


def kind_of(of: object) -> str:
    """What a proposer is called: a class, or which settings it tries."""
    return getattr(getattr(of, "kinds", None), "__name__", type(of).__name__).capitalize()


def _without(arm: str) -> Proposers:
    return [each for each in tuning() if kind_of(each) != arm]


ATTRIBUTIONS: Mapping[str, Callable[[World], Blame] | None] = {
    "draws from counts": None,
    "majority of three": lambda world: ByMajority(),
    "rules alone": lambda world: ByRule(),
    "chance": lambda world: ByChance(),
    "the fault is known": Known,
}
"""Who says which step is changed; None: as it is."""


def methods() -> dict[str, Maker]:
    """By name."""
    named = [f"none+{inner}" for inner in INNERS if inner not in LEFT_OUT]
    found: dict[str, Maker] = {name: partial(lambda name, world: find_method(name), name) for name in named}
    found["none+blame by chance"] = partial(_made, "none+blame by chance", tuning, lambda world: ByChance())
    for name, blame in ATTRIBUTIONS.items():
        found[f"texts: {name}"] = partial(_made, f"texts: {name}", _texts, blame)
    found["texts: gradients of all steps"] = partial(_made, "texts: gradients of all steps", _full_pass, None)
    found["one step a kind"] = partial(_made, "one step a kind", _one_place, None)
    for arm in dict.fromkeys(kind_of(each) for each in tuning()):
        name = f"without {arm}"
        found[name] = partial(_made, name, partial(_without, arm), None)
    return found


METHODS = methods()
