"""The JSON schema under which a model writes edits.

Every object is closed and lists all its members as required: what strict structured output and grammars both accept.
What is a mapping in the file format is therefore a list of small objects here; `parse_edits` reads it. What may be left
out in the file format is an empty text or null here. Bodies hold no bodies: a model adds those edit by edit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, get_args

from flowbot.fields import ToolSignature
from flowbot.workflow.conditions import Op
from flowbot.workflow.nodes import BranchNode, LLMNode, Sketch, walk
from flowbot.workflow.parameters import PARAMETERS

from .parse import EDITS
from .written import CONDITION, COUNT, NONE, PYTHON, TEXT, Offer, Schema, array, closed, one_of, pairs


def edits_schema(
    kinds: Sequence[str] = tuple(PARAMETERS),
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
    for what, names, known in (("kind", kinds, tuple(PARAMETERS)), ("edit", ops, tuple(EDITS))):
        unknown = next((name for name in names if name not in known), None)
        if unknown is not None:
            raise ValueError(f"unknown {what} {unknown!r}; known: {', '.join(known)}")
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
    nodes = _Nodes(usable, tools or {}, None if sketch is None else _ways(sketch))
    return {**closed({"edits": listed}), "$defs": nodes.definitions()}


def _offer(sketch: Sketch | None, tools: Mapping[str, ToolSignature], kinds: Sequence[str]) -> Offer:
    # An edit may name a node that an earlier one of the list adds; those that do away with a node are closed all the same.
    if sketch is None:
        return Offer(TEXT, TEXT, TEXT, one_of(tools), kinds)
    open_ = {path: node for path, node in walk(sketch) if not node.frozen}
    calls = one_of(path for path, node in open_.items() if isinstance(node, LLMNode))
    return Offer(one_of(open_), calls, one_of(sketch.outputs), one_of(tools), kinds)


class _Nodes:
    """The definitions of nodes: alone, and with a name, which those of a body or of a whole sketch have."""

    def __init__(self, kinds: Sequence[str], tools: Mapping[str, ToolSignature], ways: Sequence[str] | None) -> None:
        self.kinds = kinds
        self.tools = tools
        self.ways = ways

    def definitions(self) -> Schema:
        """The definitions, by name."""
        simple = [kind for kind in self.kinds if kind not in ("loop", "map")]
        values = [TEXT, {"type": "number"}, {"type": "boolean"}, array(TEXT), NONE]
        found: Schema = {
            "condition": closed({"ref": TEXT, "op": one_of(get_args(Op)), "value": {"anyOf": values}}),
            "node": {"anyOf": [closed(self.node(kind, self.ways)) for kind in self.kinds]},
            "named": self.named(self.kinds),
        }
        return found | {"inner": self.named(simple)} if simple else found

    def named(self, kinds: Sequence[str]) -> Schema:
        """A node of one of the kinds, with a name."""
        return {"anyOf": [closed({"name": TEXT, **self.node(kind)}) for kind in kinds]}

    def node(self, kind: str, ways: Sequence[str] | None = None) -> Schema:
        """What a node of a kind is written with.

        Args:
            kind: the kind.
            ways: those that there are; asked for a way where there is none, a small model makes one up. None: not known.
        """
        head: Schema = {"kind": one_of([kind])}
        if ways:
            head["when"] = one_of(["", *ways])
        elif ways is None and "branch" in self.kinds:
            head["when"] = {"type": "string", "description": "a way of a branch, as route.many; empty: always"}
        reads, gives, instruction = pairs("name", "from"), pairs("name", "type"), {"instruction": TEXT}
        inner = array({"$ref": "#/$defs/inner"}, 1)
        match kind:
            case "llm":
                return {**head, "in": reads, "out": gives, **instruction}
            case "tool":
                return {**head, "tool": one_of(self.tools), "in": reads, "out": gives}
            case "code":
                return {**head, "in": reads, "out": gives, "code": PYTHON}
            case "branch":
                guard = {"anyOf": [CONDITION["anyOf"][0], one_of(["else"]), NONE]}
                ways_ = array(closed({"label": TEXT, "condition": guard}), 2)
                return {**head, "in": reads, "ways": ways_, **instruction}
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
