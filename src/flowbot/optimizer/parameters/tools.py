"""Let a step that calls tools call others: each that it may call left out once, each that it may not allowed once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from flowbot.optimizer.population import Candidate
from flowbot.optimizer.priors import Priors, shipped_priors
from flowbot.optimizer.seams import Context, Focus, Option, Proposal
from flowbot.run.events import Arm, Verdict
from flowbot.runtime.program import WorkflowProgram
from flowbot.workflow.parameters import LLMParameters

from .step_change import llm_steps, option, proposal


@dataclass(slots=True)
class Tools:
    """Changes the tools of a step by one. A step without tools is the catalogue's to change: it then takes more calls.

    Args:
        priors: what is believed of each kind.
    """

    priors: Priors = field(default_factory=shipped_priors)

    def options(self, parent: Candidate[WorkflowProgram], context: Context[WorkflowProgram]) -> Sequence[Option]:
        """One for every step with tools that may have others."""
        program = parent.program
        return [
            option(
                program,
                Arm(kind="tools", place=path),
                f"let step `{path}` call other tools",
                self.priors,
                most=len(others),
            )
            for path, told in llm_steps(program)
            if (others := _others(told, context))
        ]

    async def propose(
        self, parent: Candidate[WorkflowProgram], focus: Focus, want: int, context: Context[WorkflowProgram]
    ) -> Sequence[Proposal[WorkflowProgram]]:
        """The next other set."""
        program, path = parent.program, focus.option.arm.place
        told = dict(llm_steps(program))[path]
        said, tools = _others(told, context)[focus.draw]
        other = told.model_copy(update={"tools": tools})
        return [proposal(program, path, other, "", said, title=f"step `{path}`: {said}", source="prior")]

    def learn(self, outcomes: Sequence[tuple[Candidate[WorkflowProgram], Verdict]]) -> None:
        """Nothing."""


def _others(told: LLMParameters, context: Context[WorkflowProgram]) -> list[tuple[str, tuple[str, ...]]]:
    """Other sets of tools with what was done; none for a step without tools."""
    if not told.tools:
        return []
    fewer = told.tools if len(told.tools) > 1 else ()
    safe = [name for name, each in context.signatures.items() if each.effects != "writes" or each.simulated]
    return [
        *((f"it may not call {tool}", tuple(each for each in told.tools if each != tool)) for tool in fewer),
        *((f"it may call {tool}, too", (*told.tools, tool)) for tool in safe if tool not in told.tools),
    ]
