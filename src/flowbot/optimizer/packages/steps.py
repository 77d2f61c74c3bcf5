"""The steps of a program as a package sees them that tunes instructions and demonstrations: fields in, fields out, an instruction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flowbot.optimizer.step_view import step_at
from flowbot.runtime.program import WorkflowProgram
from flowbot.runtime.trace import Step as Call
from flowbot.workflow.parameters import Demonstration, LLMParameters

from .places import Place, places

ROW = "dspy_row"
"""The member of an example that holds the id of its row; DSPy shows nobody what begins with `dspy_`."""


@dataclass(frozen=True, slots=True)
class Step:
    """A step in which a model answers.

    Args:
        path: of the step.
        place: of its instruction, or of the longest text of a prompt of the user's own.
        inputs: names of what it reads, each with the task's input that it is, or "".
        outputs: what it gives, by a name that no input has, each with its own name and the task's output that it is, or "".
        shown: its demonstrations at the start.
    """

    path: str
    place: Place
    inputs: Mapping[str, str]
    outputs: Mapping[str, tuple[str, str]]
    shown: Sequence[Demonstration]

    def values(self, inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """What a call received and gave, by the names here."""
        return (
            {name: inputs.get(name) for name in self.inputs},
            {name: outputs.get(own) for name, (own, _) in self.outputs.items()},
        )

    def demonstration(self, example: Mapping[str, Any]) -> Demonstration | None:
        """What an example shows, one of its own calls or a row of the task; None where that does not tell all of it."""
        known = {**{name: name for name in self.inputs}, **{name: name for name in self.outputs}}
        if "augmented" not in example:  # a row of the task
            known = {**self.inputs, **{name: named for name, (_, named) in self.outputs.items()}}
        if not all(each in example for each in known.values()):
            return None
        return Demonstration(
            inputs={name: example[known[name]] for name in self.inputs},
            outputs={own: example[known[name]] for name, (own, _) in self.outputs.items()},
            example=example.get(ROW, ""),
        )


def steps(program: WorkflowProgram) -> list[Step]:
    """Its steps in the order of the sketch, but for those that are frozen."""
    found = list[Step]()
    texts = [each for each in places(program).values() if each.slot != "format_hint"]
    for path in dict.fromkeys(each.path for each in texts):
        step = step_at(program.workflow, path)
        if not isinstance(told := step.told, LLMParameters) or not step.writes:
            continue
        inputs = step.inputs
        named = step.task_outputs
        outputs = {f"new_{own}" if own in inputs else own: (own, named[own]) for own in named}
        longest = max((each for each in texts if each.path == path), key=lambda each: len(each.text))
        found.append(Step(path, longest, inputs, outputs, told.demonstrations))
    return found


def with_demonstrations(program: WorkflowProgram, shown: Mapping[str, Sequence[Demonstration]]) -> WorkflowProgram:
    """The program with these demonstrations, by path of the step."""
    for path, demonstrations in shown.items():
        told = program.workflow.parameter(path)
        assert isinstance(told, LLMParameters)
        program = program.with_slot(path, told.model_copy(update={"demonstrations": tuple(demonstrations)}))
    return program


def given(calls: Sequence[Call]) -> list[Call]:
    """The calls that gave something."""
    return [each for each in calls if each.outputs is not None]
