"""The JSON schema under which a model writes edits.

Every object is closed and lists all its members as required: what strict structured output and grammars both accept.
What is a mapping in the file format is therefore a list of small objects here; `parse_edits` reads it. What may be left
out in the file format is an empty text or null here. Bodies hold no bodies: a model adds those edit by edit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, get_args

from flowbot.fields import ToolSignature
from flowbot.workflow.conditions import Op
from flowbot.workflow.nodes import BranchNode, LLMNode, Sketch, walk
from flowbot.workflow.parameters import PARAMETERS

from .parse import EDITS
from .written import CONDITION, COUNT, NONE, PYTHON, TEXT, Offer, Schema, array, closed, one_of, pairs

WRITTEN_KINDS = tuple(kind for kind in PARAMETERS if kind not in ("program", "core"))
"""Kinds of nodes that a model may add: which Python runs is the user's to say, and a program in words a strategy of its own writes."""
ANY_WAY: Schema = {"type": "string", "description": "a way of a branch, as route.many; empty: always"}


def edits_schema(
    kinds: Sequence[str] = WRITTEN_KINDS,
    tools: Mapping[str, ToolSignature] | None = None,
    *,
    sketch: Sketch | None = None,
    max_edits: int = 8,
    ops: Sequence[str] = tuple(EDITS),
) -> dict[str, Any]:
    """JSON schema of `{"edits": [...]}`.

    Args:
        kinds: kinds of nodes that may be added.
        tools: the task's tools; without any, `tool` nodes and retrieval are left out.
        sketch: if given, nodes and outputs that an edit names can only be those that there are.
        max_edits: at most so many edits at once.
        ops: edits that may be made, by `op`.

    Raises:
        ValueError: for an unknown kind or edit, or if none is left.
    """
    for what, names, known in (("kind", kinds, WRITTEN_KINDS), ("edit", ops, tuple(EDITS))):
        if unknown := [name for name in names if name not in known]:
            raise ValueError(f"unknown {what} {unknown[0]!r}; known: {', '.join(known)}")
    usable = [kind for kind in kinds if kind != "tool" or tools]
    if not usable:
        raise ValueError("no kind of node is allowed")
    offer = _offer(sketch, tools or {}, usable)
    possible = {
        op: {name: schema for name, mark in kind.written().items() if (schema := mark.schema(offer)) is not None}
        for op, kind in EDITS.items()
        if op in ops and kind.needs <= set(usable)
    }
    if not possible:
        raise ValueError("no edit is allowed")
    edits = [closed({"op": one_of([op]), **fields}) for op, fields in possible.items()]
    listed = {**array({"anyOf": edits}, 1), "maxItems": max_edits}
    definitions = _definitions(usable, tools or (), None if sketch is None else _ways(sketch))
    return {**closed({"edits": listed}), "$defs": definitions}


def _offer(sketch: Sketch | None, tools: Mapping[str, ToolSignature], kinds: Sequence[str]) -> Offer:
    # An edit may name a node that an earlier one of the list adds; those that do away with a node are closed all the same.
    if sketch is None:
        return Offer(TEXT, TEXT, TEXT, one_of(tools), kinds)
    changeable = {path: node for path, node in walk(sketch) if not node.frozen}
    calls = one_of(path for path, node in changeable.items() if isinstance(node, LLMNode))
    return Offer(one_of(changeable), calls, one_of(sketch.outputs), one_of(tools), kinds)


def _definitions(kinds: Sequence[str], tools: Iterable[str], ways: Sequence[str] | None) -> Schema:
    """The definitions of conditions and nodes: nodes alone, and with a name, which those inside others or of a sketch have.

    `ways` are those that there are; asked for a way where there is none, a small model makes one up. None: not known.
    """

    def named(some: Sequence[str]) -> Schema:
        return {"anyOf": [closed({"name": TEXT, **_node(kind, tools, anywhere)}) for kind in some]}

    anywhere: Schema = {"when": ANY_WAY} if "branch" in kinds else {}
    here = anywhere if ways is None else {"when": one_of(["", *ways])} if ways else {}
    values = [TEXT, {"type": "number"}, {"type": "boolean"}, array(TEXT), NONE]
    found: Schema = {
        "condition": closed({"ref": TEXT, "op": one_of(get_args(Op)), "value": {"anyOf": values}}),
        "node": {"anyOf": [closed(_node(kind, tools, here)) for kind in kinds]},
        "named": named(kinds),
    }
    simple = [kind for kind in kinds if kind not in ("loop", "map")]
    return found | ({"inner": named(simple)} if simple else {})


def _node(kind: str, tools: Iterable[str], when: Schema) -> Schema:
    """What a node of a kind is written with."""
    head: Schema = {"kind": one_of([kind]), **when}
    reads, gives, instruction = pairs("name", "from"), pairs("name", "type"), {"instruction": TEXT}
    inner = array({"$ref": "#/$defs/inner"}, 1)
    match kind:
        case "llm":
            return {**head, "in": reads, "out": gives, **instruction}
        case "tool":
            return {**head, "tool": one_of(tools), "in": reads, "out": gives}
        case "code":
            return {**head, "in": reads, "out": gives, "code": PYTHON}
        case "branch":
            guard = {"anyOf": [CONDITION["anyOf"][0], one_of(["else"]), NONE]}
            labels = array(closed({"label": TEXT, "condition": guard}), 2)
            return {**head, "in": reads, "ways": labels, **instruction}
        case "merge":
            how = one_of(["first", "vote", "concat", "judge"])
            return {**head, "how": how, "in": array(TEXT, 1), "given": reads, "out": gives, **instruction}
        case "loop":
            carry = array(closed(dict.fromkeys(("name", "type", "start", "next"), TEXT)), 1)
            return {**head, "max": COUNT, "until": CONDITION, "carry": carry, "nodes": inner}
        case _:
            return {**head, "over": TEXT, "as": TEXT, "limit": COUNT, "nodes": inner, "out": reads}


def _ways(sketch: Sketch) -> list[str]:
    """The ways of the branches, as a `when` names them."""
    branches = [(path, node) for path, node in walk(sketch) if isinstance(node, BranchNode)]
    return list(dict.fromkeys(f"{path.rpartition('/')[2]}.{label}" for path, node in branches for label in node.ways))
