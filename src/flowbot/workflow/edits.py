"""Applying edits to a workflow: all or nothing, and only if what results is valid.

Parameters follow the nodes that stay. The workflow's own inputs and outputs never change, nor do frozen nodes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Never

from flowbot.fields import Field, ToolSignature, UserError

from .check import check, demonstration_fault, reference_type
from .edit import (
    AddNode,
    Edit,
    EditError,
    RemoveNode,
    ReplaceNode,
    Rewire,
    SetOutput,
    describe,
    dump_edits,
    parse_edits,
)
from .edit_schema import edits_schema
from .graph import split_reference, topological
from .nodes import MergeNode, Node, Sketch
from .parameters import PARAMETERS, LLMParameters, Parameters
from .workflow import Workflow

__all__ = [
    "AddNode",
    "Edit",
    "EditError",
    "RemoveNode",
    "ReplaceNode",
    "Rewire",
    "SetOutput",
    "apply",
    "describe",
    "dump_edits",
    "edits_schema",
    "parse_edits",
]


def apply(
    workflow: Workflow,
    edits: Sequence[Edit],
    *,
    tools: Mapping[str, ToolSignature] | None = None,
    task_inputs: tuple[Field, ...] | None = None,
    task_outputs: tuple[Field, ...] | None = None,
) -> Workflow:
    """The workflow with all edits made, one after another; only the last state need be valid.

    Demonstrations that no longer fit their node are dropped; nodes are put in an order in which each follows what it
    reads.

    Args:
        workflow: what is changed; itself it stays as it is.
        edits: the changes.
        tools: as for `check`.
        task_inputs: as for `check`.
        task_outputs: as for `check`; if not given, outputs must keep types that fit those they have now.

    Raises:
        EditError: if one cannot be made, or what results is not valid. The text says what to change.
    """
    draft = _Draft(workflow)
    for number, edit in enumerate(edits, start=1):
        draft.number = number
        draft.make(edit)
    if not draft.nodes:
        raise EditError("no node would be left; keep one, or add one in the same list of edits")
    wanted = task_outputs if task_outputs is not None else _present_outputs(workflow.sketch)
    changed = _fitting(draft.workflow())
    defects = check(changed, tools=tools, task_inputs=task_inputs, task_outputs=wanted)
    if defects:
        raise EditError("the workflow would not be valid: " + "\n".join(map(str, defects)), tuple(defects))
    nodes = {name: changed.sketch.nodes[name] for name in topological(changed.sketch)}
    return Workflow(sketch=changed.sketch.model_copy(update={"nodes": nodes}), parameters=changed.parameters)


class _Draft:
    """A workflow in the making."""

    def __init__(self, workflow: Workflow) -> None:
        self.sketch = workflow.sketch
        self.nodes: dict[str, Node] = dict(workflow.sketch.nodes)
        self.outputs = dict(workflow.sketch.outputs)
        self.parameters: dict[str, Parameters] = dict(workflow.parameters)
        self.number = 0

    def workflow(self) -> Workflow:
        sketch = self.sketch.model_copy(update={"nodes": self.nodes, "outputs": self.outputs})
        return Workflow(sketch=sketch, parameters={n: p for n, p in self.parameters.items() if n in self.nodes})

    def make(self, edit: Edit) -> None:
        match edit:
            case AddNode():
                self.add(edit)
            case RemoveNode():
                self.remove(edit)
            case ReplaceNode():
                self.replace(edit)
            case Rewire():
                self.rewire(edit)
            case SetOutput():
                if edit.output not in self.outputs:
                    self.refuse(edit, f"the workflow's outputs are {', '.join(self.outputs)}, and they stay")
                self.outputs[edit.output] = edit.to

    def add(self, edit: AddNode) -> None:
        if edit.id in self.nodes:
            self.refuse(edit, f"there is a node {edit.id} already: choose another id, or replace it")
        if edit.id in self.sketch.inputs:
            self.refuse(edit, f"{edit.id} is an input of the workflow: choose another id")
        self.nodes[edit.id] = edit.node
        if edit.parameters is not None:
            self.parameters[edit.id] = edit.parameters

    def replace(self, edit: ReplaceNode) -> None:
        self.free(edit, edit.id)
        self.nodes[edit.id] = edit.node
        if edit.parameters is not None:
            self.parameters[edit.id] = edit.parameters
        elif not isinstance(self.parameters.get(edit.id), PARAMETERS[edit.node.kind]):
            self.parameters.pop(edit.id, None)

    def remove(self, edit: RemoveNode) -> None:
        gone = self.free(edit, edit.id)
        given = {f"{edit.id}.{name}" for name in gone.out}
        foreign = [reference for reference in edit.bypass if reference not in given]
        if foreign:
            self.refuse(edit, f"bypass names {foreign[0]}, and the node gives {', '.join(gone.out)}")
        del self.nodes[edit.id]
        self.parameters.pop(edit.id, None)
        self.outputs = {name: self.instead(edit, ref, f"output {name}") for name, ref in self.outputs.items()}
        for name, node in self.nodes.items():
            self.nodes[name] = self.reading_past(edit, name, node)

    def reading_past(self, edit: RemoveNode, name: str, node: Node) -> Node:
        """A node that reads what stands in for the removed one, where it read that."""
        if any(split_reference(reference)[0] == edit.id for reference in node.references()):
            if node.frozen:
                self.refuse(edit, f"{name} reads it and is frozen")
            if isinstance(node, MergeNode):
                read = (self.instead(edit, reference, name) for reference in node.inputs)
                node = node.model_copy(update={"inputs": tuple(dict.fromkeys(read))})
            else:
                read = {key: self.instead(edit, reference, name) for key, reference in node.inputs.items()}
                node = node.model_copy(update={"inputs": read})
        if edit.id in node.feedback_from:
            rest = tuple(other for other in node.feedback_from if other != edit.id)
            node = node.model_copy(update={"feedback_from": rest})
        return node

    def instead(self, edit: RemoveNode, reference: str, reader: str) -> str:
        if split_reference(reference)[0] != edit.id:
            return reference
        if reference not in edit.bypass:
            self.refuse(edit, f"{reader} reads {reference}: say in bypass what it reads instead")
        return edit.bypass[reference]

    def rewire(self, edit: Rewire) -> None:
        node = self.free(edit, edit.id)
        if isinstance(node, MergeNode):
            if edit.input not in node.inputs:
                self.refuse(edit, f"the merge joins {', '.join(node.inputs)}: name the one to replace as input")
            read = tuple(edit.to if reference == edit.input else reference for reference in node.inputs)
            self.nodes[edit.id] = node.model_copy(update={"inputs": tuple(dict.fromkeys(read))})
        else:
            self.nodes[edit.id] = node.model_copy(update={"inputs": {**node.inputs, edit.input: edit.to}})

    def free(self, edit: Edit, name: str) -> Node:
        """The node, if there is one and it may be changed."""
        node = self.nodes.get(name)
        if node is None:
            self.refuse(edit, f"there is no node {name}; there are {', '.join(self.nodes) or 'none'}")
        if node.frozen:
            self.refuse(edit, f"{name} is frozen: leave it as it is")
        return node

    def refuse(self, edit: Edit, why: str) -> Never:
        raise EditError(f"edit {self.number} ({describe(edit)}): {why}")


def _present_outputs(sketch: Sketch) -> tuple[Field, ...]:
    fields: list[Field] = []
    for name, reference in sketch.outputs.items():
        try:
            fields.append(Field(name, reference_type(sketch, reference)))
        except UserError:
            continue  # it was wrong before; the checker says so if it still is
    return tuple(fields)


def _fitting(workflow: Workflow) -> Workflow:
    """The workflow without demonstrations that no longer fit their node."""
    parameters = dict(workflow.parameters)
    for name, node in workflow.sketch.nodes.items():
        given = parameters.get(name)
        if node.kind == "llm" and isinstance(given, LLMParameters) and given.demonstrations:
            kept = tuple(d for d in given.demonstrations if not demonstration_fault(node, workflow.sketch, d))
            parameters[name] = given.model_copy(update={"demonstrations": kept})
    return Workflow(sketch=workflow.sketch, parameters=parameters)
