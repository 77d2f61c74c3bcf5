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

_TEXT: dict[str, Any] = {"type": "string"}
_NONE: dict[str, Any] = {"type": "null"}
_COUNT: dict[str, Any] = {"type": "integer", "minimum": 1}
_PYTHON = {"type": "string", "description": "Python: def run(<inputs>): ... returns a dict of the outputs"}


_NEEDS = {
    "split": {"llm"},
    "fuse": {"llm"},
    "review": {"llm", "branch", "merge", "loop"},
    "ensemble": {"merge"},
    "decompose": {"llm", "map"},
    "insert_branch": {"branch", "merge"},
    "insert_retrieval": {"llm", "tool"},
}
"""Kinds of nodes that compound edits add."""


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
    nodes = _Nodes(usable, tools or {}, None if sketch is None else _ways(sketch))
    possible = _edits(sketch, tools or {}, usable)
    edits = [
        _object({"op": _one_of([op]), **written})
        for op, written in possible.items()
        if op in ops and _NEEDS.get(op, set()) <= set(usable)
    ]
    if not edits:
        raise ValueError("no edit is allowed")
    listed = {"type": "array", "items": {"anyOf": edits}, "minItems": 1, "maxItems": max_edits}
    return {**_object({"edits": listed}), "$defs": nodes.definitions()}


