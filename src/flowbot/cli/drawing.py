"""Workflows as boxes of text, and two of them side by side."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from typing import TYPE_CHECKING

from flowbot.fields.words import cut

from .text import shown, wrap

if TYPE_CHECKING:
    from flowbot.workflow.nodes import Node
    from flowbot.workflow.parameters import Parameters
    from flowbot.workflow.scope import Scope
    from flowbot.workflow.workflow import Workflow

GAP = "   "
LEAST = 18
"""Letters within a box below which the steps of its body are only named."""


def boxes(workflow: Workflow, width: int) -> list[str]:
    """The steps from top to bottom, each in a box with what it reads, gives and is told; those of a body in its box.

    Lines of at most `width`.
    """
    from flowbot.workflow.scope import Scope

    sketch = workflow.sketch
    lines = _centred(_shortened(", ".join(sketch.inputs), width - 4), width)
    for box in _body(workflow, Scope.of(sketch), width):
        lines += [*_centred("│", width), *box]
    lines += _centred("│", width)
    return lines + _centred(_shortened(", ".join(sketch.outputs), width - 4), width)


def _body(workflow: Workflow, scope: Scope, width: int) -> Iterator[list[str]]:
    from flowbot.workflow.captions import drawing_order, kind_text
    from flowbot.workflow.nodes import LoopNode, MapNode

    inner = width - 4
    for name in drawing_order(scope.holder):
        node = scope.nodes[name]
        lines = [_shortened(line, inner) for line in _said(workflow, f"{scope.path}{name}", node, inner)]
        if isinstance(node, LoopNode | MapNode):
            body = scope.inner(name)
            if inner < LEAST:
                lines.append(_shortened(f"runs {', '.join(body.nodes)}", inner))
            else:
                lines += [line for box in _body(workflow, body, inner) for line in box]
        title = _shortened(
            f" {name} · {kind_text(node).replace(' ', ', ' if node.kind == 'merge' else ' ', 1)} ", inner
        )
        yield [
            f"╭─{title}{'─' * (width - 3 - len(title))}╮",
            *(f"│ {line:<{inner}} │" for line in lines),
            f"╰{'─' * (width - 2)}╯",
        ]


def _said(workflow: Workflow, path: str, node: Node, inner: int) -> Iterator[str]:
    """The lines of a step's box, a body left out."""
    from flowbot.workflow.captions import bound_text, remarks, way_text
    from flowbot.workflow.nodes import BranchNode, LoopNode, MapNode

    if node.when is not None:
        yield f"when {node.when}"
    if isinstance(node, LoopNode | MapNode):
        yield from wrap(bound_text(node), inner)
    yield f"reads {', '.join(node.references())}"
    if isinstance(node, BranchNode):
        yield from (f"{label} {way_text(guard)}".strip() for label, guard in node.ways.items())
    else:
        yield f"{'carries' if isinstance(node, LoopNode) else 'gives'} {', '.join(node.gives)}"
    yield from _told(workflow.parameter(path), inner)
    yield from (each for each in remarks(node, workflow.parameters.get(path)) if each != "frozen")


def _told(told: Parameters, inner: int) -> Iterator[str]:
    """What a step is told."""
    from flowbot.workflow.parameters import CodeParameters, LLMParameters

    said = told.said if isinstance(told, LLMParameters) else getattr(told, "instruction", "")
    if said:
        yield from _cut(wrap(f"“{' '.join(said.split())}”", inner), 3, inner)
    if isinstance(told, LLMParameters) and said and told.demonstrations:
        yield f"+ {len(told.demonstrations)} worked example{'s' * (len(told.demonstrations) > 1)}"
    if isinstance(told, CodeParameters):
        yield from _cut([line for line in told.code.splitlines() if line.strip()], 4, inner)


def side_by_side(left: tuple[str, Workflow], right: tuple[str, Workflow], width: int) -> list[str]:
    """Two workflows under their titles, beside each other where `width` allows, else one below the other."""
    each = min(46, (width - len(GAP)) // 2)
    if each < 30:
        wide = min(60, width)
        return [left[0], *boxes(left[1], wide), "", right[0], *boxes(right[1], wide)]
    pairs = zip_longest([left[0], *boxes(left[1], each)], [right[0], *boxes(right[1], each)], fillvalue="")
    return [f"{one:<{each}}{GAP}{other}".rstrip() for one, other in pairs]


def score_line(low: float, mean: float, high: float, width: int) -> str:
    """A score with its interval on a line from 0 to 1, such as `───━━●━━────`."""
    last = width - 1
    start, dot, end = (round(max(0.0, min(1.0, value)) * last) for value in (low, mean, high))
    return "".join("●" if at == dot else "━" if start <= at <= end else "─" for at in range(width))


def _centred(text: str, width: int) -> list[str]:
    return [text.center(width).rstrip()]


def _cut(lines: list[str], most: int, width: int) -> list[str]:
    if len(lines) <= most:
        return lines
    return [*lines[: most - 1], f"{lines[most - 1][: width - 2]} …"]


def _shortened(text: str, width: int) -> str:
    return cut(shown(text), width)
