"""Leaving a step out."""

from __future__ import annotations

from collections.abc import Iterator

from flowbot.workflow.edits.basic import RemoveNode
from flowbot.workflow.edits.edit import Edit
from flowbot.workflow.nodes import BodyNode, BranchNode, LLMNode, MergeNode, Node, ProgramNode, walk

from .change import Change, Place


def remove(place: Place) -> Iterator[Change]:
    """Leave a step out, where what it gives can be had from what it read (same type), or is an extra input of an LLM call.

    A step whose model is pinned stays, and what holds one: it may stand between a model and what that must not see. So does a
    program: it is what the user has.
    """
    node, scope = place.node, place.scope
    if len(scope.nodes) == 1 or _holds_pin(node) or isinstance(node, ProgramNode):
        return
    bypass: dict[str, str] = {}
    extra: list[str] = []
    for output in node.gives:
        reference = f"{place.name}.{output}"
        readers = [other for other in scope.nodes.values() if reference in other.references()]
        if reference not in place.leaves() and all(isinstance(r, LLMNode) and len(r.inputs) > 1 for r in readers):
            extra.append(output)
            continue
        same = [ref for ref in node.references() if scope.type_of(ref) == scope.type_of(reference)]
        if not same:
            return
        bypass[reference] = same[0]
    edits: list[Edit] = [*place.unread(extra), RemoveNode(id=place.path, bypass=bypass)]
    yield Change("remove", place.path, f"Remove the step `{place.path}` and go on without it.", lambda _: edits)


def _holds_pin(node: Node) -> bool:
    """Whether the model of a step, or of one in its body, is pinned."""
    inside = (each for _, each in walk(node)) if isinstance(node, BodyNode) else ()
    return any(isinstance(each, LLMNode | BranchNode | MergeNode) and each.model for each in (node, *inside))
