"""The search of `flowbot`, on one screen: a pool of challengers to one incumbent, side by side, with no fixed schedule.

    while there is something to try and planned calls are left:
        the planner draws changes, their proposers make programs of them
        the allocator draws challengers, each is run with its parent on a block of rows
        the judge adopts, drops or sets aside, in the order of the draws

Proposals are made, and blocks are run, side by side; all are awaited before anything is decided, so that who answers first never
matters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeAlias

from flowbot.fields.words import count
from flowbot.run import events
from flowbot.run.result import PLAN_USED
from flowbot.runtime.together import all_of

from .admission import STATES, Admissions, admitted, decided, within
from .judge import STRICTER, Judge, Ruling
from .population import Candidate, P
from .seams import Allocator, Context, Pick, Planner, PlanUsed, Proposal

Blocks: TypeAlias = Sequence[tuple[Candidate[P], Sequence[str]]]
OPENING = 16
"""Rows that the start is run on first, and the incumbent where nothing is left to try: mistakes to propose from."""


@dataclass(slots=True)
class Pool(Generic[P]):
    """One search.

    Args:
        planner, allocator, judge: its rules.
        width: challengers that are open at once.
    """

    planner: Planner[P]
    allocator: Allocator[P]
    judge: Judge[P]
    width: int = 5
    _admissions: Admissions[P] = field(default_factory=lambda: Admissions[P](once=True))

    async def search(self, context: Context[P]) -> str:
        """Search until the planned calls are used or nothing is left to try; says which. The result is the incumbent.

        Raises:
            BudgetExceeded: at a ceiling of the user's; what was adopted by then stands.
        """
        population = context.population
        start = population.start.program
        try:
            await context.run(start, population.missing(start, opening(context)), "train")
            await self._challenge(context)
        except PlanUsed:
            context.settle()  # the last block took more calls than a block should: it is forgotten
            used = True
        else:
            used = bool(population.open)
        self._take_likely(context)
        self._set_aside(context)
        return PLAN_USED if used else "nothing is left to try"

    async def _challenge(self, context: Context[P]) -> None:
        """Propose, run and decide until neither is left: nothing to try, or no calls."""
        population = context.population
        while True:
            await self._fill(context)
            if ended := [each for each in population.open if not _has_rows(context, each)]:
                self._decide(context, ended, ended=True)
                continue
            blocks = affordable(context, self.allocator.blocks(population.open, context))
            if not blocks:
                if population.open or not await self._look_further(context):
                    return
                continue
            await all_of(context.run(program, rows, "train") for program, rows in _runs(context, blocks))
            self._decide(context, [candidate for candidate, _ in blocks])

    async def _look_further(self, context: Context[P]) -> bool:
        """Run the incumbent on more training rows, for mistakes that the first ones did not show; False where there are no more."""
        incumbent = context.population.incumbent.program
        rows = context.population.missing(incumbent, context.training)[: min(OPENING, fitting(context, incumbent))]
        if rows:
            text = f"nothing is left to try: the incumbent is run on {count(len(rows), 'more row')}"
            context.record(events.Noted(about="plateau", text=text, spent=context.spent))
            await context.run(incumbent, rows, "train")
        return bool(rows)

    async def _fill(self, context: Context[P]) -> None:
        population = context.population
        while (want := self.width - len(population.open)) > 0:
            picks = await self.planner.picks(want, context)
            made = await all_of(
                pick.proposer.propose(pick.parent, pick.focus, pick.focus.option.at_once, context) for pick in picks
            )
            for pick, proposals in zip(picks, made, strict=True):
                for proposal in proposals:
                    self._admit(context, pick, proposal)
            if not picks:
                return

    def _admit(self, context: Context[P], pick: Pick[P], proposal: Proposal[P]) -> None:
        """Journal a proposal; a valid one, that nobody made before, becomes a candidate. Once the structure has settled the
        changes of one incumbent soon lead to what another one led to: that is a candidate again, compared with this one."""
        population, proposal = context.population, within(context, proposal)
        name, program = self._admissions.journalled(context, pick, proposal), proposal.program
        if program is None or any(_settles(each, pick, program, population.incumbent) for each in population.members):
            return
        population.add(admitted(name, pick, proposal, program, population.incumbent))

    def _decide(self, context: Context[P], candidates: Sequence[Candidate[P]], *, ended: bool = False) -> None:
        """Verdicts in this order up to an adoption; where the rows of these have ended each is closed."""
        population = context.population
        for candidate in population.open:
            candidate.belief = self.judge.believe(candidate, population, context.rows)
        for candidate in candidates:
            extra = population.extra_calls(candidate)
            ruling = self.judge.ruling(candidate, population, context.rows, extra, last=ended)
            decision = ruling.decision or ("set aside" if ended else None)
            if decision is None:
                continue
            self._close(context, candidate, ruling, decision, learned=len(ruling.pairs) > 0)
            if decision == "adopt":
                self._adopt(context, candidate)
                return

    def _adopt(self, context: Context[P], candidate: Candidate[P]) -> None:
        """The incumbent changes. The other challengers are set aside: their gains are over the old one."""
        population = context.population
        population.incumbent = candidate
        others = [each for each in population.open if population.outcomes(each.program)]
        self.planner.carry(others)
        self._set_aside(context)

    def _set_aside(self, context: Context[P]) -> None:
        """Every open challenger, as it stands."""
        for each in context.population.open:
            ruling = self.judge.ruling(each, context.population, context.rows, 0.0)
            self._close(context, each, ruling, "set aside", learned=False)

    def _close(
        self,
        context: Context[P],
        candidate: Candidate[P],
        ruling: Ruling,
        decision: Literal["adopt", "drop", "set aside"],
        *,
        learned: bool = True,
    ) -> None:
        context.population.close(candidate, STATES[decision])
        verdict = decided(candidate, ruling, decision, context.spent)
        context.record(verdict)
        if learned:
            self.planner.learn([(candidate, verdict)])

    def _take_likely(self, context: Context[P]) -> None:
        """Calls are used up: the best open challenger is taken where it is likely better already. Validation will compare what is returned
        with the start alone: what makes another incumbent dearer is confirmed by nothing, and must be likelier better for that."""
        population = context.population
        ready = [each for each in population.open if population.outcomes(each.program)]
        if not ready:
            return
        best = max(ready, key=lambda each: each.belief.mean - population.charge(each))
        extra = population.extra_calls(best)
        ruling = self.judge.ruling(best, population, context.rows, extra, last=True)
        confirmed = population.incumbent is population.start or extra <= 0
        if ruling.decision == "adopt" and (confirmed or ruling.p >= STRICTER[1]):
            self._close(context, best, ruling, "adopt")
            population.incumbent = best


def _settles(member: Candidate[P], pick: Pick[P], program: P, incumbent: Candidate[P]) -> bool:
    """Whether a member is the program of a proposal, and there is nothing more to be found out about it."""
    if member.program.hash != program.hash:
        return False
    return not pick.focus.option.late or member.state == "open" or member.parent is incumbent


def fitting(context: Context[P], program: P, share: float = 1.0) -> int:
    """Rows that a program may be run on for a share of the planned calls that are left."""
    return max(0, int(share * context.left // max(1.0, context.calls_of(program))))


def opening(context: Context[P]) -> Sequence[str]:
    """The rows that the start is run on first, as many as the plan allows."""
    return context.rows[: min(OPENING, fitting(context, context.population.start.program))]


def affordable(context: Context[P], blocks: Blocks[P]) -> Blocks[P]:
    """As many of the rows of the blocks, in their order, as the planned calls surely allow."""
    left = context.left
    found: list[tuple[Candidate[P], Sequence[str]]] = []
    paid: set[tuple[str, str]] = set()
    for candidate, rows in blocks:
        fits: list[str] = []
        for row in rows:
            unpaid = [each for each in _sides(context, candidate, row) if (each.hash, row) not in paid]
            cost = sum(context.calls_of(each) for each in unpaid)
            if cost > left:
                break
            paid.update((each.hash, row) for each in unpaid)
            left -= cost
            fits.append(row)
        if fits:
            found.append((candidate, fits))
    return found


def _has_rows(context: Context[P], candidate: Candidate[P]) -> bool:
    """Whether a row is left that is evidence for a candidate: its author may have been shown all of them, or they are refused."""
    return any(row not in candidate.shown and _sides(context, candidate, row) for row in context.rows)


def _sides(context: Context[P], candidate: Candidate[P], row: str) -> list[P]:
    """Of candidate and parent those that were not run on the row."""
    assert candidate.parent is not None
    sides = (candidate.parent.program, candidate.program)
    return [each for each in sides if row not in context.population.outcomes(each)]


def _runs(context: Context[P], blocks: Blocks[P]) -> list[tuple[P, list[str]]]:
    """What is to be run for the blocks: each program once, with all of its rows, however many candidates are compared with it."""
    found: dict[str, tuple[P, list[str]]] = {}
    for candidate, rows in blocks:
        for row in rows:
            for program in _sides(context, candidate, row):
                _, of_program = found.setdefault(program.hash, (program, []))
                if row not in of_program:
                    of_program.append(row)
    return list(found.values())