def _edits(
    sketch: Sketch | None, tools: Mapping[str, ToolSignature], kinds: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """What each edit is written with, by `op`."""
    # An edit may name a node that an earlier one of the list adds; those that do away with a node are closed all the same.
    present, calls = _TEXT, _TEXT
    if sketch is not None:
        free = {path: node for path, node in walk(sketch) if not node.frozen}
        present = _one_of(free)
        calls = _one_of(path for path, node in free.items() if isinstance(node, LLMNode))
    node: dict[str, Any] = {"$ref": "#/$defs/node"}
    ends = _one_of(sketch.outputs) if sketch else _TEXT
    all_ends = {"type": "array", "items": _object({"name": ends, "from": _TEXT})}
    edits: dict[str, dict[str, Any]] = {
        "add": {"id": _TEXT, "node": node},
        "remove": {"id": present, "bypass": _pairs("from", "to")},
        "replace": {"id": present, "node": node},
        "rewire": {"id": _TEXT, "input": _TEXT, "to": _TEXT},
        "rename": {"id": present, "to": _TEXT},
        "output": {"output": ends, "to": _TEXT},
        "rewrite": {"outputs": all_ends, "nodes": {"type": "array", "items": {"$ref": "#/$defs/named"}, "minItems": 1}},
        "split": {"id": calls, "name": _TEXT, "out": _pairs("name", "type"), "instruction": _TEXT},
        "fuse": {"first": calls, "second": calls, "parameters": _TEXT},
        "review": {"id": calls, "name": _TEXT, "rounds": _COUNT, "critic": _TEXT, "reviser": _TEXT},
        # The door is narrower, and says so; a schema that changes would make every stored reply under it worthless.
        "ensemble": {"id": calls, "samples": {"type": "integer", "minimum": 2, "maximum": 100}},
        "decompose": {
            "id": calls,
            "name": _TEXT,
            "over": _TEXT,
            "divide": _TEXT,
            "combine": _TEXT,
            **({"code": _PYTHON} if "code" in kinds else {}),
        },
        "insert_branch": {
            "id": present,
            "name": _TEXT,
            "in": _pairs("name", "from"),
            "condition": {"anyOf": [{"$ref": "#/$defs/condition"}, _NONE]},
            "instruction": _TEXT,
            "parameters": _TEXT,
        },
        "insert_retrieval": {
            "id": calls,
            "tool": _one_of(tools),
            "name": _TEXT,
            "bind": _pairs("name", "from"),
            "ask": _TEXT,
        },
        "insert": {"id": present, "where": _one_of(["before", "after"]), "name": _TEXT, "node": node},
    }
    return edits


class _Nodes:
    """The definitions of nodes: alone, and with a name, which those of a body or of a whole sketch have."""

    def __init__(self, kinds: Sequence[str], tools: Mapping[str, ToolSignature], ways: Sequence[str] | None) -> None:
        self.kinds = kinds
        self.tools = tools
        self.ways = ways

    def definitions(self) -> dict[str, Any]:
        """The definitions, by name."""
        simple = [kind for kind in self.kinds if kind not in ("loop", "map")]
        values = [_TEXT, {"type": "number"}, {"type": "boolean"}, {"type": "array", "items": _TEXT}, _NONE]
        condition = _object({"ref": _TEXT, "op": _one_of(get_args(Op)), "value": {"anyOf": values}})
        return {
            "condition": condition,
            "node": {"anyOf": [_object(self.node(kind, self.ways)) for kind in self.kinds]},
            "named": {"anyOf": [_object({"name": _TEXT, **self.node(kind)}) for kind in self.kinds]},
            **(
                {"inner": {"anyOf": [_object({"name": _TEXT, **self.node(kind)}) for kind in simple]}} if simple else {}
            ),
        }

    def node(self, kind: str, ways: Sequence[str] | None = None) -> dict[str, Any]:
        """What a node of a kind is written with.

        Args:
            kind: the kind.
            ways: those that there are; asked for a way where there is none, a small model makes one up. None: not known.
        """
        head: dict[str, Any] = {"kind": _one_of([kind])}
        if ways:
            head["when"] = _one_of(["", *ways])
        elif ways is None and "branch" in self.kinds:
            head["when"] = {"type": "string", "description": "a way of a branch, as route.many; empty: always"}
        reads, gives, told = _pairs("name", "from"), _pairs("name", "type"), {"instruction": _TEXT}
        condition: dict[str, Any] = {"$ref": "#/$defs/condition"}
        body = {"type": "array", "items": {"$ref": "#/$defs/inner"}, "minItems": 1}
        match kind:
            case "llm":
                return {**head, "in": reads, "out": gives, **told}
            case "tool":
                return {**head, "tool": _one_of(self.tools), "in": reads, "out": gives}
            case "code":
                return {**head, "in": reads, "out": gives, "code": _PYTHON}
            case "branch":
                guards = {"anyOf": [condition, _one_of(["else"]), _NONE]}
                way = _object({"label": _TEXT, "condition": guards})
                return {**head, "in": reads, "ways": {"type": "array", "items": way, "minItems": 2}, **told}
            case "merge":
                joins = {"type": "array", "items": _TEXT, "minItems": 1}
                how = _one_of(["first", "vote", "concat", "judge"])
                return {**head, "how": how, "in": joins, "given": reads, "out": gives, **told}
            case "loop":
                carried = _object(dict.fromkeys(("name", "type", "start", "next"), _TEXT))
                carry = {"type": "array", "items": carried, "minItems": 1}
                until = {"anyOf": [condition, _NONE]}
                return {**head, "max": _COUNT, "until": until, "carry": carry, "nodes": body}
            case _:
                return {**head, "over": _TEXT, "as": _TEXT, "limit": _COUNT, "nodes": body, "out": reads}


def _ways(sketch: Sketch) -> list[str]:
    """The ways of the branches, as a `when` names them."""
    branches = [(path, node) for path, node in walk(sketch) if isinstance(node, BranchNode)]
    return list(dict.fromkeys(f"{path.rpartition('/')[2]}.{label}" for path, node in branches for label in node.ways))


def _pairs(key: str, value: str) -> dict[str, Any]:
    return {"type": "array", "items": _object({key: _TEXT, value: _TEXT})}


def _one_of(names: Iterable[str]) -> dict[str, Any]:
    listed = list(names)
    return {"type": "string", "enum": listed} if listed else dict(_TEXT)


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
