"""What can be run and tuned: a workflow as it stands in its file, or a user's own Python that is traced as it runs.

The optimiser knows programs and their slots. Only what changes a structure knows that a program is a workflow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from flowbot.workflow.calls import fillings, most_calls
from flowbot.workflow.nodes import is_frozen, walk
from flowbot.workflow.parameters import Parameters, ProgramParameters
from flowbot.workflow.workflow import Workflow

from .engine import Engine
from .trace import Trace


@dataclass(frozen=True, slots=True)
class Slot:
    """A tunable place of a program.

    Args:
        path: where: `refine/critic`; `app:plan`, the text `plan` of the program `app`; `app:after/revise`, a step in its place `after`.
        kind: of the step: `llm`, `code`, `branch`, `merge`, …; `text` of a program's.
        parameters: what it is told, and how it is set.
        reads: what it reads, by reference.
        gives: names of what it gives.
        frozen: whether the user forbids to change it.
    """

    path: str
    kind: str
    parameters: Parameters
    reads: tuple[str, ...]
    gives: tuple[str, ...]
    frozen: bool


class Program(Protocol):
    """Anything with a content hash and slots that can be run on inputs."""

    @property
    def hash(self) -> str:
        """Equal for programs that do the same."""
        ...

    def slots(self) -> Sequence[Slot]:
        """Its tunable places, in a fixed order."""
        ...

    def with_slot(self, path: str, parameters: Parameters) -> Program:
        """The same program with other parameters at one place."""
        ...

    def dump(self) -> Mapping[str, Any]:
        """It as JSON data."""
        ...

    async def run(self, engine: Engine, inputs: Mapping[str, Any], *, purpose: str, example: str = "") -> Trace:
        """Run it once; a step that fails is part of the trace.

        Raises:
            RefusedError, InfrastructureError, BudgetExceeded, Paused: as `Engine.run`.
        """
        ...


@dataclass(frozen=True, slots=True)
class WorkflowProgram:
    """A workflow as a program.

    Args:
        workflow: what is run.
        hash: the workflow's, computed once: a search asks for it all the time.
        most_calls: model calls that a run makes at most, asking again aside.
    """

    workflow: Workflow
    hash: str = field(init=False)
    most_calls: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "hash", self.workflow.hash)
        object.__setattr__(self, "most_calls", max(1, most_calls(self.workflow)))

    def slots(self) -> Sequence[Slot]:
        """Every step, in the order of the sketch; of a program its texts, each as a call that is told it, and the steps of what fills its
        places, before the program."""
        sketch, found = self.workflow.sketch, list[Slot]()
        for path, node in walk(sketch):
            told, about = self.workflow.parameter(path), (node.references(), node.gives, is_frozen(sketch, path))
            if isinstance(told, ProgramParameters):
                found += [Slot(f"{path}:{name}", "text", told.told(name), *about) for name in told.texts]
                for name, filling in fillings(self.workflow, path):
                    inner = (
                        replace(each, path=f"{path}:{name}/{each.path}") for each in WorkflowProgram(filling).slots()
                    )
                    found += [replace(each, frozen=each.frozen or about[2]) for each in inner]
            found.append(Slot(path, node.kind, told, *about))
        return found

    def with_slot(self, path: str, parameters: Parameters) -> WorkflowProgram:
        """As of `Program`."""
        return WorkflowProgram(self.workflow.with_parameter(path, parameters))

    def dump(self) -> Mapping[str, Any]:
        """The workflow in the file format."""
        return self.workflow.dump()

    async def run(self, engine: Engine, inputs: Mapping[str, Any], *, purpose: str, example: str = "") -> Trace:
        """As of `Program`."""
        return await engine.run(self.workflow, inputs, example=example, purpose=purpose)
