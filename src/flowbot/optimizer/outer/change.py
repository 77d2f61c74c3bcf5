"""What a change of a structure is, and what one can know of the step that it is about."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from flowbot.fields import Type
from flowbot.task import Task
from flowbot.workflow.edits import Edit
from flowbot.workflow.nodes import LLMNode, LoopNode, MapNode, Sketch, walk
from flowbot.workflow.parameters import LLMParameters
from flowbot.workflow.scope import Scope
from flowbot.workflow.starts import REASONING
from flowbot.workflow.workflow import Workflow


@dataclass(frozen=True, slots=True)
class Change:
    """A concrete change of one structure.

    Args:
        key: stable name, with the node that it is about.
        title: what it does, in a neutral sentence.
        build: the edits, given the code of the new computing step where there is one (else "").
        computes: the inputs and outputs (name to type text) of a new computing step, or None.
    """

    key: str
    title: str
    build: Callable[[str], list[Edit]]
    computes: tuple[dict[str, str], dict[str, str]] | None = None


@dataclass(frozen=True, slots=True)
class Focus:
    """The step that changes are about."""

    workflow: Workflow
    task: Task
    path: str
    node: LLMNode
    scope: Scope

    @property
    def name(self) -> str:
        """Its name in its body."""
        return self.path.rpartition("/")[2]

    @property
    def answers(self) -> dict[str, str]:
        """What it gives, but for its reasoning."""
        return {name: type_ for name, type_ in self.node.out.items() if name != REASONING}

    @property
    def told(self) -> LLMParameters:
        """Its parameters."""
        given = self.workflow.parameter(self.path)
        return given if isinstance(given, LLMParameters) else LLMParameters()

    def kinds(self) -> set[str]:
        """The kinds of types of its answers."""
        return {Type.parse(text).kind for text in self.answers.values()}

    def gives_text(self) -> bool:
        """Whether it gives free text that leaves its body: an answer, and not a note for another step."""
        return any(text == "str" and f"{self.name}.{name}" in ends(self.scope) for name, text in self.answers.items())

    def input_types(self) -> dict[str, Type]:
        """The types of what it reads, by input."""
        types = {name: self.scope.type_of(reference) for name, reference in self.node.inputs.items()}
        return {name: type_ for name, type_ in types.items() if type_ is not None}

    def fresh(self, name: str) -> str:
        """The name, or it with a number, that nothing in the workflow has."""
        taken = set(self.workflow.sketch.inputs)
        for path, node in walk(self.workflow.sketch):
            taken.add(path.rpartition("/")[2])
            taken.update(node.own() if isinstance(node, LoopNode | MapNode) else ())
        return free(name, taken)


def ends(scope: Scope) -> tuple[str, ...]:
    """What leaves a body: the references that the workflow's outputs, or a loop or map, take from it."""
    holder = scope.holder
    if isinstance(holder, LoopNode | MapNode):
        return holder.ends()
    return tuple(holder.outputs.values()) if isinstance(holder, Sketch) else ()


def free(name: str, taken: Collection[str]) -> str:
    """The name, or it with the lowest number from 2 on, that is not taken."""
    return next(each for each in (name, *(f"{name}_{n}" for n in range(2, len(taken) + 3))) if each not in taken)
