"""Edits in words, one line each, and as JSON data."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flowbot.workflow.conditions import say
from flowbot.workflow.nodes import BranchNode, LoopNode, MapNode, MergeNode, Node, ToolNode

from .basic import AddNode, RemoveNode, RenameNode, ReplaceNode, Rewire, Rewrite, SetOutput
from .compound import Decompose, Ensemble, Fuse, InsertBranch, InsertRetrieval, InsertStep, Review, Split

Compound = Split | Fuse | Review | Ensemble | Decompose | InsertBranch | InsertRetrieval | InsertStep
Edit = AddNode | RemoveNode | ReplaceNode | Rewire | RenameNode | SetOutput | Rewrite | Compound


def describe(edit: Edit) -> str:
    """An edit in one line, for people and for prompts."""
    match edit:
        case AddNode():
            return f"add {_described(edit.id, edit.node)}"
        case ReplaceNode():
            return f"replace {edit.id} by {_described(edit.id, edit.node)}"
        case RemoveNode():
            return f"remove {edit.id}" + _listed(", reading ", (f"{new} for {old}" for old, new in edit.bypass.items()))
        case Rewire():
            return f"{edit.id} reads {edit.to} as {edit.input}"
        case RenameNode():
            return f"rename {edit.id} to {edit.to}"
        case SetOutput():
            return f"take the output {edit.output} from {edit.to}"
        case Rewrite():
            nodes = "; ".join(_described(name, node) for name, node in edit.nodes.items())
            ends = ", ".join(f"{output} from {reference}" for output, reference in edit.outputs.items())
            return f"rewrite the workflow: {nodes}; {ends}"
        case _:
            return _compound(edit)


def _compound(edit: Compound) -> str:
    match edit:
        case Split():
            kept = "" if edit.keep is None else f" beside {', '.join(edit.keep)}" if edit.keep else " alone"
            return f"split {edit.id}: {edit.name} first gives {_pairs(edit.out)}, and {edit.id} reads that{kept}"
        case Fuse():
            return f"fuse {edit.first} and {edit.second} into one call"
        case Review():
            times = "once" if edit.rounds == 1 else f"at most {edit.rounds} times"
            return f"review what {edit.id} gives, and revise it while a critic finds fault, {times}"
        case Ensemble():
            joined = "read what most of them say" if edit.how == "vote" else "read that which a judge finds best"
            return f"ask {edit.id} {edit.samples} times at temperature {edit.temperature:g}, and {joined}"
        case Decompose():
            parts = f"each item of {edit.over}" if edit.over else "each part that a new call divides the task into"
            how = "Python" if edit.code else "another call"
            return f"run {edit.id} on {parts} (at most {edit.limit}), and combine the results by {how}"
        case InsertBranch():
            when = f"when {say(edit.condition)}" if edit.condition is not None else "when a model so chooses"
            what = _described(edit.name, edit.node) if edit.node is not None else f"{edit.name}, a copy of {edit.id}"
            return f"run {what} instead of {edit.id} {when}"
        case InsertRetrieval():
            bound = _listed(" with ", (f"{name}: {reference}" for name, reference in edit.bind.items()))
            return f"call the tool {edit.tool}{bound} before {edit.id}, which reads what it gives"
        case InsertStep():
            return f"insert {edit.where} {edit.id}: {_described(edit.name, edit.node)}"


def dump_edits(edits: Iterable[Edit]) -> list[dict[str, Any]]:
    """Edits as JSON data, which `parse_edits` reads back."""
    return [_dumped(edit) for edit in edits]


def _dumped(edit: Edit) -> dict[str, Any]:
    data = {"op": edit.op, **edit.model_dump(mode="json", by_alias=True, exclude_defaults=True)}
    if isinstance(edit, Rewrite):
        return {**data, "nodes": {name: node.dump() for name, node in edit.nodes.items()}}
    node = getattr(edit, "node", None)
    return data if node is None else {**data, "node": node.dump()}


def _described(name: str, node: Node) -> str:
    what, how = node.kind, ""
    gives = _pairs(node.out) if not isinstance(node, BranchNode | LoopNode | MapNode) else ", ".join(node.gives)
    match node:
        case ToolNode():
            what = f"tool {node.tool}"
        case MergeNode():
            how = f" ({node.how})"
        case BranchNode():
            gives = " or ".join(node.ways)
        case LoopNode():
            how = f" ({', '.join(node.nodes)}{_bound(node.max, 'steps')})"
        case MapNode():
            how = f" ({', '.join(node.nodes)}{_bound(node.limit, 'items')})"
        case _:
            pass
    when = f" when {node.when}" if node.when else ""
    return f"{what} {name}{how}{when}: {', '.join(node.references())} → {gives}"


def _bound(most: int | None, what: str) -> str:
    return "" if most is None else f"; at most {most} {what}"


def _pairs(given: dict[str, str]) -> str:
    return ", ".join(f"{name}: {text}" for name, text in given.items())


def _listed(lead: str, parts: Iterable[str]) -> str:
    text = ", ".join(parts)
    return f"{lead}{text}" if text else ""
