"""Workflows as lines of text for a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

from flowbot.fields.words import printable
from flowbot.workflow.captions import (
    bound_text,
    carry_text,
    drawing_order,
    gives,
    kind_text,
    reads_text,
    remarks,
    way_text,
)
from flowbot.workflow.nodes import BodyNode, BranchNode, LoopNode, MapNode, Node
from flowbot.workflow.scope import Scope
from flowbot.workflow.workflow import Workflow

_GUIDE = "│ "
_WIDEST = 28
"""Letters of a column on the left; a longer name pushes its own line to the right."""
_LEAST = 30


@dataclass(frozen=True, slots=True)
class _Row:
    guide: str
    name: str
    kind: str
    text: str


def draw_text(workflow: Workflow, *, width: int = 100) -> str:
    """The workflow in lines: a node a line, each after what it reads, as `count  code  list.items → n: int`.

    The nodes of a body stand under theirs, after a bar; the ways of a branch under it.

    Args:
        workflow: what to draw. One with defects is drawn as far as it can be.
        width: letters in a line; longer ones are wrapped between words.
    """
    sketch = workflow.sketch
    inputs = ", ".join(f"{name}: {kind}" for name, kind in sketch.inputs.items())
    outputs = ", ".join(f"{name} = {reference}" for name, reference in sketch.outputs.items())
    rows = [
        _Row("", "inputs", "", printable(inputs)),
        *_body(workflow, Scope.of(sketch), ""),
        _Row("", "outputs", "", printable(outputs)),
    ]
    first = min(_WIDEST, max(len(row.guide + row.name) for row in rows))
    second = min(_WIDEST, max(len(row.kind) for row in rows))
    return "\n".join(line for row in rows for line in _lines(row, first, second, width))


def _body(workflow: Workflow, scope: Scope, guide: str) -> Iterator[_Row]:
    for name in drawing_order(scope.holder):
        node = scope.nodes[name]
        more = "".join(f" · {each}" for each in remarks(node, workflow.parameters.get(f"{scope.path}{name}")))
        when = f"when {node.when}: " if node.when is not None else ""
        text = f"{when}{_own(name, node, scope)}{more}"
        yield _Row(guide, *(printable(each) for each in (name, kind_text(node), text)))
        yield from _below(workflow, name, node, scope, guide)


def _own(name: str, node: Node, scope: Scope) -> str:
    if isinstance(node, BodyNode):
        return bound_text(node)
    given = ", ".join(gives(name, node, scope))
    return f"{reads_text(node)} → {given}" if given else reads_text(node)


def _below(workflow: Workflow, name: str, node: Node, scope: Scope, guide: str) -> Iterator[_Row]:
    """The lines under a node: its ways, or its body with what that starts from before and what it gives after."""
    inner = guide + _GUIDE
    if isinstance(node, BranchNode):
        for label, guard in node.ways.items():
            yield _Row(guide + "· ", printable(label), "", printable(way_text(guard)))
    if isinstance(node, LoopNode):
        for output, carry in node.carry.items():
            yield _Row(inner, "carries", "", printable(f"{output}: {carry.type} = {carry_text(carry)}"))
    if isinstance(node, BodyNode):
        yield from _body(workflow, scope.inner(name), inner)
    if isinstance(node, MapNode):
        collected = (
            f"{given} = {reference}"
            for given, reference in zip(gives(name, node, scope), node.out.values(), strict=True)
        )
        yield _Row(inner, "gives", "", printable(", ".join(collected)))


def _lines(row: _Row, first: int, second: int, width: int) -> list[str]:
    left = f"{row.guide + row.name:<{first}}  {row.kind:<{second}}  "
    margin = first + second + 4
    text = row.text
    for pair in (": ", "= ", "→ ", "· "):
        text = text.replace(pair, f"{pair[:-1]}\xa0")  # not torn apart where a line ends
    room = max(_LEAST, width - margin)
    wrapped = textwrap.wrap(text, room, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
    head, *rest = (line.replace("\xa0", " ") for line in wrapped or [""])
    bars = f"{row.guide if row.guide.startswith(_GUIDE) else '':<{margin}}"
    return [f"{left}{head}".rstrip(), *(f"{bars}{line}".rstrip() for line in rest)]
