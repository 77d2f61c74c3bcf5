"""Nodes that read something else: the one place that knows where each kind keeps its references."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeVar

from flowbot.workflow.conditions import All, AnyOf, Condition, Not, Test
from flowbot.workflow.nodes import Carry, LoopNode, MapNode, MergeNode, Node, Sketch

Swap = Callable[[str], str]
"""What is read instead of a reference; itself where nothing changes."""
Holder = TypeVar("Holder", bound=Sketch | LoopNode | MapNode)


def rewired(node: Node, swap: Swap) -> Node:
    """A node that, with its body, reads what `swap` says; the same object where that changes nothing."""
    change: dict[str, Any] = {}
    match node:
        case MergeNode():
            inputs = joined(node.inputs, swap)
            if inputs != node.inputs:
                change["inputs"] = inputs
            _mapped(change, "given", node.given, swap)
        case LoopNode():
            carry = _carried(node.carry, "start", swap)
            if carry is not node.carry:
                node = node.model_copy(update={"carry": carry})
            return _with_body(node, swap)
        case MapNode():
            if swap(node.over) != node.over:
                node = node.model_copy(update={"over": swap(node.over)})
            return _with_body(node, swap)
        case _:
            _mapped(change, "inputs", node.inputs, swap)
    return node.model_copy(update=change) if change else node


def joined(inputs: tuple[str, ...], swap: Swap) -> tuple[str, ...]:
    """What a merge joins after a swap: what becomes the same is joined once, what was there twice stays so."""
    was: dict[str, str] = {}
    swapped = ((reference, swap(reference)) for reference in inputs)
    return tuple(new for old, new in swapped if was.setdefault(new, old) == old)


def with_ends(holder: Holder, swap: Swap) -> Holder:
    """What holds nodes, taking from them what `swap` says; the same object where that changes nothing."""
    change: dict[str, Any] = {}
    match holder:
        case Sketch():
            _mapped(change, "outputs", holder.outputs, swap)
        case MapNode():
            _mapped(change, "out", holder.out, swap)
        case LoopNode():
            carry = _carried(holder.carry, "next", swap)
            if carry is not holder.carry:
                change["carry"] = carry
            until = None if holder.until is None else _tested(holder.until, swap)
            if until != holder.until:
                change["until"] = until
    return holder.model_copy(update=change) if change else holder


def _with_body(node: LoopNode | MapNode, swap: Swap) -> Node:
    own = {*node.nodes, *node.own()}

    def inside(reference: str) -> str:
        return reference if reference.partition(".")[0] in own else swap(reference)

    nodes = {name: rewired(each, inside) for name, each in node.nodes.items()}
    if any(nodes[name] is not each for name, each in node.nodes.items()):
        node = node.model_copy(update={"nodes": nodes})
    return with_ends(node, inside)


def _carried(carry: dict[str, Carry], end: Literal["start", "next"], swap: Swap) -> dict[str, Carry]:
    if all(swap(getattr(each, end)) == getattr(each, end) for each in carry.values()):
        return carry
    return {name: each.model_copy(update={end: swap(getattr(each, end))}) for name, each in carry.items()}


def _mapped(change: dict[str, Any], key: str, given: dict[str, str], swap: Swap) -> None:
    changed = {name: swap(reference) for name, reference in given.items()}
    if changed != given:
        change[key] = changed


def _tested(condition: Condition, swap: Swap) -> Condition:
    match condition:
        case Test():
            return condition.model_copy(update={"ref": swap(condition.ref)})
        case All():
            return All(all=tuple(_tested(part, swap) for part in condition.all))
        case AnyOf():
            return AnyOf(any=tuple(_tested(part, swap) for part in condition.any))
        case Not():
            return Not(part=_tested(condition.part, swap))
