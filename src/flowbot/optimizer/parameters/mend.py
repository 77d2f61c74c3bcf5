"""Write the code of a computing step anew: the meta model sees what it was called with, and what it raised, or what the workflow's
result should have been where the code ran and the result was wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flowbot.fields import StepError
from flowbot.optimizer.feedback.runs import calls_of, failing, varied
from flowbot.optimizer.population import Candidate
from flowbot.optimizer.rendering import output_text, right_text, values_text
from flowbot.optimizer.seams import Context, Focus, Option, Proposal
from flowbot.run.events import Arm
from flowbot.runtime.evaluation import Row
from flowbot.runtime.trace import Step
from flowbot.workflow.nodes import CodeNode, is_frozen, walk
from flowbot.workflow.parameters import CodeParameters

from .step_change import option, proposal
from .update import update


@dataclass(slots=True)
class Mend:
    """Lets the meta model rewrite code that failed (`mend`), or that ran in failing runs (`code`).

    Args:
        most: tries on one step of one program that failed.
        again: tries on one that ran.
        failures: calls that the meta model is shown.
    """

    most: int = 4
    again: int = 2
    failures: int = 3

    def options(self, parent: Candidate, context: Context) -> Sequence[Option]:
        """One for every computing step that failed in a run, or that ran in one that went wrong, and is not frozen."""
        program = parent.program
        rows, sketch = context.recorded(program, context.training), parent.program.workflow.sketch
        found: list[Option] = []
        for path, node in walk(sketch):
            if not isinstance(node, CodeNode) or is_frozen(sketch, path):
                continue
            if any(_failed(row, path) for row in rows):
                arm, title, most = Arm(kind="mend", place=path), f"mend the code of `{path}`", self.most
            elif any(_ran(row, path) for row in failing(rows)):
                arm, title, most = Arm(kind="code", place=path), f"write the code of `{path}` anew", self.again
            else:
                continue
            found.append(option(program, arm, title, cost=1, most=most))
        return found

    async def propose(self, parent: Candidate, focus: Focus, want: int, context: Context) -> Sequence[Proposal]:
        """One new code, that no longer fails on all that it was shown, or gives something else on some of it."""
        program, (kind, path) = parent.program, (focus.option.arm.kind, focus.option.arm.place)
        looked, rows = _failed if kind == "mend" else _ran, context.recorded(program, focus.rows or context.training)
        rows = [row for row in (rows if kind == "mend" else failing(rows)) if looked(row, path)]
        shown = varied(rows, context.rng(f"{kind}/{program.hash}/{focus.draw}"))[: self.failures]
        calls = [(row, step) for row in shown if (step := looked(row, path))]
        told = context.told(program, shown)
        feedback = [
            context.feedback(
                program.hash,
                row.example.id,
                step.address,
                _said(step) if kind == "mend" else f"{_said(step)}\nIn the end {right_text(row, context.task.metric)}",
                source="rule",
            )
            for row, (_, step) in zip(told, calls, strict=True)
        ]
        parameters, fault = await update(context, program, path, feedback, draw=focus.draw)
        if calls and isinstance(parameters, CodeParameters):
            tries = [await _tried(context, parameters.code, step) for _, step in calls]
            if all(error for _, error in tries):
                parameters, fault = None, tries[0][1]
            elif all(outputs == step.outputs for (outputs, _), (_, step) in zip(tries, calls, strict=True)):
                parameters, fault = None, "it gives the same on all that it was shown"
        return [
            proposal(
                program,
                path,
                parameters,
                fault,
                "mended" if kind == "mend" else "written anew",
                title=focus.option.title,
                source="meta",
                reason=feedback[0].text if feedback else "",
                shown=tuple(row.example.id for row in shown),
                feedback=tuple(feedback),
                because=(*focus.because, *(each.id for each in feedback)),
                code_by="meta",
            )
        ]


def _failed(row: Row, path: str) -> Step | None:
    """The first call of a step that failed."""
    return next((step for step in calls_of(row, path) if step.error), None)


def _ran(row: Row, path: str) -> Step | None:
    """The first call of a step."""
    return next((step for step in calls_of(row, path) if not step.error), None)


def _said(step: Step) -> str:
    return f"It received {values_text(step.inputs)}\n{output_text(step)}"


async def _tried(search: Context, code: str, step: Step) -> tuple[Any, str]:
    """What new code returns where the old code was called, and what it raises; "" for nothing."""
    try:
        return await search.run_code(code, step.inputs), ""
    except StepError as error:
        return None, str(error)
