"""Mend the code of a computing step that failed: the meta model sees what it was called with and what it raised."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from flowbot.fields import StepError
from flowbot.optimizer.feedback.runs import varied
from flowbot.optimizer.population import Candidate
from flowbot.optimizer.priors import Priors, shipped_priors
from flowbot.optimizer.rendering import output_text, values_text
from flowbot.optimizer.seams import Context, Focus, Option, Proposal
from flowbot.run.events import Arm, Verdict
from flowbot.runtime.evaluation import Row
from flowbot.runtime.program import WorkflowProgram
from flowbot.runtime.trace import Step
from flowbot.workflow.nodes import CodeNode, is_frozen, walk
from flowbot.workflow.parameters import CodeParameters

from .step_change import option, proposal
from .update import update


@dataclass(slots=True)
class Mend:
    """Lets the meta model rewrite code that failed.

    Args:
        most: tries on one step of one program.
        failures: failed calls that the meta model is shown.
        priors: what is believed of each kind.
    """

    most: int = 4
    failures: int = 3
    priors: Priors = field(default_factory=shipped_priors)

    def options(self, parent: Candidate[WorkflowProgram], context: Context[WorkflowProgram]) -> Sequence[Option]:
        """One for every computing step that failed in a run and is not frozen."""
        program = parent.program
        rows, sketch = context.recorded(program, context.training), parent.program.workflow.sketch
        return [
            option(
                program, Arm(kind="mend", place=path), f"mend the code of `{path}`", self.priors, cost=1, most=self.most
            )
            for path, node in walk(sketch)
            if isinstance(node, CodeNode) and not is_frozen(sketch, path) and any(_failed(row, path) for row in rows)
        ]

    async def propose(
        self, parent: Candidate[WorkflowProgram], focus: Focus, want: int, context: Context[WorkflowProgram]
    ) -> Sequence[Proposal[WorkflowProgram]]:
        """One mended code, that no longer fails on all that it was shown."""
        program, path = parent.program, focus.option.arm.place
        rows = [row for row in context.recorded(program, focus.rows or context.training) if _failed(row, path)]
        shown = varied(rows, context.rng(f"mend/{program.hash}/{focus.draw}"))[: self.failures]
        calls = [(row, step) for row in shown if (step := _failed(row, path))]
        feedback = [
            context.feedback(program.hash, row.example.id, step.address, _said(step), source="rule")
            for row, step in calls
        ]
        parameters, fault = await update(context, program, path, feedback, draw=focus.draw)
        if isinstance(parameters, CodeParameters):
            errors = [await _error(context, parameters.code, step) for _, step in calls]
            if all(errors):
                parameters, fault = None, errors[0]
        return [
            proposal(
                program,
                path,
                parameters,
                fault,
                "mended",
                title=f"mend the code of `{path}`",
                source="meta",
                reason=feedback[0].text if feedback else "",
                shown=tuple(row.example.id for row in shown),
                feedback=tuple(feedback),
                because=(*focus.because, *(each.id for each in feedback)),
                code_by="meta",
            )
        ]

    def learn(self, outcomes: Sequence[tuple[Candidate[WorkflowProgram], Verdict]]) -> None:
        """Nothing."""


def _failed(row: Row, path: str) -> Step | None:
    """The first call of a step that failed."""
    return next((step for step in row.trace.steps if step.node == path and step.error), None)


def _said(step: Step) -> str:
    return f"It received {values_text(step.inputs)}\n{output_text(step)}"


async def _error(search: Context[WorkflowProgram], code: str, step: Step) -> str:
    """What mended code raises where the old code failed; "" for nothing."""
    try:
        await search.run_code(code, step.inputs)
    except StepError as error:
        return str(error)
    return ""
