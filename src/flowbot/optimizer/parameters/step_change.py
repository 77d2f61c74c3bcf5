"""A change of the parameters of one step: as an option, and as the proposal that came of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flowbot.fields import stable_hash
from flowbot.optimizer.priors import Priors
from flowbot.optimizer.seams import Option, Proposal
from flowbot.run.events import Arm
from flowbot.runtime.program import WorkflowProgram
from flowbot.workflow.parameters import CodeParameters, Parameters


def option(program: WorkflowProgram, arm: Arm, title: str, priors: Priors, *, cost: int = 0, most: int = 1) -> Option:
    """A change that may be tried on exactly this program: on another one the same change is another text.

    Args:
        program: what is changed.
        arm: the kind of change, and the step.
        title: the change, in plain words.
        priors: what is believed of each kind of change.
        cost: questions to the meta model that a draw takes at most.
        most: draws that are worth it.
    """
    level = "parameters"
    key = stable_hash([program.hash, str(arm)])
    return Option(arm, key, title, priors.belief(arm.kind, level), cost=cost, most=most, level=level)


def proposal(
    program: WorkflowProgram, path: str, parameters: Parameters | None, fault: str, edit: str, **about: Any
) -> Proposal[WorkflowProgram]:
    """The program with other parameters at one step, or with none where there are no others.

    Args:
        program: what is changed.
        path: of the step.
        parameters: None where none came of it.
        fault: why, then.
        edit: what was done to the step, in words.
        about: the other members of `Proposal`.
    """
    changed = None if parameters is None else program.with_slot(path, parameters)
    if changed is None or changed.hash == program.hash:
        return Proposal(None, faults=(fault or "nothing changed",), **about)
    return Proposal(changed, edits=(f"{path}: {edit}",), **about)


def changed_steps(
    program: WorkflowProgram, updates: Mapping[str, tuple[Parameters | None, str]]
) -> tuple[WorkflowProgram | None, tuple[str, ...], tuple[str, ...]]:
    """The program with other parameters at several steps, None where no step has others; the changes in words; the faults.

    Args:
        program: what is changed.
        updates: by path of a step its parameters, or None with the reason.
    """
    changed, edits, faults = program, list[str](), list[str]()
    for path, (parameters, fault) in updates.items():
        if parameters is None:
            faults.append(f"{path}: {fault}")
        elif parameters != program.workflow.parameter(path):
            changed = changed.with_slot(path, parameters)
            edits.append(f"{path}: new {'code' if isinstance(parameters, CodeParameters) else 'instruction'}")
    return (changed if edits else None), tuple(edits), tuple(faults)
