"""One judged draw of an inner optimiser on a structure, for loops that change one and then tune it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flowbot.run.events import Verdict
from flowbot.runtime.program import WorkflowProgram
from flowbot.runtime.together import all_of

from .admission import Admissions, decided
from .allocator import BLOCK
from .judge import Judge
from .population import Candidate
from .seams import Context, Planner


@dataclass(frozen=True, slots=True)
class Tuner:
    """Picks changes of parameters, and judges them on pairs of all rows.

    Args:
        planner: picks them.
        judge: decides.
    """

    planner: Planner
    judge: Judge

    async def step(self, context: Context, here: Candidate, admissions: Admissions, after: Sequence[str]) -> Candidate:
        """The program to go on with: a picked change, where the judge adopts it.

        Args:
            context: of the search.
            here: what is tuned; it becomes the incumbent.
            admissions: of the loop, which journal what is picked.
            after: rows that what is adopted is to be run on afterwards: no pair is paid for that leaves no calls for them.
        """
        context.population.incumbent = here
        for pick in await self.planner.picks(1, context):
            for proposal in await pick.proposer.propose(here, pick.focus, 1, context):
                candidate = admissions.admitted(context, pick, proposal)
                if candidate is None:
                    continue
                verdict = await self._judged(context, candidate, after)
                self.planner.learn([(candidate, verdict)])
                if verdict.decision == "adopt":
                    return candidate
        return here

    async def _judged(self, context: Context, candidate: Candidate, after: Sequence[str]) -> Verdict:
        assert candidate.parent is not None
        population, end, last = context.population, 0, False
        while True:
            end += BLOCK
            rows = context.rows[:end]
            if not last and fits(context, candidate.program, (*rows, *after)):
                both = (candidate.parent.program, candidate.program)
                await all_of(context.run(each, rows, "train") for each in both)
                last = end >= len(context.rows)  # fewer than before where an endpoint refused some
            else:
                last = True
            extra = population.extra_calls(candidate)
            ruling = self.judge.ruling(candidate, population, context.rows, extra, last=last)
            if ruling.decision is not None:
                candidate.belief = ruling.belief
                candidate.state = "adopted" if ruling.decision == "adopt" else "dropped"
                verdict = decided(candidate, ruling, ruling.decision, context.spent)
                context.record(verdict)
                return verdict


def fits(context: Context, program: WorkflowProgram, rows: Sequence[str], besides: float = 0.0) -> bool:
    """Whether the planned calls surely allow to run a program on the rows, and `besides`."""
    missing = context.population.missing(program, dict.fromkeys(rows))
    return len(missing) * context.calls_of(program) + besides <= context.left
