"""What a node does, in a few words: shared by the drawings, the differences and the report."""

from __future__ import annotations

from collections.abc import Mapping

from flowbot.fields import UserError

from .conditions import Guard, say
from .core import read_core
from .graph import split_reference, topological
from .nodes import (
    BodyNode,
    BranchNode,
    Carry,
    CoreNode,
    HasNodes,
    LoopNode,
    MapNode,
    MergeNode,
    Node,
    ProgramNode,
    ToolNode,
)
from .parameters import CoreParameters, LLMParameters, Parameters, ProgramParameters
from .scope import Scope


def drawing_order(holder: HasNodes) -> tuple[str, ...]:
    """The nodes of a body, each after those it waits for; in sketch order where they wait for each other in a circle."""
    try:
        return topological(holder)
    except UserError:  # drawn all the same, since a drawing may be how it is found
        return tuple(holder.nodes)


def kind_text(node: Node) -> str:
    """The kind, and what there is to it in one word: `tool lookup`, `merge vote`."""
    match node:
        case ToolNode():
            extra = node.tool
        case ProgramNode():
            extra = node.call
        case MergeNode():
            extra = node.how
        case CoreNode(interpreter="faithful"):
            extra = node.interpreter
        case _:
            extra = ""
    return f"{node.kind} {extra}".strip()


def bound_text(node: LoopNode | MapNode) -> str:
    """How often a body runs: `at most 3 steps, until critic.ok == true`, `each item of list.items, at most 20`."""
    if isinstance(node, MapNode):
        return f"each {node.item} of {node.over}, " + ("without a limit" if not node.limit else f"at most {node.limit}")
    if not node.max:
        bound = "without a bound"
    elif node.until is None:
        bound = f"{node.max} step{'s' * (node.max > 1)}"
    else:
        bound = f"at most {node.max} step{'s' * (node.max > 1)}"
    return bound if node.until is None else f"{bound}, until {say(node.until)}"


def way_text(guard: Guard | None) -> str:
    """When a branch takes a way: `if n > 20`, `else`; empty where a model chooses."""
    if guard is None:
        return ""
    return "else" if guard == "else" else f"if {say(guard)}"


def ways_text(node: BranchNode) -> str:
    """All ways of a branch in one line."""
    if node.asks:
        return f"{', '.join(node.ways)} (a model chooses)"
    return ", ".join(f"{label} {way_text(guard)}".strip() for label, guard in node.ways.items())


def carry_text(carry: Carry) -> str:
    """Where a carried value comes from: `total.n, then revise.draft`."""
    return f"{carry.start}, then {carry.next}"


def named_text(inputs: Mapping[str, str]) -> str:
    """References, each with the name that the node gives it where that is another: `item as name, question`."""
    named = ((name, reference, split_reference(reference)[1]) for name, reference in inputs.items())
    return ", ".join(ref if name == last else f"{ref} as {name}" for name, ref, last in named)


def reads_text(node: Node) -> str:
    """What a node itself reads; for one with a body what its body starts from."""
    match node:
        case MergeNode():
            return ", ".join(node.inputs) + (f"; shown {named_text(node.given)}" if node.given else "")
        case BodyNode():
            return ", ".join(dict.fromkeys(node.entries()))
        case _:
            return named_text(node.inputs)


def gives(name: str, node: Node, scope: Scope) -> tuple[str, ...]:
    """What a node gives, each as `n: int`.

    Args:
        name: the node's name in its body.
        node: the node.
        scope: that in which it stands.
    """
    return tuple(f"{output}: {scope.type_text(f'{name}.{output}') or '?'}" for output in node.gives)


def remarks(node: Node, parameters: Parameters | None) -> tuple[str, ...]:
    """What else there is to know of a node: `5 samples`, `tools search, lookup`, `feedback from check`, `frozen`."""
    said: list[str] = []
    if node.kind == "llm" and isinstance(parameters, LLMParameters):
        said += [f"{parameters.samples} samples"] if parameters.samples > 1 else []
        said += [f"tools {', '.join(parameters.tools)}", f"at most {node.rounds} rounds"] if parameters.tools else []
    if isinstance(node, BranchNode) and node.asks:
        said.append("a model chooses")
    if isinstance(node, ProgramNode):
        said.append(f"at most {node.max_calls} calls")
    if isinstance(node, CoreNode):
        said.append(f"at most {node.max_steps} steps")
    if isinstance(parameters, CoreParameters):
        said.append(f"steps {', '.join(step.name for step in read_core(parameters.program)[0].steps)}")
        said += [f"tools {', '.join(parameters.tools)}"] if parameters.tools else []
    if isinstance(parameters, ProgramParameters):
        said += [
            f"{what} {', '.join(names)}"
            for what in ("texts", "values", "slots")
            if (names := getattr(parameters, what))
        ]
    if node.feedback_from:
        said.append(f"feedback from {', '.join(node.feedback_from)}")
    return (*said, *(["frozen"] if node.frozen else []))
