"""Rewrite what one step is told, from textual gradients of failing runs. Which step, blame says; which runs, the draw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from flowbot.fields.words import count
from flowbot.optimizer.feedback.backward import backward_all, feedback_on, most_questions
from flowbot.optimizer.feedback.blame import Blame, Blamed, suspects
from flowbot.optimizer.feedback.history import tried
from flowbot.optimizer.feedback.parts import is_not_here
from flowbot.optimizer.feedback.runs import failing, varied
from flowbot.optimizer.population import Candidate
from flowbot.optimizer.priors import Priors, shipped_priors
from flowbot.optimizer.seams import Context, Focus, Option, Proposal
from flowbot.run.events import Arm, Verdict
from flowbot.runtime.evaluation import Row
from flowbot.runtime.program import WorkflowProgram

from .step_change import option, proposal
from .update import update
from .wording import texts_of


@dataclass(slots=True)
class Rewrite:
    """Lets the meta model rewrite the instruction of a step, one text of a prompt of the user's own, or code.

    The arm names the step where only one may be changed. Else each draw takes one by Thompson sampling over the blame, which is
    asked for at the first draw.

    Args:
        most: rewrites that are tried on one program, more where a prompt has more texts: each has a turn.
        mistakes: failing runs that a rewrite is made from.
        history: earlier tries on the step that the meta model is shown; 0 for a small one.
        priors: what is believed of each kind.
        blame: finds the step; proposers may share one.
    """

    most: int = 4
    mistakes: int = 3
    history: int = 3
    priors: Priors = field(default_factory=shipped_priors)
    blame: Blame = field(default_factory=Blame)
    _changed: int = 0
    _unchanged: int = 0

    def options(self, parent: Candidate[WorkflowProgram], context: Context[WorkflowProgram]) -> Sequence[Option]:
        """One, where runs went wrong and a step may be changed."""
        program = parent.program
        rows = context.recorded(program, context.training)
        paths, wrong = suspects(program), failing(rows)
        if not paths or not wrong:
            return []
        gradients = sorted((most_questions(program, row) for row in wrong), reverse=True)[: self.mistakes]
        cost = self.blame.cost(program, rows) + sum(gradients) + 1
        arm = Arm(kind="instruct", place=paths[0] if len(paths) == 1 else "")
        most = max(self.most, *(texts_of(program.workflow.parameter(path)) for path in paths))
        found = option(program, arm, "rewrite a step from its mistakes", self.priors, cost=cost, most=most)
        # A meta model that repeats what it read costs gradients and gains nothing: the belief is as large as the share of rewrites
        # that changed something, with one on credit.
        share = (1 + self._changed) / (1 + self._changed + self._unchanged)
        return [replace(found, prior=found.prior.shrunk(share, 0.0))]

    async def propose(
        self, parent: Candidate[WorkflowProgram], focus: Focus, want: int, context: Context[WorkflowProgram]
    ) -> Sequence[Proposal[WorkflowProgram]]:
        """One rewrite, from other failing runs than the draws before as far as there are others."""
        program, draw = parent.program, focus.draw
        blamed = await self.blame.of(context, program)
        path = blamed.draw(context.rng(f"rewrite/{program.hash}/{draw}"))
        rows = self._mistakes(context, program, focus, blamed, path)
        context.watch.step(f"gradients of {count(len(rows), 'run')}")
        gradients = await backward_all(context, program, rows, until=path)
        feedback = [each for each in feedback_on(path, gradients) if not is_not_here(each.text)]
        texts = texts_of(program.workflow.parameter(path))
        parameters, fault = await update(
            context,
            program,
            path,
            feedback,
            slot=draw % texts,
            tried=tried(context.population, program, path)[: self.history],
            draw=draw // texts,
        )
        made = proposal(
            program,
            path,
            parameters,
            fault or ("" if feedback else f"no feedback asks for a change of {path}"),
            "rewritten",
            title=f"rewrite step `{path}` from its mistakes",
            source="meta",
            reason=feedback[0].text if feedback else "",
            shown=tuple(dict.fromkeys((*(row.example.id for row in rows), *blamed.shown))),
            feedback=(*blamed.feedback, *(each for run in gradients for said in run.values() for each in said)),
            because=(*focus.because, *(each.id for each in (*blamed.on(path), *feedback))),
        )
        if made.program is None:
            self._unchanged += 1
        else:
            self._changed += 1
        return [made]

    def learn(self, outcomes: Sequence[tuple[Candidate[WorkflowProgram], Verdict]]) -> None:
        """Nothing: what was tried stands in the population."""

    def _mistakes(
        self, search: Context[WorkflowProgram], program: WorkflowProgram, focus: Focus, blamed: Blamed, path: str
    ) -> list[Row]:
        """Failing runs in which the step ran, those first that speak against it and those last that speak against another."""
        against = {each.example: False for each in blamed.feedback} | {each.example: True for each in blamed.on(path)}
        wrong = [
            row
            for row in failing(search.recorded(program, focus.rows or search.training))
            if any(step.node == path for step in row.trace.steps)
        ]
        order = varied(wrong, search.rng(f"mistakes/{program.hash}"))
        order.sort(key=lambda row: {True: 0, None: 1, False: 2}[against.get(row.example.id)])
        first = focus.draw * self.mistakes
        return [order[place % len(order)] for place in range(first, first + min(self.mistakes, len(order)))]
