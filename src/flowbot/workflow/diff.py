"""What changed from one workflow to another, in lines for people."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import unified_diff
from typing import Any, cast

from flowbot.fields import canonical_json

from .nodes import Node
from .workflow import Workflow


def diff(a: Workflow, b: Workflow) -> list[str]:
    """The changes from `a` to `b`, one a line: the wiring first, then node by node, texts as unified diffs.

    Empty if and only if the two have the same hash.
    """
    old, new = a.sketch.nodes, b.sketch.nodes
    lines = [
        *_mapping("input", a.sketch.inputs, b.sketch.inputs),
        *_mapping("output", a.sketch.outputs, b.sketch.outputs),
    ]
    lines += [f"- node {name}: {_line(node)}" for name, node in old.items() if name not in new]
    for name, node in new.items():
        if name not in old:
            lines.append(f"+ node {name}: {_line(node)}")
        elif node != old[name] or _orders(node) != _orders(old[name]):
            lines += _node(name, old[name], node)
    for name in dict.fromkeys((*a.parameters, *b.parameters)):
        lines += _parameters(name, _said(a, name), _said(b, name))
    if [name for name in old if name in new] != [name for name in new if name in old]:
        lines.append(f"~ order of nodes: {', '.join(old)} → {', '.join(new)}")
    return lines


def _line(node: Node) -> str:
    data = node.dump()
    gives = ", ".join(f"{name}: {kind}" for name, kind in node.out.items())
    return (
        f"{node.kind} {data.get('tool', data.get('how', ''))}".strip() + f", {', '.join(node.references())} → {gives}"
    )


def _node(name: str, old: Node, new: Node) -> Iterator[str]:
    before, after = old.dump(), new.dump()
    for key in dict.fromkeys((*before, *after)):
        was, now = before.get(key), after.get(key)
        if isinstance(was, dict) and isinstance(now, dict):
            yield from _mapping(f"node {name}, {key}", cast("dict[str, Any]", was), cast("dict[str, Any]", now))
        elif was != now:
            yield f"~ node {name}, {key}: {_shown(was)} → {_shown(now)}"


def _mapping(what: str, old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    for name in dict.fromkeys((*old, *new)):
        if name not in new:
            yield f"- {what} {name}: {_shown(old[name])}"
        elif name not in old:
            yield f"+ {what} {name}: {_shown(new[name])}"
        elif old[name] != new[name]:
            yield f"~ {what} {name}: {_shown(old[name])} → {_shown(new[name])}"
    if list(old) != list(new) and set(old) == set(new) and what.startswith("node "):
        yield f"~ {what}: order {', '.join(old)} → {', '.join(new)}"


def _said(workflow: Workflow, name: str) -> dict[str, Any]:
    """A node's parameters as far as they say something."""
    return workflow.dump().get("parameters", {}).get(name, {})


def _parameters(name: str, old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    for key in dict.fromkeys((*old, *new)):
        was, now = old.get(key), new.get(key)
        if canonical_json(was) == canonical_json(now):  # as the hash sees it: 1 is not 1.0, order of keys is nothing
            continue
        if key == "demonstrations":
            yield f"~ {name}, demonstrations: {len(was or ())} → {len(now or ())}{_examples(now or ())}"
        elif key in ("instruction", "format_hint", "code"):
            yield f"~ {name}, {key}:"
            yield from (f"    {line}" for line in _text(str(was or ""), str(now or "")))
        else:
            yield f"~ {name}, {key}: {_shown(was)} → {_shown(now)}"


def _text(old: str, new: str) -> Iterator[str]:
    """The lines that differ with three around them; without the file heading."""
    changes = list(unified_diff(old.splitlines(), new.splitlines(), lineterm=""))[2:]
    yield from changes or ["(blanks or line ends only)"]


def _examples(demonstrations: Any) -> str:
    named = [each["example"] for each in demonstrations if each.get("example")]
    return f" (now from {', '.join(named)})" if named else ""


def _orders(node: Node) -> tuple[list[str], list[str]]:
    return list(node.out), list(node.inputs)


def _shown(value: Any) -> str:
    if value is None:
        return "unset"
    return value if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)
