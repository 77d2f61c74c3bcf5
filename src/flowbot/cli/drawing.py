"""Workflows as boxes, and two of them side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.console import Group
from rich.constrain import Constrain
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from flowbot.fields.words import count

from .text import shown, wrap

if TYPE_CHECKING:
    from rich.console import RenderableType

    from flowbot.workflow.nodes import Node
    from flowbot.workflow.parameters import Parameters
    from flowbot.workflow.scope import Scope
    from flowbot.workflow.workflow import Workflow

GAP = 3
LEAST = 18
"""Columns within a box below which the steps of its body are only named."""


def boxes(workflow: Workflow, width: int) -> RenderableType:
    """The steps from top to bottom, each in a box with what it reads, gives and is asked; those of a body in its box."""
    from flowbot.workflow.scope import Scope

    sketch = workflow.sketch
    ends = [_line(", ".join(names), centred=True) for names in (sketch.inputs, sketch.outputs)]
    arrow = _line("│", centred=True)
    steps = (each for box in _boxes(workflow, Scope.of(sketch), width) for each in (arrow, box))
    return Constrain(Group(ends[0], *steps, arrow, ends[1]), width)


def side_by_side(left: tuple[str, Workflow], right: tuple[str, Workflow], width: int) -> RenderableType:
    """Two workflows under their titles, beside each other where `width` allows, else one below the other."""
    each = min(46, (width - GAP) // 2)
    if each < 30:
        wide = min(60, width)
        return Group(_line(left[0]), boxes(left[1], wide), "", _line(right[0]), boxes(right[1], wide))
    table = Table.grid(padding=(0, GAP, 0, 0))
    table.add_row(_line(left[0]), _line(right[0]))
    table.add_row(boxes(left[1], each), boxes(right[1], each))
    return table


def score_line(low: float, mean: float, high: float, width: int) -> str:
    """A score with its interval on a line from 0 to 1, such as `───━━●━━────`."""
    last = width - 1
    start, dot, end = (round(max(0.0, min(1.0, value)) * last) for value in (low, mean, high))
    return "".join("●" if at == dot else "━" if start <= at <= end else "─" for at in range(width))


def _boxes(workflow: Workflow, scope: Scope, width: int) -> Iterator[Panel]:
    from flowbot.workflow.captions import drawing_order, kind_text
    from flowbot.workflow.nodes import BodyNode

    inner = width - 4
    for name in drawing_order(scope.holder):
        node = scope.nodes[name]
        lines: list[RenderableType] = [_line(each) for each in _facts(workflow, f"{scope.path}{name}", node, inner)]
        if isinstance(node, BodyNode):
            body = scope.inner(name)
            lines += [_line(f"runs {', '.join(body.nodes)}")] if inner < LEAST else [*_boxes(workflow, body, inner)]
        kind = kind_text(node).replace(" ", ", " if node.kind == "merge" else " ", 1)
        yield Panel(Group(*lines), title=_line(f"{name} · {kind}"), title_align="left", width=width)


def _facts(workflow: Workflow, path: str, node: Node, inner: int) -> Iterator[str]:
    """The lines of a step's box, a body left out."""
    from flowbot.workflow.captions import bound_text, remarks, way_text
    from flowbot.workflow.nodes import BodyNode, BranchNode, LoopNode

    if node.when is not None:
        yield f"when {node.when}"
    if isinstance(node, BodyNode):
        yield from wrap(bound_text(node), inner)
    yield f"reads {', '.join(node.references())}"
    if isinstance(node, BranchNode):
        yield from (f"{label} {way_text(guard)}".strip() for label, guard in node.ways.items())
    else:
        yield f"{'carries' if isinstance(node, LoopNode) else 'gives'} {', '.join(node.gives)}"
    yield from _texts(workflow.parameter(path), inner)
    yield from (each for each in remarks(node, workflow.parameters.get(path)) if each != "frozen")


def _texts(parameters: Parameters, inner: int) -> Iterator[str]:
    """A step's prompt or code."""
    from flowbot.workflow.parameters import CodeParameters, CoreParameters, LLMParameters, ProgramParameters

    prompt = (
        parameters.instruction_text if isinstance(parameters, LLMParameters) else getattr(parameters, "instruction", "")
    )
    if prompt:
        yield from _cut(wrap(f"“{' '.join(prompt.split())}”", inner), 3, inner)
    if isinstance(parameters, LLMParameters) and prompt and parameters.demonstrations:
        yield f"+ {count(len(parameters.demonstrations), 'worked example')}"
    if isinstance(parameters, ProgramParameters):
        for name in parameters.texts:
            yield from _cut(wrap(f"{name} “{' '.join(parameters.plain_text(name).split())}”", inner), 3, inner)
            if shown := parameters.told(name).demonstrations:
                yield f"+ {count(len(shown), 'worked example')}"
    if isinstance(parameters, CoreParameters):
        yield from _cut(parameters.program.splitlines(), 4, inner)
    if isinstance(parameters, CodeParameters):
        yield from _cut([line for line in parameters.code.splitlines() if line.strip()], 4, inner)


def _line(text: str, *, centred: bool = False) -> Text:
    return Text(shown(text), justify="center" if centred else None, no_wrap=True, overflow="ellipsis")


def _cut(lines: Sequence[str], most: int, width: int) -> Sequence[str]:
    return lines if len(lines) <= most else [*lines[: most - 1], f"{lines[most - 1][: width - 2]} …"]
