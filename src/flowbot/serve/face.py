"""What a client is told of a workflow: its name, what it is for, what it takes and what it gives."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flowbot.fields import Field, Type
from flowbot.runtime.inputs import named_inputs
from flowbot.workflow.scope import Scope

if TYPE_CHECKING:
    from flowbot.task import Task
    from flowbot.workflow.workflow import Workflow


@dataclass(frozen=True)
class Face:
    """A workflow as clients see it.

    Args:
        name: what they call it.
        about: what it is for, in a sentence.
        inputs: what it takes, in order.
        outputs: what it gives.
    """

    name: str
    about: str
    inputs: tuple[Field, ...]
    outputs: tuple[Field, ...]

    @staticmethod
    def of(workflow: Workflow, name: str, task: Task | None = None) -> Face:
        """The face of a workflow.

        Args:
            workflow: a valid one.
            name: letters and digits of it are kept.
            task: says what it is for, and what its fields mean.
        """
        said = {} if task is None else {field.name: field.about for field in (*task.inputs, *task.outputs)}
        scope = Scope.of(workflow.sketch)
        given = {output: scope.type_of(reference) for output, reference in workflow.sketch.outputs.items()}
        return Face(
            re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-")[:64] or "flow",
            workflow.summary if task is None else task.goal,
            tuple(Field.of(each, kind, said.get(each, "")) for each, kind in workflow.sketch.inputs.items()),
            tuple(Field(each, kind or Type.parse("object"), said.get(each, "")) for each, kind in given.items()),
        )

    @property
    def asks_text(self) -> str:
        """The name of the input, where there is one and it is a text; "" otherwise."""
        return self.inputs[0].name if len(self.inputs) == 1 and self.inputs[0].type.kind == "str" else ""

    @property
    def gives_text(self) -> str:
        """The same of the output."""
        return self.outputs[0].name if len(self.outputs) == 1 and self.outputs[0].type.kind == "str" else ""

    def checked(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The inputs of one request, as values of their types.

        Raises:
            UserError: as `flowbot run` says it.
        """
        return named_inputs(values, self.inputs)
