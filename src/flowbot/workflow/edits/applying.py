"""Applying edits to a workflow: all or nothing, and only if what results is valid.

Parameters follow the nodes that stay. The workflow's own inputs and outputs never change, nor do frozen nodes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from flowbot.fields import Field, ToolSignature
from flowbot.workflow.check import check
from flowbot.workflow.graph import topological
from flowbot.workflow.nodes import BodyNode, HasNodes, LLMNode, ProgramNode, Sketch, walk
from flowbot.workflow.parameters import LLMParameters
from flowbot.workflow.prompt import following
from flowbot.workflow.rules_parameters import demonstration_fault
from flowbot.workflow.scope import Scope
from flowbot.workflow.workflow import Workflow

from .draft import Draft, EditError
from .edit import Edit

_H = TypeVar("_H", bound=HasNodes)


@dataclass(frozen=True, slots=True)
class Applied:
    """Edits that were made.

    Args:
        before: the workflow that they were made on; to undo them is to go back to it.
        edits: the edits.
        after: the workflow that they made of it.
        said: in words what they did, a line an edit, and what followed from them.
    """

    before: Workflow
    edits: tuple[Edit, ...]
    after: Workflow
    said: tuple[str, ...]


def applied(
    workflow: Workflow,
    edits: Sequence[Edit],
    *,
    tools: Mapping[str, ToolSignature] | None = None,
    task_inputs: tuple[Field, ...] | None = None,
    task_outputs: tuple[Field, ...] | None = None,
    goal: str = "",
) -> Applied:
    """All edits made, one after another, with a record of it; only the last state need be valid.

    A reference to a node alone, where it gives one thing, means that thing. Demonstrations that no longer fit their node are dropped;
    messages show what their node reads now; nodes are put in an order in which each follows what it reads.

    Args:
        workflow: what is changed; itself it stays as it is.
        edits: the changes.
        tools: as for `check`.
        task_inputs: as for `check`.
        task_outputs: as for `check`; if not given, outputs must keep types that fit those they have now.
        goal: of the task, for a new LLM step that is told nothing: it is told to write its outputs for that. "": it is refused.

    Raises:
        EditError: if one cannot be made, or what results is not valid. The text says what to change.
    """
    draft = Draft(workflow, tools)
    said: list[str] = []
    for edit in edits:
        draft.start(str(edit))
        edit.make(draft)
        said.append(str(edit) + (f" (new: {', '.join(draft.added)})" if draft.added else ""))
    _require_nodes(draft.sketch)
    _complete_references(draft)
    said += _show_inputs(draft)
    said += _drop_demonstrations(draft)
    if goal:
        _instruct(draft, goal)
    after = workflow.model_copy(update={"sketch": draft.sketch, "parameters": draft.parameters})
    wanted = task_outputs if task_outputs is not None else _present_outputs(workflow.sketch)
    if others := _programs(draft.sketch) - _programs(workflow.sketch):
        raise EditError(
            f"{min(others)} is another program; an edit changes nothing but how those that are there are used"
        )
    defects = check(after, tools=tools, task_inputs=task_inputs, task_outputs=wanted)
    if defects:
        raise EditError("the workflow would not be valid: " + "\n".join(map(str, defects)), tuple(defects))
    after = after.model_copy(update={"sketch": _in_order(draft.sketch)})
    return Applied(workflow, tuple(edits), after, tuple(said))


def _programs(sketch: Sketch) -> set[str]:
    """What programs call: which Python runs is the user's to say."""
    return {node.call for _, node in walk(sketch) if isinstance(node, ProgramNode)}


def _require_nodes(sketch: Sketch) -> None:
    inner = ((f" in the body of {path}", node) for path, node in walk(sketch) if isinstance(node, BodyNode))
    for where, holder in (("", sketch), *inner):
        if not holder.nodes:
            raise EditError(f"no node would be left{where}; keep one, or add one in the same list of edits")


def _complete_references(draft: Draft) -> None:
    """A reference to a node that gives one thing means that thing: models write `list` for `list.items`."""
    single = {name: f"{name}.{node.gives[0]}" for name, node in draft.nodes("").items() if len(node.gives) == 1}
    draft.take_over("", single)


def _show_inputs(draft: Draft) -> Iterator[str]:
    """Messages follow what their node reads, and say so: what it no longer reads loses its places, what is new gets one at
    the end. Those of a frozen node stay, for the checker to see."""
    for path, node, parameters in draft.open_calls():
        before = {ref for message in parameters.messages for ref in message.refs}
        if not parameters.messages or before == set(node.inputs):
            continue
        draft.parameters[path] = parameters.model_copy(update={"messages": following(parameters.messages, node.inputs)})
        new = ", ".join(name for name in node.inputs if name not in before)
        gone = ", ".join(sorted(before - set(node.inputs)))
        parts = (f"shows {new} at its end" if new else "", f"loses the places of {gone}" if gone else "")
        yield f"the prompt of {path} {' and '.join(filter(None, parts))}"


def _instruct(draft: Draft, goal: str) -> None:
    """Each LLM step that is told nothing, as only a new one may be, gets an instruction, by its name."""
    for path, node in walk(draft.sketch):
        told = draft.parameters.get(path) or LLMParameters()
        if not isinstance(node, LLMNode) or not isinstance(told, LLMParameters):
            continue
        if not told.instruction.strip() and not told.messages:
            name, gives = path.rpartition("/")[2].replace("_", " "), ", ".join(f"`{each}`" for each in node.gives)
            line = f"{name[:1].upper()}{name[1:]}: write {gives} for this task: {goal}"
            draft.parameters[path] = told.model_copy(update={"instruction": line})


def _drop_demonstrations(draft: Draft) -> Iterator[str]:
    """Drops demonstrations that no longer fit their node, and says so; those of a frozen node stay, for the checker to see."""
    scope = Scope.of(draft.sketch)
    for path, node, parameters in draft.open_calls():
        inside, shown = scope.at(path), parameters.demonstrations
        kept = tuple(each for each in shown if not demonstration_fault(node, inside, each))
        if lost := len(shown) - len(kept):
            draft.parameters[path] = parameters.model_copy(update={"demonstrations": kept})
            yield f"{path} loses {lost} {'demonstration that no longer fits' if lost == 1 else 'demonstrations that no longer fit'}"


def _present_outputs(sketch: Sketch) -> tuple[Field, ...]:
    """The outputs with their types, but for those that were wrong before: the checker says so if they still are."""
    scope = Scope.of(sketch)
    types = ((name, scope.type_of(reference)) for name, reference in sketch.outputs.items())
    return tuple(Field(name, kind) for name, kind in types if kind is not None)


def _in_order(holder: _H) -> _H:
    """What holds nodes with each node after what it reads, bodies too, but for frozen ones."""
    nodes = {name: holder.nodes[name] for name in topological(holder)}
    for name, node in nodes.items():
        if isinstance(node, BodyNode) and not node.frozen:
            nodes[name] = _in_order(node)
    unchanged = all(a == b and nodes[a] is holder.nodes[a] for a, b in zip(nodes, holder.nodes, strict=True))
    return holder if unchanged else holder.model_copy(update={"nodes": nodes})
