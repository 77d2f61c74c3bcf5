"""The seams of a search: who proposes, who plans, who allocates rows. Strategies propose, rules decide.

A strategy is one object behind one of these protocols. It knows the `Context` and nothing else: no journal, no budget, no other
strategy. The loop alone journals, races and keeps. See also `judge.Judge`, `confirm.Closing` and `catalogue.Catalogue`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from random import Random
from typing import Any, Generic, Literal, Protocol, TypeAlias

from flowbot.fields import BudgetExceeded, Field, ToolSignature
from flowbot.lm.client import Request
from flowbot.run.events import Arm, Event, Feedback, Level, Source, Verdict
from flowbot.runtime.evaluation import Row
from flowbot.task import Task

from .belief import Belief
from .guard import Guard
from .population import Candidate, P, Population
from .progress import Watch
from .step_models import StepModels

MetaMode: TypeAlias = Literal["small", "large"]
"""How the meta model is asked: for one short decision at a time among concrete choices, or for several free proposals at once from
all that is known."""
AskedMode: TypeAlias = Literal["auto", "small", "large"]
"""What a user says of it; `auto`: by what the meta model is able to do, see `runtime.ability`."""
FeedbackMode: TypeAlias = Literal["real", "shuffled", "blind"]
"""What whoever proposes is told of a mistake: what was expected and said of it; the same of another mistake; nothing."""


Order: TypeAlias = Literal["free", "prompts-first", "alternate"]
"""What a planner tries in which order: as its beliefs say; changes of parameters before those of the structure, unless a diagnosis says
that no prompt can mend it; one of the structure and one of parameters in turn."""


class PlanUsed(BudgetExceeded):
    """A call would pass what was planned, as where replies are asked for again. What ran side by side with it is forgotten."""


@dataclass(frozen=True, slots=True)
class Option:
    """A change that may be tried on a parent.

    Args:
        arm: its kind and place.
        key: what a try is remembered by: sketch, parameters near the changed step, and change. After the parameters near it
            have changed, the same change may be tried again.
        title: the change, in plain words, for a ballot.
        prior: what is believed of its gain before this run shows anything.
        extra: model calls an example that it adds, at most what it takes.
        cost: model calls that making the proposal takes at most.
        most: how many draws of it are worth trying on one parent.
        at_once: proposals that one draw is asked for; more than one where the others take hardly a call more.
        level: which loop it belongs to.
        tokens: that the prompts of an example grow by, as far as that is known before it is made.
        measured: whether `prior` is known of this very change, not of its kind.
        late: whether it is for when the structure has settled.
    """

    arm: Arm
    key: str
    title: str
    prior: Belief
    extra: float = 0.0
    cost: int = 0
    most: int = 1
    at_once: int = 1
    level: Level = "structure"
    tokens: float = 0.0
    measured: bool = False
    late: bool = False


@dataclass(frozen=True, slots=True)
class Focus:
    """What a proposer is asked for.

    Args:
        option: which change.
        draw: how often it was asked for on this parent before: another draw is another proposal.
        belief: what is believed of its gain, votes included.
        plain: the same without votes.
        votes: share of the ballots that named it.
        reason: what a ballot said for it.
        because: ids of the feedback that speaks for it.
        rows: ids of the training rows to look at; empty: the proposer looks at those that were run.
        ballots: how many were cast.
        shown: ids of the training rows that whoever named it was shown.
    """

    option: Option
    draw: int
    belief: Belief
    plain: Belief
    votes: float = 0.0
    reason: str = ""
    because: tuple[str, ...] = ()
    rows: tuple[str, ...] = ()
    ballots: int = 0
    shown: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Proposal(Generic[P]):
    """What a proposer hands in: a changed program and why, or what kept it from one.

    Args:
        program: None where no valid program came of it.
        title: the change, in words.
        source: who thought of it.
        reason: why.
        edits: what was changed, in words.
        shown: ids of training rows that the author was shown.
        feedback: what was said to bring it about; the loop journals it before the proposal, since proposals are made side by side.
        because: ids of the feedback that asked for it, this and older.
        code_by: who wrote its code, where it has some.
        faults: what was wrong with earlier tries, or with this one.
    """

    program: P | None
    title: str
    source: Source
    reason: str = ""
    edits: tuple[str, ...] = ()
    shown: tuple[str, ...] = ()
    feedback: tuple[Feedback, ...] = ()
    because: tuple[str, ...] = ()
    code_by: Literal["meta", "prior"] | None = None
    faults: tuple[str, ...] = ()


class Context(Protocol[P]):
    """All that a strategy may use. It reads the population, runs programs and draws chance by label.

    Decisions follow from these alone, never from time or the order of answers, so a run replays.
    """

    population: Population[P]
    """All candidates and how they did; strategies only read it."""
    task: Task
    """What is to be solved."""
    guard: Guard
    """Looks through what the meta model proposes."""
    models: StepModels
    """The models that a step may be given."""
    watch: Watch
    """Told what happens."""
    meta_mode: MetaMode
    """How the meta model is to be asked."""
    feedback_mode: FeedbackMode
    """What of mistakes the meta model is told; whoever shows it what is expected, other than by `told`, heeds it."""

    @property
    def rows(self) -> Sequence[str]:
        """Ids of the rows that candidates are judged on, in the seeded order of this run: those of training, and those of validation
        where they have joined them."""
        ...

    @property
    def training(self) -> Sequence[str]:
        """Ids of the training rows. From these alone come demonstrations, and what an author is shown."""
        ...

    def join_validation(self) -> None:
        """From now on candidates are judged on validation rows, too, and there is no unseen one left."""
        ...

    @property
    def validation(self) -> Sequence[str]:
        """Ids of the validation rows, likewise. The search does not run them."""
        ...

    @property
    def left(self) -> float:
        """Planned calls that are left; what was planned is no ceiling of the user's. After something was cut short there are none but
        those that were set aside."""
        ...

    def set_aside(self, calls: float) -> AbstractContextManager[object]:
        """Keep so many of the planned calls for later: while it is entered, `left` is without them."""
        ...

    @property
    def spent(self) -> int:
        """Logical calls of the run so far."""
        ...

    def rng(self, label: str) -> Random:
        """A generator that depends on the run's seed and `label` alone."""
        ...

    def calls_of(self, program: P) -> float:
        """Model calls that a row takes at most."""
        ...

    async def run(self, program: P, rows: Sequence[str], why: str) -> None:
        """Run a program on rows of training or validation that it was not run on; how it did stands in the population.

        Raises:
            BudgetExceeded: if a ceiling ends it; what was settled by then stands.
            PlanUsed: if the plan does.
        """
        ...

    def settle(self) -> None:
        """What was run until now stands, though a ceiling cuts short what is run next. Every event settles, too."""
        ...

    def record(self, event: Event) -> None:
        """Write an event to the journal. For the loops alone: a strategy hands in its feedback with its proposals."""
        ...

    # What proposers and critics need besides.

    @property
    def signatures(self) -> Mapping[str, ToolSignature]:
        """What workflows may call, as data by name: the task's tools, and those that need no declaration."""
        ...

    @property
    def can_compute(self) -> bool:
        """Whether there is a sandbox for computing steps."""
        ...

    def told(self, program: P, rows: Sequence[Row]) -> Sequence[Row]:
        """Recorded runs of a program as every question to the meta model shows them: with what was expected and said of them, unless a control
        withholds that; see `FeedbackMode`."""
        ...

    def recorded(self, program: P, rows: Iterable[str]) -> Sequence[Row]:
        """The recorded runs of a program on those of the rows that it was run on: example, trace and score."""
        ...

    def heard(self, about: str) -> Sequence[Feedback]:
        """What was said so far of runs of the program of that hash, in the order of the journal."""
        ...

    async def ask_text(self, prompt: str, purpose: str, *, max_tokens: int = ..., draw: int = 0) -> str:
        """A plain-text reply of the meta model; empty when it fails to give one. Each `draw` is another reply."""
        ...

    async def ask_fields(
        self, system: str, user: str, fields: Sequence[Field], purpose: str, *, max_tokens: int = ..., draw: int = 0
    ) -> dict[str, Any] | None:
        """A structured reply of the meta model; None when it fails to give one. Each `draw` is another reply."""
        ...

    async def ask(self, request: Request, purpose: str, draw: int = 0) -> str:
        """The reply of the meta model to a request as it stands.

        Raises:
            ModelError, RefusedError: as `LM.ask`.
        """
        ...

    async def run_code(self, code: str, values: Mapping[str, Any]) -> Any:
        """What `run(**values)` of the code returns in the sandbox.

        Raises:
            StepError: what the code raised, or that it ran out of time or memory.
        """
        ...

    def feedback(
        self,
        about: str,
        example: str,
        place: str,
        text: str,
        *,
        part: str = "",
        source: Literal["meta", "rule"] = "meta",
        after: Sequence[str] = (),
    ) -> Feedback:
        """A textual gradient on a run of the program of hash `about`; to be handed in with a proposal or with ballots."""
        ...


