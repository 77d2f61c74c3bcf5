"""What strategies ask of a step, whatever it is made of. They know paths, and no kinds of nodes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from flowbot.fields import Type
from flowbot.workflow.nodes import BranchNode, CodeNode, LLMNode, MergeNode, Node, ToolNode, is_frozen, node_at, walk
from flowbot.workflow.parameters import Parameters
from flowbot.workflow.scope import Scope
from flowbot.workflow.workflow import Workflow


@dataclass(frozen=True, slots=True)
class StepView:
    """One step of a workflow.

    Args:
        workflow: that has it.
        path: where it stands.
        node: what it is made of; nobody but this class looks at it.
    """

    workflow: Workflow
    path: str
    node: Node

    @property
    def kind(self) -> str:
        """Of the node."""
        return self.node.kind

    @property
    def tuned(self) -> bool:
        """Whether what it does may be changed by its parameters: its text is a model's instruction or code."""
        return isinstance(self.node, CodeNode) or self.node.asks

    @property
    def frozen(self) -> bool:
        """Whether the user forbids to change it."""
        return is_frozen(self.workflow.sketch, self.path)

    @property
    def writes(self) -> bool:
        """Whether a model writes what it gives."""
        return isinstance(self.node, LLMNode)

    @property
    def how(self) -> str:
        """How a merge joins what it reads, which tool is called; "" of other steps."""
        match self.node:
            case MergeNode(how=how):
                return how
            case ToolNode(tool=tool):
                return tool
            case _:
                return ""

    @property
    def told(self) -> Parameters:
        """Its parameters."""
        return self.workflow.parameter(self.path)

    @property
    def reads(self) -> tuple[str, ...]:
        """What it reads, by reference."""
        return self.node.references()

    @property
    def inputs(self) -> dict[str, str]:
        """What a model is handed, by name, with the input of the task that it is, "" for none."""
        known = self.workflow.sketch.inputs
        read = self.node.inputs.items() if isinstance(self.node, LLMNode) else ()
        return {name: reference if reference in known else "" for name, reference in read}

    @property
    def ways(self) -> tuple[str, ...]:
        """The labels among which it chooses; none of most steps."""
        return tuple(self.node.ways) if isinstance(self.node, BranchNode) else ()

    @property
    def skips(self) -> frozenset[str]:
        """Paths of the steps whose feedback reaches it by skip connections."""
        around = self.path.rpartition("/")[0]
        return frozenset(f"{around}/{each}".lstrip("/") for each in self.node.feedback_from)

    @property
    def task_outputs(self) -> dict[str, str]:
        """Which output of the task each output of it is, "" for none."""
        named = {reference: name for name, reference in self.workflow.sketch.outputs.items()}
        return {each: named.get(f"{self.path}.{each}", "") for each in self.node.gives}

    def types(self) -> dict[str, str | None]:
        """Its outputs with the texts of their types, as `Scope.type_text` has them."""
        scope, name = Scope.of(self.workflow.sketch).at(self.path), self.path.rpartition("/")[2]
        return {each: scope.type_text(f"{name}.{each}") for each in self.node.gives}

    def kinds(self) -> dict[str, str]:
        """Its outputs with the kinds of their types."""
        return {name: Type.parse(text or "str").kind for name, text in self.types().items()}

    @property
    def gives_text(self) -> str:
        """What it gives, as `n: int, why: str`; of a branch its labels."""
        if self.ways:
            return f"one of {', '.join(self.ways)}"
        return ", ".join(f"{name}: {text}" for name, text in self.types().items())


def steps_of(workflow: Workflow) -> Iterator[StepView]:
    """Its steps, in the order of the sketch."""
    return (StepView(workflow, path, node) for path, node in walk(workflow.sketch))


def step_at(workflow: Workflow, path: str) -> StepView:
    """The step at a path.

    Raises:
        KeyError: if there is none.
    """
    return StepView(workflow, path, node_at(workflow.sketch, path))


def has_step(workflow: Workflow, path: str) -> bool:
    """Whether there is a step at a path."""
    return any(each.path == path for each in steps_of(workflow))
