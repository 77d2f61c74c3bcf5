"""A published optimiser as an inner one: alone, with training and validation rows as it documents, or as one change among others,
inside an outer loop, on training rows alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Protocol

from flowbot.fields import BudgetExceeded
from flowbot.optimizer.admission import TAKEN, Admissions
from flowbot.optimizer.method import Sizes
from flowbot.optimizer.parameters.step_change import option
from flowbot.optimizer.population import Candidate
from flowbot.optimizer.scored import scored
from flowbot.optimizer.seams import Context, Focus, Option, Pick, Proposal
from flowbot.run.events import Arm
from flowbot.run.result import PLAN_USED
from flowbot.runtime.program import WorkflowProgram

from .bridge import Bridge
from .trials import Trials

ROWS = 10
"""Training rows, at most, that a package learns from and chooses by inside an outer loop; they are no evidence for its proposal."""
SHARE = 3
"""There it has at most one of so many training rows: the others judge its proposal."""
DRAWS = 2
NOTHING = "there is no text to tune"


class Package(Protocol):
    """A published optimiser.

    It is never named by what is imported with FlowBot: `tune` imports it.
    """

    @property
    def name(self) -> str:
        """Of the inner optimiser, and of its kind of change."""
        ...

    @property
    def title(self) -> str:
        """Its name as its authors write it."""
        ...

    @property
    def cost(self) -> int:
        """Calls that it may take inside an outer loop, for one proposal."""
        ...

    def tunes(self, program: WorkflowProgram) -> bool:
        """Whether a program holds something that it could change."""
        ...

    def validates(self, program: WorkflowProgram, sizes: Sizes) -> int:
        """Validation rows that it chooses by, where it tunes a program alone; `sizes.start_calls` are those of a row of it."""
        ...

    def tune(self, trials: Trials) -> str:
        """Run the package; `trials.best` is what it found. Says why it stopped, "" where its calls were used. It waits: it is called in a thread of its own.

        Failure policy: what the meta model answers badly is a proposal with its fault; all else goes through `trials`, which leaves the
        package.
        """
        ...


@dataclass(slots=True)
class PackageLoop:
    """One search by a package alone; see `method.Loop`.

    Args:
        package: which.
    """

    package: Package
    _val: Sequence[str] = ()
    _best: Candidate | None = None

    def opening(self, context: Context) -> Sequence[str]:
        """The start is validated first, as packages do, on all or as many rows as the plan lets it choose by."""
        start = context.population.start.program
        calls, planned = ceil(context.calls_of(start)), int(context.left + context.spent)
        sizes = Sizes(len(context.training), len(context.validation), 0, calls, planned)
        self._val = context.validation[: self.package.validates(start, sizes)]
        return self._val

    async def search(self, context: Context) -> str:
        """Let the package search with all that is planned; what it tries is journalled as it comes."""
        start, known = context.population.start, set(context.validation)
        val = [each for each in self._val if each in known]  # an endpoint may have refused some
        context.record(scored(context, start.program, "val", val))
        if not val or not self.package.tunes(start.program):
            return NOTHING
        context.watch.enter("search", 1)
        proposer = PackageProposer(self.package)
        pick = Pick(start, proposer, Focus(proposer.change(start.program), 0, TAKEN, TAKEN))
        seed = context.rng(self.package.name).getrandbits(31)
        bridge = Bridge()
        trials = Trials(bridge, context, start, context.training, val, pick, seed, journal=Admissions())
        try:
            why = await bridge.run(lambda: self.package.tune(trials))
        except BudgetExceeded:  # a pause decides nothing: what is open goes on where the run does
            self._end(trials)
            raise
        self._end(trials)
        return why or PLAN_USED

    async def choose(self, context: Context) -> Candidate:
        """The best on validation, the earliest of equals; the start where none is better."""
        return self._best or context.population.start

    def _end(self, trials: Trials) -> None:
        self._best = trials.best
        trials.close()


@dataclass(slots=True)
class PackageProposer:
    """Tunes the texts of a program by a package as one change among others. Validation it never sees.

    Args:
        package: which.
    """

    package: Package

    def options(self, parent: Candidate, context: Context) -> Sequence[Option]:
        """One, where there is a text to tune."""
        if len(context.training) < SHARE or not self.package.tunes(parent.program):
            return []
        return [self.change(parent.program)]

    def change(self, program: WorkflowProgram) -> Option:
        """Tuning a program by the package."""
        arm, package = Arm(kind=self.package.name), self.package
        return option(program, arm, f"tune by {package.title}", cost=package.cost, most=DRAWS)

    async def propose(self, parent: Candidate, focus: Focus, want: int, context: Context) -> Sequence[Proposal]:
        """The best that the package finds, by rows that are then no evidence for it."""
        program = parent.program
        known = [row.example.id for row in context.recorded(program, focus.rows or context.training)]
        ids = [
            *known,
            *(each for each in context.training if each not in known),
        ]  # what was run already is not paid for again
        rows = ids[: min(ROWS, len(context.training) // SHARE)]
        seed = context.rng(f"{focus.option.key}/{focus.draw}").getrandbits(31)
        bridge = Bridge()
        pick = Pick(parent, self, focus)
        trials = Trials(bridge, context, parent, rows, rows, pick, seed, most=focus.option.cost)
        why = await bridge.run(lambda: self.package.tune(trials)) or f"its {focus.option.cost} calls were used"
        best = None if trials.best is None else trials.best.program
        return [
            Proposal(
                best,
                focus.option.title,
                "meta",
                edits=() if best is None else changes(program, best),
                shown=tuple(rows),
                because=focus.because,
                faults=()
                if best is not None
                else (f"{self.package.title} found nothing better on {len(rows)} rows: {why}",),
            )
        ]


def changes(before: WorkflowProgram, after: WorkflowProgram) -> tuple[str, ...]:
    """The steps that are told something else, in words."""
    both = zip(before.slots(), after.slots(), strict=True)
    return tuple(
        f"{new.path}: other {', '.join(parts)}"
        for old, new in both
        if (parts := [n for n, value in new.parameters if n != "texts" and value != getattr(old.parameters, n)])
    )
