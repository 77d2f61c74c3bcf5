"""What strategies ask of a step, whatever it is made of. They know paths, and no kinds of nodes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from flowbot.fields import Type
from flowbot.program.places import pieces
from flowbot.program.steps import described
from flowbot.runtime.trace import Step
from flowbot.workflow.nodes import (
    BranchNode,
    CodeNode,
    LLMNode,
    MergeNode,
    Node,
    ProgramNode,
    ToolNode,
    is_frozen,
    node_at,
    walk,
)
from flowbot.workflow.parameters import LLMParameters, Parameters, ProgramParameters
from flowbot.workflow.scope import Scope
from flowbot.workflow.workflow import Workflow

REPLY = "reply"
"""What a model call of a program gives."""


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
        """How a merge joins what it reads, which tool or program is called; "" of other steps."""
        match self.node:
            case MergeNode(how=how):
                return how
            case ToolNode(tool=tool):
                return tool
            case ProgramNode(call=call):
                return call
            case _:
                return ""

    @property
    def about(self) -> str:
        """What a function of the user's own says of itself; "" of other steps."""
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


@dataclass(frozen=True, slots=True)
class TextView(StepView):
    """A text of a program, as a step whose instruction it is: the model calls that hold it are its calls.

    Args:
        text: its name.
    """

    text: str

    @property
    def kind(self) -> str:
        """`text`."""
        return "text"

    @property
    def tuned(self) -> bool:
        """It is there to be."""
        return True

    @property
    def frozen(self) -> bool:
        """Whether its program is."""
        return is_frozen(self.workflow.sketch, self.path.partition(":")[0])

    @property
    def writes(self) -> bool:
        """The model that is told it does."""
        return True

    @property
    def inputs(self) -> dict[str, str]:
        """What stands beside it in a request has no names of its own."""
        return {}

    @property
    def task_outputs(self) -> dict[str, str]:
        """What becomes of the reply the program says, and nobody else."""
        return {REPLY: ""}

    def types(self) -> dict[str, str | None]:
        """The reply."""
        return {REPLY: "str"}

    @property
    def gives_text(self) -> str:
        """The reply, and the places that the text is to keep."""
        told = self.told
        places = pieces(told.instruction)[1] if isinstance(told, LLMParameters) else []
        kept = f"; the program fills in {', '.join(places)}, which stay as they are" if places else ""
        return f"{REPLY}: str{kept}"


@dataclass(frozen=True, slots=True)
class InnerView(StepView):
    """A call that a program made.

    Args:
        step: the call.
    """

    step: Step

    @property
    def kind(self) -> str:
        """`model`, `step` or `tool`."""
        return self.step.kind

    @property
    def tuned(self) -> bool:
        """Whether it used a text."""
        return bool(self.step.texts)

    @property
    def writes(self) -> bool:
        """Whether it is a call to a model."""
        return self.step.kind == "model"

    @property
    def skips(self) -> frozenset[str]:
        """None."""
        return frozenset()

    @property
    def about(self) -> str:
        """The function's source, or its signature and documentation."""
        return described(self.step.function)


def steps_of(workflow: Workflow) -> Iterator[StepView]:
    """Its steps, in the order of the sketch, the texts of a program behind it."""
    for path, node in walk(workflow.sketch):
        yield StepView(workflow, path, node)
        if isinstance(told := workflow.parameter(path), ProgramParameters):
            yield from (TextView(workflow, f"{path}:{name}", node, name) for name in told.texts)


def step_at(workflow: Workflow, path: str) -> StepView:
    """The step at a path.

    Raises:
        KeyError: if there is none.
    """
    node, _, text = path.partition(":")
    found = node_at(workflow.sketch, node)
    return TextView(workflow, path, found, text) if text else StepView(workflow, path, found)


def call_view(workflow: Workflow, step: Step) -> StepView:
    """The step of a recorded call; of one that a program made the call itself."""
    path = step.node
    while True:
        try:
            node = node_at(workflow.sketch, path)
        except KeyError:
            path = path.rpartition("/")[0]
        else:
            return StepView(workflow, path, node) if path == step.node else InnerView(workflow, step.node, node, step)


def has_step(workflow: Workflow, path: str) -> bool:
    """Whether there is a step at a path."""
    return any(each.path == path for each in steps_of(workflow))