class Proposer(Protocol[P]):
    """Makes changed programs. One file each; it may keep what it learns, and asks the meta model through the context.

    Failure policy: what a model answers badly is a proposal without program and with its faults; infrastructure errors and
    exhausted budgets are raised as they come.
    """

    def options(self, parent: Candidate[P], context: Context[P]) -> Sequence[Option]:
        """What it could try on a parent now, without any call."""
        ...

    async def propose(
        self, parent: Candidate[P], focus: Focus, want: int, context: Context[P]
    ) -> Sequence[Proposal[P]]:
        """Up to `want` different proposals of the option in focus."""
        ...


@dataclass(frozen=True, slots=True)
class Ballots:
    """What a critic said: by the key of an option, how many of `asked` ballots named it, and why; all feedback in order. `steps` are
    those that it blames, and `beyond` the keys of the options that are asked for where no prompt could help."""

    asked: int
    won: Mapping[str, int]
    reasons: Mapping[str, str]
    because: Mapping[str, tuple[str, ...]]
    feedback: tuple[Feedback, ...] = ()
    steps: tuple[str, ...] = ()
    beyond: Collection[str] = ()


class Critic(Protocol[P]):
    """Looks at mistakes of a parent and votes for options. One that is no better than chance loses its weight."""

    @property
    def cost(self) -> int:
        """Model calls of one vote at most."""
        ...

    async def vote(self, parent: Candidate[P], options: Sequence[Option], context: Context[P]) -> Ballots:
        """Its ballots on a parent."""
        ...


@dataclass(frozen=True, slots=True)
class Pick(Generic[P]):
    """One change to try on one parent."""

    parent: Candidate[P]
    proposer: Proposer[P]
    focus: Focus


class Planner(Protocol[P]):
    """Which changes are tried next, on which parent, and what is believed of them."""

    async def picks(self, want: int, context: Context[P]) -> Sequence[Pick[P]]:
        """Up to `want` changes to try now; none where nothing is left to try."""
        ...

    def learn(self, outcomes: Sequence[tuple[Candidate[P], Verdict]]) -> None:
        """What became of candidates."""
        ...

    def carry(self, candidates: Collection[Candidate[P]]) -> None:
        """The incumbent has changed: what is believed of these open candidates is the prior of their changes on the new one."""
        ...


class Allocator(Protocol[P]):
    """Which open candidates are run on which rows next."""

    def blocks(
        self, candidates: Sequence[Candidate[P]], context: Context[P]
    ) -> Sequence[tuple[Candidate[P], Sequence[str]]]:
        """Candidates, in the order in which they were drawn, each with the rows to run it and its parent on. They are run side
        by side, and verdicts are taken in this order."""
        ...
