"""Workflows as boxes of text, and two of them side by side."""

from __future__ import annotations

import textwrap
from itertools import zip_longest
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flowbot.workflow import Workflow

GAP = "   "


def boxes(workflow: Workflow, width: int) -> list[str]:
    """The steps from top to bottom, each in a box with what it reads, gives and is told. Lines of at most `width`."""
    from flowbot.workflow import CodeParameters, LLMParameters, MergeNode, ToolNode, topological

    sketch = workflow.sketch
    inner = width - 4
    lines = _centred(_shortened(", ".join(sketch.inputs), inner), width)
    for name in topological(sketch):
        node = sketch.nodes[name]
        kind = f"{node.kind} {node.tool}" if isinstance(node, ToolNode) else node.kind
        if isinstance(node, MergeNode):
            kind = f"{node.kind}, {node.how}"
        title = _shortened(f" {name} · {kind} ", width - 4)
        told = workflow.parameter(name)
        body = [f"reads {', '.join(node.references())}", f"gives {', '.join(node.out)}"]
        if isinstance(told, LLMParameters) and told.instruction:
            body += _cut(textwrap.wrap(f"“{' '.join(told.instruction.split())}”", inner), 3, inner)
            if told.demonstrations:
                body.append(f"+ {len(told.demonstrations)} worked example{'s' * (len(told.demonstrations) > 1)}")
        if isinstance(told, CodeParameters):
            body += _cut([line for line in told.code.splitlines() if line.strip()], 4, inner)
        lines += _centred("│", width)
        lines.append(f"╭─{title}{'─' * (width - 3 - len(title))}╮")
        lines += [f"│ {_shortened(line, inner):<{inner}} │" for line in body]
        lines.append(f"╰{'─' * (width - 2)}╯")
    lines += _centred("│", width)
    return lines + _centred(_shortened(", ".join(sketch.outputs), inner), width)


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
    return text if len(text) <= width else text[: width - 1] + "…"
