"""What strategies ask of a step, whatever it is made of. They know paths, and no kinds of nodes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from flowbot.fields import Type
from flowbot.program.places import pieces
from flowbot.program.steps import described
from flowbot.runtime.trace import Step
from flowbot.workflow.calls import fillings
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
    """One step of a workflow; or a text of a program, as a step whose instruction it is and whose calls are the model calls that hold it;
    or a call that a program made.

    Args:
        workflow: that has it.
        path: where it stands, as `app:plan` of the text `plan`.
        node: what it is made of, or the program; nobody but this class looks at it.
        kind: of the node; `text`; or of a program's call `model`, `step` or `tool`.
        tuned: whether what it does may be changed by its parameters: its text is a model's instruction or code. Of a call whether it used one.
        writes: whether a model writes what it gives.
        call: that a program made, where it is one.
        inner: of a step of what fills a place of a program, `app:after/revise`, the same step in the filling.
    """

    workflow: Workflow
    path: str
    node: Node
    kind: str
    tuned: bool
    writes: bool
    call: Step | None = None
    inner: StepView | None = None

    @property
    def frozen(self) -> bool:
        """Whether the user forbids to change it, or the program that it is in."""
        return (self.inner is not None and self.inner.frozen) or is_frozen(
            self.workflow.sketch, self.path.partition(":")[0]
        )

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
        """What a program's function says of itself: its source, or its signature and documentation; "" of other steps."""
        return described(self.call.function) if self.call else ""

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
        known = self.workflow.sketch.inputs if self.inner is None else {}
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
        return frozenset(
            f"{around}/{each}".lstrip("/") for each in self.node.feedback_from if not (self.call or self.inner)
        )

    @property
    def task_outputs(self) -> dict[str, str]:
        """Which output of the task each output of it is, "" for none: what becomes of a reply the program says, and nobody else."""
        if self.kind == "text":
            return {REPLY: ""}
        named = {reference: name for name, reference in self.workflow.sketch.outputs.items()}
        return {each: named.get(f"{self.path}.{each}", "") for each in self.node.gives}

    def types(self) -> dict[str, str | None]:
        """Its outputs with the texts of their types, as `Scope.type_text` has them."""
        if self.inner is not None:
            return self.inner.types()
        if self.kind == "text":
            return {REPLY: "str"}
        scope, name = Scope.of(self.workflow.sketch).at(self.path), self.path.rpartition("/")[2]
        return {each: scope.type_text(f"{name}.{each}") for each in self.node.gives}

    def kinds(self) -> dict[str, str]:
        """Its outputs with the kinds of their types."""
        return {name: Type.parse(text or "str").kind for name, text in self.types().items()}

    @property
    def gives_text(self) -> str:
        """What it gives, as `n: int, why: str`; of a branch its labels; of a text the reply, and the places that the text is to keep."""
        if self.ways:
            return f"one of {', '.join(self.ways)}"
        told = self.told if self.kind == "text" else None
        places = pieces(told.instruction)[1] if isinstance(told, LLMParameters) else []
        kept = f"; the program fills in {', '.join(places)}, which stay as they are" if places else ""
        return ", ".join(f"{name}: {text}" for name, text in self.types().items()) + kept


def steps_of(workflow: Workflow) -> Iterator[StepView]:
    """Its steps, in the order of the sketch, behind a program its texts, and the steps of what fills its places."""
    for path, node in walk(workflow.sketch):
        yield _of_node(workflow, path, node)
        if isinstance(told := workflow.parameter(path), ProgramParameters):
            yield from (_of_text(workflow, f"{path}:{name}", node) for name in told.texts)
            for name, filling in fillings(workflow, path):
                yield from (_of_place(workflow, f"{path}:{name}/{each.path}", each) for each in steps_of(filling))


def step_at(workflow: Workflow, path: str) -> StepView:
    """The step at a path.

    Raises:
        KeyError: if there is none.
    """
    node, _, text = path.partition(":")
    found, (place, _, inner) = node_at(workflow.sketch, node), text.partition("/")
    if inner:
        return _of_place(workflow, path, step_at(workflow.filling(node, place), inner))
    return (_of_text if text else _of_node)(workflow, path, found)


def call_view(workflow: Workflow, step: Step) -> StepView:
    """The step of a recorded call; of one that a program made the call itself, unless what fills a place made it."""
    if any("/" in each.partition(":")[2] for each in step.texts):
        return step_at(workflow, step.texts[0])
    path = step.node
    while True:
        try:
            node = node_at(workflow.sketch, path)
        except KeyError:
            path = path.rpartition("/")[0]
        else:
            break
    if path == step.node:
        return _of_node(workflow, path, node)
    return StepView(workflow, step.node, node, step.kind, bool(step.texts), step.kind == "model", step)


def has_step(workflow: Workflow, path: str) -> bool:
    """Whether there is a step at a path."""
    return any(each.path == path for each in steps_of(workflow))


def _of_node(workflow: Workflow, path: str, node: Node) -> StepView:
    return StepView(workflow, path, node, node.kind, isinstance(node, CodeNode) or node.asks, isinstance(node, LLMNode))


def _of_text(workflow: Workflow, path: str, node: Node) -> StepView:
    return StepView(workflow, path, node, "text", tuned=True, writes=True)


def _of_place(workflow: Workflow, path: str, inner: StepView) -> StepView:
    return StepView(workflow, path, inner.node, inner.kind, inner.tuned, inner.writes, inner=inner)
