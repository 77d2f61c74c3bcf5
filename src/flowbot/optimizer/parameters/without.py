"""Take something from a step again: its worked examples, its hint, a rule, its tools, its further samples. No model is asked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from flowbot.optimizer.population import Candidate
from flowbot.optimizer.priors import Priors, shipped_priors
from flowbot.optimizer.seams import Context, Focus, Option, Proposal
from flowbot.run.events import Arm, Verdict
from flowbot.runtime.program import WorkflowProgram
from flowbot.workflow.nodes import walk
from flowbot.workflow.parameters import LLMParameters
from flowbot.workflow.prompt import slots

from .step_change import llm_steps, option, prompt_tokens, proposal, said


@dataclass(slots=True)
class Without:
    """Leaves out what a step has.

    Args:
        priors: what is believed of each kind.
    """

    priors: Priors = field(default_factory=shipped_priors)

    def options(self, parent: Candidate[WorkflowProgram], context: Context[WorkflowProgram]) -> Sequence[Option]:
        """One for all that a step has, unless what would be left was tried already."""
        program = parent.program
        known = {each.program.hash for each in context.population.members}
        found: list[Option] = []
        for path, told in llm_steps(program):
            for what, bare in _bare(told, _first(context, path)):
                changed = program.with_slot(path, bare)
                if changed.hash not in known:
                    arm, title = Arm(kind=f"without {what}", place=path), f"leave out the {what} of step `{path}`"
                    extra = changed.usual_calls - program.usual_calls
                    tokens = prompt_tokens(bare) - prompt_tokens(told)
                    found.append(option(program, arm, title, self.priors, extra=extra, tokens=tokens))
        return found

    async def propose(
        self, parent: Candidate[WorkflowProgram], focus: Focus, want: int, context: Context[WorkflowProgram]
    ) -> Sequence[Proposal[WorkflowProgram]]:
        """The program without it."""
        program, path = parent.program, focus.option.arm.place
        what = focus.option.arm.kind.removeprefix("without ")
        bare = dict(_bare(dict(llm_steps(program))[path], _first(context, path)))[what]
        edit, title = f"its {what} left out", focus.option.title
        return [proposal(program, path, bare, "", edit, title=title, source="prior")]

    def learn(self, outcomes: Sequence[tuple[Candidate[WorkflowProgram], Verdict]]) -> None:
        """Nothing."""


def _first(context: Context[WorkflowProgram], path: str) -> str:
    """What the step was told at the start: its lines are no rules that were added."""
    start = context.population.start.program.workflow
    return said(start.parameter(path)) if path in {each for each, _ in walk(start.sketch)} else ""


def _bare(told: LLMParameters, first: str) -> Iterator[tuple[str, LLMParameters]]:
    """What a step has, each with its parameters without that."""

    def less(**update: Any) -> LLMParameters:
        return told.model_copy(update=update)

    if told.demonstrations:
        yield "demonstrations", less(demonstrations=())
    if told.format_hint:
        yield "hint", less(format_hint="")
    before, _, last = said(told).rpartition("\n")
    if before.strip() and last.strip() and last.strip() not in first:
        yield "rule", told.with_text(before.rstrip(), slots(told.messages)[0] if told.messages else None)
    if told.tools:
        yield "tools", less(tools=())
    if told.samples > 1:
        yield "samples", less(samples=1, temperature=0.0)
