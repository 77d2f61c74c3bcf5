"""TextGrad's step (Yuksekgonul et al. 2024, arXiv 2406.07496), plain as published: each variable is written anew once, from all that
was said of it in a batch, one thing under the other (`sum`). It knows no history, no other variable and no score.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flowbot.optimizer.feedback.backward import most_questions
from flowbot.optimizer.feedback.parts import suspects
from flowbot.optimizer.parameters.step_change import option
from flowbot.optimizer.parameters.update import update_all
from flowbot.optimizer.population import Candidate
from flowbot.optimizer.seams import Context, Focus, Option, Proposal
from flowbot.run.events import Arm
from flowbot.runtime.program import WorkflowProgram

BATCH = 3
"""Rows of a step."""
TITLE = "update of all texts by their joined gradients"


@dataclass(slots=True)
class TextGrad:
    """Writes the instruction of every LLM step, and the code of every computing step, anew at once.

    Args:
        most: steps that are tried on one program, each from other rows.
    """

    most: int = 4

    def options(self, parent: Candidate, context: Context) -> Sequence[Option]:
        """One: a step, from rows that were run."""
        program = parent.program
        rows, paths = context.recorded(program, context.training), suspects(program)
        if not paths or not rows:
            return []
        questions = sorted((most_questions(program, row) for row in rows), reverse=True)[:BATCH]
        return [option(program, Arm(kind="textgrad"), TITLE, cost=len(paths) + sum(questions), most=self.most)]

    async def propose(self, parent: Candidate, focus: Focus, want: int, context: Context) -> Sequence[Proposal]:
        """The program after one step; a text that is no valid one leaves its step as it was."""
        program = parent.program
        rows = context.recorded(program, focus.rows or self._drawn(program, focus, context))
        return [
            await update_all(context, program, rows, TITLE, draw=focus.draw, template="textgrad_update", growing=True)
        ]

    def _drawn(self, program: WorkflowProgram, focus: Focus, context: Context) -> Sequence[str]:
        """A batch of rows that were run, right ones among them."""
        rows = [row.example.id for row in context.recorded(program, context.training)]
        return context.rng(f"textgrad/{program.hash}/{focus.draw}").sample(rows, k=min(BATCH, len(rows)))
