"""LLM-AutoDiff's own protocol (Yin & Wang 2025, arXiv 2501.16673), with no structure changed: two gates, on one screen.

    for each step, with the next rows of training in a moving batch:
        a subset of it: rows that went wrong, and some that are right
        gradients of the wrong ones, through the whole run
        up to five texts, one after another, the step of which most was said first:
            gate 1   the score on the subset must rise
            gate 2   the score on validation must rise above that of the last text that passed
            else it is put back, and remembered as failed

Gate 2 ends as soon as that score cannot be passed any more; rows that were wrong come first, since they tell soonest. All goes on
until the planned calls are used, or no text has passed since every training row was last new in the batch: what is left may be labelled wrongly.
Nothing is begun that the planned calls do not surely allow to end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import cycle
from math import fsum

from flowbot.optimizer.admission import TAKEN, Admissions, require_planned
from flowbot.optimizer.allocator import BLOCK
from flowbot.optimizer.feedback.parts import suspects
from flowbot.optimizer.feedback.runs import PERFECT, failing
from flowbot.optimizer.pool import fitting
from flowbot.optimizer.population import Candidate, Pairs
from flowbot.optimizer.scored import scored
from flowbot.optimizer.seams import Context, Focus, Pick, Proposal
from flowbot.runtime.evaluation import Row
from flowbot.runtime.program import WorkflowProgram

from .proposer import AutoDiff, asked, blamed, gradients_of, subset

BATCH, WINDOW = 4, 20
"""Training rows that join the moving batch in a step, and that it holds at most."""
PROPOSALS = 5
"""Texts that are tried in a step."""
VALIDATED = 0.25
"""Share of the planned calls that one validation takes at most: where few are planned, fewer of its rows decide."""


@dataclass(slots=True)
class Gated:
    """One search by that protocol. What is returned is the last text that passed both gates, and so the best on validation.

    Args:
        optimiser: writes the texts.
    """

    optimiser: AutoDiff = field(default_factory=AutoDiff)
    _admissions: Admissions = field(default_factory=lambda: Admissions(once=True))
    _accepted: list[Candidate] = field(default_factory=list[Candidate])
    _validated: Sequence[str] = ()
    _window: list[str] = field(default_factory=list[str])
    _questions: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])

    def opening(self, context: Context) -> Sequence[str]:
        """The start is validated first: on all rows, or on as many as the plan allows."""
        self._validated = context.validation[: fitting(context, context.population.start.program, VALIDATED)]
        if len(self._validated) < len(context.validation):
            context.watch.news(f"Few calls are planned: {len(self._validated)} validation rows decide")
        return self._validated

    async def search(self, context: Context) -> str:
        """Steps, until the planned calls are used or a walk through training brought no text that passed."""
        start = context.population.start
        self._accepted = [start]
        context.record(scored(context, start.program, "val", self._validated))
        step = idle = 0
        while idle * BATCH < len(context.training) + WINDOW:
            rows, passed = await self._moved(context, step), len(self._accepted)
            chosen = subset(rows, context.rng(f"autodiff/{step}")) if failing(rows) else []
            ranked = await self._ranked(context, chosen)
            await self._try(context, ranked, chosen)
            step, idle = step + 1, 0 if len(self._accepted) > passed else idle + 1
        return "no text passed in a walk through training"

    async def choose(self, context: Context) -> Candidate:
        """What passed last."""
        return self._accepted[-1] if self._accepted else context.population.start

    async def _moved(self, context: Context, step: int) -> Sequence[Row]:
        """The runs of the moving batch, with the next training rows in it."""
        program, training = self._accepted[-1].program, context.training
        more = [training[(step * BATCH + place) % len(training)] for place in range(min(BATCH, len(training)))]
        self._window = [*(row for row in self._window if row not in more), *more][-WINDOW:]
        missing = context.population.missing(program, self._window)
        require_planned(context, len(missing) * context.calls_of(program))
        await context.run(program, self._window, "train")
        return context.recorded(program, self._window)

    async def _ranked(self, context: Context, chosen: Sequence[str]) -> Sequence[str]:
        """The steps of which something is said, those of which most is said first."""
        program = self._accepted[-1].program
        rows = context.recorded(program, chosen)
        if not rows:
            return ()
        wrong = [row for row in rows if row.score.value < PERFECT]
        require_planned(context, asked(program, wrong) + 1 + self._gates(context, program, chosen))
        gradients = await gradients_of(context, program, rows)
        said = {path: blamed(path, rows, gradients) for path in suspects(program)}
        ranked = sorted((path for path in said if any(said[path])), key=lambda path: said[path], reverse=True)
        return [path for path in ranked if said[path][0]] or ranked

    async def _try(self, context: Context, ranked: Sequence[str], chosen: Sequence[str]) -> None:
        """Up to `PROPOSALS` texts, one step after another, until one passes."""
        here, left = self._accepted[-1], PROPOSALS
        self.optimiser.refused.clear()
        options = {each.arm.place: each for each in self.optimiser.options(here, context)}
        for path in cycle(ranked):
            number = self._questions[here.program.hash, path]
            self._questions[here.program.hash, path] += 1
            draw = number * self.optimiser.a_call(context, here.program, path)
            focus = Focus(options[path], draw, TAKEN, TAKEN, rows=tuple(chosen))
            require_planned(context, 1 + self._gates(context, here.program, chosen))
            for made in await self.optimiser.propose(here, focus, left, context):
                left -= 1
                if await self._passed(context, Pick(here, self.optimiser, focus), made, chosen) or not left:
                    return

    async def _passed(self, context: Context, pick: Pick, made: Proposal, chosen: Sequence[str]) -> bool:
        """Whether a proposal passed both gates; it is journalled, run and decided."""
        population, here = context.population, pick.parent
        require_planned(context, self._gates(context, here.program, chosen))
        if made.program and any(each.program.hash == made.program.hash for each in population.members):
            made = replace(made, program=None, faults=(*made.faults, "it was tried before"))
        candidate = self._admissions.admitted(context, pick, made)
        if candidate is None:
            self.optimiser.refused.setdefault(pick.focus.option.arm.place, []).append(f"(refused: {made.faults[-1]})")
            return False
        await context.run(candidate.program, chosen, "train")
        pairs = population.pairs(candidate, chosen, here, shown=True)
        if fsum(pairs.mine) <= fsum(pairs.theirs):
            self._admissions.compared(context, candidate, "drop", "mean of the subset", pairs)
            return False
        pairs, passed = await self._validates(context, candidate, here)
        self._admissions.compared(context, candidate, "adopt" if passed else "drop", "mean of validation", pairs)
        if passed:
            self._accepted.append(candidate)
            population.incumbent = candidate
            context.record(scored(context, candidate.program, "val", self._validated))
            self._window.clear()  # its runs are those of another program
        return passed

    async def _validates(self, context: Context, candidate: Candidate, here: Candidate) -> tuple[Pairs, bool]:
        """The pairs that were run, and whether the candidate has the higher score on all rows."""
        seen = context.population.outcomes(here.program)
        order = sorted((row for row in self._validated if row in seen), key=lambda row: seen[row].score)
        pairs = Pairs((), (), ())
        for end in range(BLOCK, len(order) + BLOCK, BLOCK):
            await context.run(candidate.program, order[:end], "val")
            pairs = context.population.pairs(candidate, order[:end], here, shown=True)
            left = order[end:]
            most = fsum(pairs.mine) + PERFECT * len(left)
            if most <= fsum([*pairs.theirs, *(seen[row].score for row in left)]):
                return pairs, False
        return pairs, len(pairs) > 0

    def _gates(self, context: Context, program: WorkflowProgram, chosen: Sequence[str]) -> float:
        """Calls that both gates take at most, of a program or one with other texts."""
        return (len(chosen) + len(self._validated)) * context.calls_of(program)
