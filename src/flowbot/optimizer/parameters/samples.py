"""Ask a step more often where its samples are joined: 1, 3, 5 (self-consistency, Wang et al. 2023, arXiv 2203.11171)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from flowbot.optimizer.population import Candidate
from flowbot.optimizer.priors import Priors, shipped_priors
from flowbot.optimizer.seams import Context, Focus, Option, Proposal
from flowbot.run.events import Arm, Verdict
from flowbot.runtime.program import WorkflowProgram
from flowbot.workflow.graph import split_reference
from flowbot.workflow.nodes import MergeNode
from flowbot.workflow.parameters import LLMParameters
from flowbot.workflow.scope import Scope

from .step_change import llm_steps, option, proposal

NUMBERS = (3, 5)
WARM = 0.7
"""Temperature of samples where the step has none, at which they differ."""


@dataclass(slots=True)
class Samples:
    """Lets a step be asked more often. Where nothing joins samples the catalogue adds what does.

    Which temperature, and the numbers between, is not searched: of nine settings each needs forty pairs of rows or more to be told
    apart, and a model of the settings, as Optuna's TPE, draws the first ten by chance.

    Args:
        priors: what is believed of each kind.
    """

    priors: Priors = field(default_factory=shipped_priors)

    def options(self, parent: Candidate[WorkflowProgram], context: Context[WorkflowProgram]) -> Sequence[Option]:
        """One for every step whose samples a merge reads and that may have more."""
        program = parent.program
        return [
            option(
                program,
                Arm(kind="samples", place=path),
                f"ask step `{path}` more often",
                self.priors,
                most=len(more),
                extra=program.with_slot(path, more[0]).usual_calls - program.usual_calls,
            )
            for path, told in llm_steps(program)
            if (more := _more(told)) and _joined(program, path)
        ]

    async def propose(
        self, parent: Candidate[WorkflowProgram], focus: Focus, want: int, context: Context[WorkflowProgram]
    ) -> Sequence[Proposal[WorkflowProgram]]:
        """The next number."""
        program, path = parent.program, focus.option.arm.place
        more = _more(dict(llm_steps(program))[path])[focus.draw]
        title, edit = f"ask step `{path}` {more.samples} times", f"{more.samples} samples"
        return [proposal(program, path, more, "", edit, title=title, source="prior")]

    def learn(self, outcomes: Sequence[tuple[Candidate[WorkflowProgram], Verdict]]) -> None:
        """Nothing."""


def _more(told: LLMParameters) -> list[LLMParameters]:
    warm = told.temperature or WARM
    numbers = [number for number in NUMBERS if number > told.samples]
    return [told.model_copy(update={"samples": number, "temperature": warm}) for number in numbers]


def _joined(program: WorkflowProgram, path: str) -> bool:
    """Whether a merge that reads all samples reads the step."""
    nodes, name = Scope.of(program.workflow.sketch).at(path).nodes.values(), path.rpartition("/")[2]
    merges = [each for each in nodes if isinstance(each, MergeNode) and each.how in ("vote", "judge")]
    return any(split_reference(reference)[0] == name for each in merges for reference in each.inputs)
