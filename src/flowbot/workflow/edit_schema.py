"""The JSON schema under which a model writes edits.

Every object is closed and lists all its members as required: what strict structured output and grammars both accept.
What is a mapping in the file format is therefore a list of small objects here; `parse_edits` reads it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from flowbot.fields import ToolSignature

from .nodes import Sketch
from .parameters import PARAMETERS

_TEXT: dict[str, Any] = {"type": "string"}


def edits_schema(
    kinds: Sequence[str] = tuple(PARAMETERS),
    tools: Mapping[str, ToolSignature] | None = None,
    *,
    sketch: Sketch | None = None,
    max_edits: int = 8,
) -> dict[str, Any]:
    """JSON schema of `{"edits": [...]}`.

    Args:
        kinds: kinds of nodes that may be added.
        tools: the task's tools; without any, `tool` nodes are left out.
        sketch: if given, nodes and outputs that an edit names can only be those that there are.
        max_edits: at most so many edits at once.

    Raises:
        ValueError: for an unknown kind, or if no kind is left.
    """
    unknown = [kind for kind in kinds if kind not in PARAMETERS]
    if unknown:
        raise ValueError(f"unknown kind {unknown[0]!r}; known: {', '.join(PARAMETERS)}")
    nodes = [_node(kind, tools or {}) for kind in kinds if kind != "tool" or tools]
    if not nodes:
        raise ValueError("no kind of node is allowed")
    # An edit may also name a node that an earlier edit of the list adds, so only removals and replacements are closed.
    present = _one_of([name for name, node in sketch.nodes.items() if not node.frozen]) if sketch else _TEXT
    node = nodes[0] if len(nodes) == 1 else {"anyOf": nodes}
    edits = [
        _object({"op": _one_of(["add"]), "id": _TEXT, "node": node}),
        _object({"op": _one_of(["remove"]), "id": present, "bypass": _pairs("from", "to")}),
        _object({"op": _one_of(["replace"]), "id": present, "node": node}),
        _object({"op": _one_of(["rewire"]), "id": _TEXT, "input": _TEXT, "to": _TEXT}),
        _object({"op": _one_of(["output"]), "output": _one_of(sketch.outputs) if sketch else _TEXT, "to": _TEXT}),
    ]
    return _object({"edits": {"type": "array", "items": {"anyOf": edits}, "minItems": 1, "maxItems": max_edits}})


def _node(kind: str, tools: Mapping[str, ToolSignature]) -> dict[str, Any]:
    python = {"type": "string", "description": "Python: def run(<inputs>): ... returns a dict of the outputs"}
    own: dict[str, Any] = {"llm": {"instruction": _TEXT}, "code": {"code": python}}.get(kind, {})
    head: dict[str, Any] = {"kind": _one_of([kind])}
    if kind == "tool":
        head["tool"] = _one_of(tools)
    if kind == "merge":
        head["how"] = _one_of(["first", "vote", "concat"])
    reads = {"type": "array", "items": _TEXT, "minItems": 1} if kind == "merge" else _pairs("name", "from")
    return _object({**head, "in": reads, "out": _pairs("name", "type"), **own})


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
