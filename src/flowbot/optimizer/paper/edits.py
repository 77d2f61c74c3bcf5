"""The paper's outer step (FlowBot, arXiv 2604.26258): W <- optim_workflow(W, {grad_workflow(W, all x, y, loss)})."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from flowbot.fields import ToolSignature
from flowbot.optimizer.belief import Belief
from flowbot.optimizer.editing import EDITS, KINDS, TRIES, asked_edits
from flowbot.optimizer.population import Candidate
from flowbot.optimizer.prompts import fill
from flowbot.optimizer.rendering import expected_text, loss_text, run_text, sentence
from flowbot.optimizer.seams import Context, Focus, Option, Proposal
from flowbot.run.events import WRITTEN, Arm
from flowbot.runtime.evaluation import Row
from flowbot.runtime.program import WorkflowProgram
from flowbot.runtime.together import all_of
from flowbot.workflow.workflow import Workflow

BATCH = 5
"""Rows whose structure gradients are asked for at most."""
TITLE = "edits by the meta model"


class Edits:
    """Structure gradients of every row of the batch, then one list of edits, which is taken if it is valid; nothing is judged."""

    def options(self, parent: Candidate, context: Context) -> Sequence[Option]:
        """One: the whole structure."""
        return [Option(Arm(kind=WRITTEN), f"edits {parent.program.hash}", TITLE, Belief(0.0, 0.0), cost=TRIES + BATCH)]

    async def propose(self, parent: Candidate, focus: Focus, want: int, context: Context) -> Sequence[Proposal]:
        """The edited program, or the faults of `TRIES` tries; nothing where no feedback came."""
        program = parent.program
        await context.run(program, focus.rows, "train")
        rows = context.recorded(program, focus.rows)
        context.watch.step("structure gradients", 0, len(rows))
        told = context.told(program, rows)
        texts = await all_of(self._gradient(context, program.workflow, row) for row in told)
        said = tuple(
            context.feedback(program.hash, row.example.id, "", text) for row, text in zip(rows, texts, strict=True)
        )
        heard = [each for each in said if each.text]
        if not heard:
            return [Proposal(None, TITLE, "meta", feedback=said)]
        question = self._prompt(context, program.workflow, [each.text for each in heard])
        made = await asked_edits(context, program.workflow, question, tools=_declared(context))
        return [
            Proposal(
                None if made.workflow is None else WorkflowProgram(made.workflow),
                TITLE,
                "meta",
                reason=heard[0].text,
                edits=made.edits,
                shown=tuple(row.example.id for row in rows),
                feedback=said,
                because=tuple(each.id for each in heard),
                faults=made.faults,
            )
        ]

    async def _gradient(self, context: Context, workflow: Workflow, row: Row) -> str:
        prompt = fill(
            "grad_workflow",
            goal=context.task.goal,
            workflow=sentence(workflow),
            run=run_text(row),
            expected=expected_text(row),
            loss=loss_text(row),
        )
        return await context.ask_text(prompt, "gradients", max_tokens=120)

    def _prompt(self, context: Context, workflow: Workflow, feedback: list[str]) -> str:
        return fill(
            "optim_workflow",
            goal=context.task.goal,
            kinds=KINDS,
            edits=EDITS,
            tools="\n".join(f"{name}: {each.about}" for name, each in _declared(context).items()),
            workflow=json.dumps(workflow.sketch.dump(), ensure_ascii=False),
            feedback=feedback,
        )


def _declared(context: Context) -> Mapping[str, ToolSignature]:
    """The tools that the task declares: the paper's optimiser is told of no others."""
    declared = {tool.signature.name for tool in context.task.tools}
    return {name: each for name, each in context.signatures.items() if name in declared}
