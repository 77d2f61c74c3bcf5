"""Give a step another model of the user's list, once the structure has settled: a cheaper one, or a stronger one. No model is asked.

Every step is a place of its own, the cheapest model comes first, and the measured runs decide by the one rule for cheaper and
dearer. Choosing a model for each step of a compound system: Chen et al. 2025 (LLMSelector, arXiv 2502.14815).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flowbot.optimizer.population import Candidate
from flowbot.optimizer.seams import Context, Focus, Option, Proposal
from flowbot.optimizer.step_models import StepModels, choosable
from flowbot.run.events import Arm
from flowbot.runtime.program import WorkflowProgram
from flowbot.workflow.parameters import ChoiceParameters, LLMParameters

from .step_change import option, proposal

CHEAPER, STRONGER = "cheaper model", "stronger model"


@dataclass(slots=True)
class Models:
    """Gives each step that may have another model one of those before or after its own, each draw the next dearer one.

    Args:
    """

    def options(self, parent: Candidate[WorkflowProgram], context: Context[WorkflowProgram]) -> Sequence[Option]:
        """For every step of the incumbent a cheaper and a stronger model, as far as there are any: on another parent a change would
        be compared with what has other models at several steps at once."""
        program, models = parent.program, context.models
        found: list[Option] = []
        if parent is not context.population.incumbent:
            return found
        for path, told in choosable(program.workflow):
            for kind, names in _others(models, told).items():
                more = models.weight(names[0]) - models.weight(told.model)
                samples = told.samples if isinstance(told, LLMParameters) else 1
                arm, title = Arm(kind=kind, place=path), f"give step `{path}` a {kind}"
                found.append(option(program, arm, title, most=len(names), extra=more * samples, late=True))
        return found

    async def propose(
        self, parent: Candidate[WorkflowProgram], focus: Focus, want: int, context: Context[WorkflowProgram]
    ) -> Sequence[Proposal[WorkflowProgram]]:
        """The program with the next model at the step."""
        program, models, arm = parent.program, context.models, focus.option.arm
        told = dict(choosable(program.workflow))[arm.place]
        name = _others(models, told)[arm.kind][focus.draw]
        given = told.model_copy(update={"model": models.named(name)})
        title = f"give step `{arm.place}` the {arm.kind} {name}"
        return [proposal(program, arm.place, given, "", f"model {name}", title=title, source="prior")]


def _others(models: StepModels, told: LLMParameters | ChoiceParameters) -> dict[str, list[str]]:
    """The models that a step may have instead of its own, cheapest first, by the kind of change."""
    both = {CHEAPER: models.cheaper(told.model), STRONGER: models.stronger(told.model)}
    return {kind: names for kind, names in both.items() if names}
