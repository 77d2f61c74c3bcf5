"""The paper's inner step: layer-wise gradients of the batch, then theta_k <- optim_call(theta_k, {g_k}) for every step."""

from __future__ import annotations

from collections.abc import Sequence

from flowbot.optimizer.feedback.links import MOST_CALLS
from flowbot.optimizer.feedback.parts import suspects
from flowbot.optimizer.parameters.step_change import option
from flowbot.optimizer.parameters.update import update_all
from flowbot.optimizer.population import Candidate
from flowbot.optimizer.seams import Context, Focus, Option, Proposal
from flowbot.optimizer.step_view import steps_of
from flowbot.run.events import Arm
from flowbot.runtime.program import WorkflowProgram
from flowbot.workflow.parameters import LLMParameters

TITLE = "update of all steps from the batch's gradients"
BATCH = 5
"""Rows whose gradients are asked for, where no batch is given: the first mistakes."""
DRAWS = 4


class Layerwise:
    """Every tunable step is updated once, from the gradients of the whole batch; an update that is not valid leaves its step as
    it was."""

    def options(self, parent: Candidate, context: Context) -> Sequence[Option]:
        """One: all steps."""
        calls = len(suspects(parent.program)) + BATCH * _most_questions(parent.program)
        return [option(parent.program, Arm(kind="layerwise"), TITLE, cost=calls, most=DRAWS)]

    async def propose(self, parent: Candidate, focus: Focus, want: int, context: Context) -> Sequence[Proposal]:
        """The updated program; nothing where nothing changed and nothing was wrong."""
        program = parent.program
        looked_at = focus.rows or self._mistakes(program, focus, context)
        await context.run(program, looked_at, "train")
        rows = context.recorded(program, looked_at)
        return [await update_all(context, program, rows, TITLE, draw=0 if focus.rows else focus.draw)]

    def _mistakes(self, program: WorkflowProgram, focus: Focus, context: Context) -> Sequence[str]:
        """Rows on which the program fell short of its best, other ones for each draw."""
        rows = context.recorded(program, context.training)
        best = max((row.score.value for row in rows), default=0.0)
        wrong = [row.example.id for row in rows if row.score.value < max(best, 1.0)]
        start = focus.draw * BATCH % max(1, len(wrong))
        return (wrong[start:] + wrong[:start])[:BATCH]


def _most_questions(program: WorkflowProgram) -> int:
    """Gradients of one run at most: of what is repeated the last calls are asked about."""
    questions = 0
    for step in steps_of(program.workflow):
        if step.tuned:
            repeated = (
                "/" in step.path
                or step.kind == "text"
                or (isinstance(told := step.told, LLMParameters) and told.samples > 1)
            )
            questions += MOST_CALLS if repeated else 1
    return questions
