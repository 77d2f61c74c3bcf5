"""Nodes that read something else: the one place that knows where each kind keeps its references."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel

from flowbot.workflow.conditions import All, AnyOf, Condition, Not, Test
from flowbot.workflow.nodes import LoopNode, MapNode, MergeNode, Node, Sketch

Swap = Mapping[str, str]
"""What is read instead of a reference: old to new."""
Holder = TypeVar("Holder", bound=Sketch | LoopNode | MapNode)
_M = TypeVar("_M", bound=BaseModel)


def changed(model: _M, /, **fields: Any) -> _M:
    """A copy with other values of fields; the same object where they are what it has."""
    new = {name: value for name, value in fields.items() if getattr(model, name) != value}
    return model.model_copy(update=new) if new else model


def rewired(node: Node, swap: Swap) -> Node:
    """A node that, with its body, reads what `swap` says; the same object where that changes nothing."""
    match node:
        case MergeNode():
            return changed(node, inputs=joined(node.inputs, swap), given=_swapped(node.given, swap))
        case LoopNode():
            carry = {name: changed(each, start=swap.get(each.start, each.start)) for name, each in node.carry.items()}
            return _with_inner(changed(node, carry=carry), swap)
        case MapNode():
            return _with_inner(changed(node, over=swap.get(node.over, node.over)), swap)
        case _:
            return changed(node, inputs=_swapped(node.inputs, swap))


def joined(inputs: tuple[str, ...], swap: Swap) -> tuple[str, ...]:
    """What a merge joins after a swap: what becomes the same is joined once, what was there twice stays so."""
    was: dict[str, str] = {}
    swapped = ((reference, swap.get(reference, reference)) for reference in inputs)
    return tuple(new for old, new in swapped if was.setdefault(new, old) == old)


def with_ends(holder: Holder, swap: Swap) -> Holder:
    """What holds nodes, taking from them what `swap` says; the same object where that changes nothing."""
    match holder:
        case Sketch():
            return changed(holder, outputs=_swapped(holder.outputs, swap))
        case MapNode():
            return changed(holder, out=_swapped(holder.out, swap))
        case LoopNode():
            carry = {name: changed(each, next=swap.get(each.next, each.next)) for name, each in holder.carry.items()}
            return changed(holder, carry=carry, until=holder.until and _tested(holder.until, swap))


def _with_inner(node: LoopNode | MapNode, swap: Swap) -> Node:
    own = {*node.nodes, *node.own()}
    inside = {old: new for old, new in swap.items() if old.partition(".")[0] not in own}
    nodes = {name: rewired(each, inside) for name, each in node.nodes.items()}
    return with_ends(changed(node, nodes=nodes), inside)


def _swapped(references: Mapping[str, str], swap: Swap) -> dict[str, str]:
    return {name: swap.get(reference, reference) for name, reference in references.items()}


def _tested(condition: Condition, swap: Swap) -> Condition:
    match condition:
        case Test():
            return condition.model_copy(update={"ref": swap.get(condition.ref, condition.ref)})
        case All():
            return All(all=tuple(_tested(part, swap) for part in condition.all))
        case AnyOf():
            return AnyOf(any=tuple(_tested(part, swap) for part in condition.any))
        case Not():
            return Not(part=_tested(condition.part, swap))
