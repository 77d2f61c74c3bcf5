"""A workflow that works and the ways in which one of its instructions is spoiled, as they stand in `spoils.yaml`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from flowbot.fields.yaml import read_data
from flowbot.optimizer.feedback.parts import suspects
from flowbot.runtime.program import WorkflowProgram
from flowbot.task import Example, Task
from flowbot.workflow.parameters import LLMParameters
from flowbot.workflow.workflow import Workflow

SPOILS = Path(__file__).with_name("spoils.yaml")


@dataclass(frozen=True, slots=True)
class Spoil:
    """One way: the step whose instruction is another one."""

    name: str
    step: str
    instruction: str


@dataclass(frozen=True, slots=True)
class Spoils:
    """The workflow and the ways.

    Args:
        path: file of the task.
        workflow: that works.
        ways: in which it is spoiled.
    """

    path: Path
    workflow: Workflow
    ways: Sequence[Spoil]

    @property
    def suspects(self) -> Sequence[str]:
        """Steps that may be blamed."""
        return suspects(WorkflowProgram(self.workflow))

    def task(self, rows: Sequence[int]) -> Task:
        """The task with the first rows of each split.

        Args:
            rows: how many of train, val and test.
        """
        task = Task.load(self.path)
        names = ("train", "val", "test")
        splits = {name: _first(task.splits[name], count) for name, count in zip(names, rows, strict=True)}
        return replace(task, splits={**task.splits, **splits})

    def spoiled(self, way: Spoil) -> Workflow:
        """The workflow with the instruction of that way."""
        told = self.workflow.parameter(way.step)
        assert isinstance(told, LLMParameters)
        return self.workflow.with_parameter(way.step, told.model_copy(update={"instruction": way.instruction}))


def _first(examples: Sequence[Example], count: int) -> tuple[Example, ...]:
    return tuple(examples[:count])


def read_spoils(path: Path = SPOILS) -> Spoils:
    """What stands in the file.

    Raises:
        UserError: if it cannot be read or the workflow is none.
    """
    data = cast("dict[str, Any]", read_data(path))
    ways = [Spoil(name, each["step"], each["instruction"]) for name, each in data["ways"].items()]
    return Spoils(path.parent / data["task"], Workflow.from_data(data["workflow"]), ways)
