"""A workflow as one self-contained SVG picture, for light and dark pages: it takes the page's text colour.

A page may set `--flow-llm`, `--flow-code`, `--flow-tool`, `--flow-merge` and `--flow-page` (its background).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from flowbot.fields import UserError

from .graph import references, split_reference, topological
from .layout import Box, Layout, Link, layout
from .nodes import MergeNode, Sketch, ToolNode
from .workflow import Workflow

_IN, _OUT = "\x00in", "\x00out"  # no node has such a name
_MARGIN = 8.0
_LINE = 15.0
_COLOURS = {"llm": "#6d6ff2", "code": "#12968a", "tool": "#c9760c", "merge": "#b05fce"}
_PLAIN = "#7b8794"
_MOST_LINES = 6
_MOST_LETTERS = 34
_FONTS = "font-family:ui-sans-serif,system-ui,sans-serif"
_MONO = "font-family:ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace"


@dataclass(frozen=True, slots=True)
class _Text:
    """What stands in a box."""

    title: str
    kind: str
    lines: tuple[str, ...]
    about: str


def draw_svg(workflow: Workflow, *, highlight: frozenset[str] = frozenset()) -> str:
    """The workflow as an `<svg>` element, from the inputs at the top to the outputs at the bottom.

    Args:
        workflow: what to draw. One with defects is drawn as far as it can be.
        highlight: nodes to stress, such as those that changed.
    """
    sketch = workflow.sketch
    texts = _texts(sketch)
    wires = _wires(sketch, list(texts))
    boxes = [_box(name, text) for name, text in texts.items()]
    plan = layout(boxes, list(wires), first=_IN, last=_OUT)
    width, height = plan.width + 2 * _MARGIN, plan.height + 2 * _MARGIN
    told = f"Workflow of {len(sketch.nodes)} nodes: {', '.join(sketch.nodes)}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" height="{height:.0f}" style="max-width:100%;height:auto;{_FONTS}" '
        f'fill="currentColor" font-size="13"><title>{_safe(told)}</title>',
        f'<g transform="translate({_MARGIN:.0f} {_MARGIN:.0f})">',
        *_arrows(plan, wires),
        *(line for name, text in texts.items() for line in _drawn(plan.boxes[name], text, name in highlight)),
        "</g></svg>",
    ]
    return "".join(parts)


def _texts(sketch: Sketch) -> dict[str, _Text]:
    """Boxes in an order in which links lead forward."""
    try:
        order = topological(sketch)
    except UserError:  # a circle: the links that lead back are left out
        order = tuple(sketch.nodes)
    known = references(sketch)
    given = tuple(f"{name}: {kind}" for name, kind in sketch.inputs.items())
    texts = {_IN: _Text("input", "", given, "inputs of the workflow")}
    for name in order:
        node = sketch.nodes[name]
        extra = node.tool if isinstance(node, ToolNode) else node.how if isinstance(node, MergeNode) else ""
        fields = tuple(f"{output}: {kind}" for output, kind in node.out.items())
        about = f"{name}: {node.kind}, reads {', '.join(node.references()) or 'nothing'}; gives {', '.join(fields)}"
        texts[name] = _Text(name, f"{node.kind} {extra}".strip(), fields, about)
    wanted = tuple(f"{name}: {known.get(reference, '?')}" for name, reference in sketch.outputs.items())
    about = ", ".join(f"{name} from {reference}" for name, reference in sketch.outputs.items())
    return {**texts, _OUT: _Text("output", "", wanted, about)}


def _wires(sketch: Sketch, order: list[str]) -> dict[tuple[str, str], str]:
    """What links which boxes, with a label where the source gives more than one thing and that is not all."""
    read: dict[tuple[str, str], list[str]] = {}
    readers = [(name, sketch.nodes[name].references()) for name in order if name in sketch.nodes]
    for target, wired in [*readers, (_OUT, tuple(sketch.outputs.values()))]:
        for reference in wired:
            node, output = split_reference(reference)
            source = _IN if node is None else node
            if source in order and order.index(source) < order.index(target):
                read.setdefault((source, target), []).append(output)
    many = {_IN: len(sketch.inputs), **{name: len(node.out) for name, node in sketch.nodes.items()}}
    return {
        (source, target): ", ".join(dict.fromkeys(names)) if len(set(names)) < many[source] else ""
        for (source, target), names in read.items()
    }


def _box(name: str, text: _Text) -> Box:
    lines = _shown(text.lines)
    head = len(text.title) * 8.0 + (len(text.kind) * 6.2 + 18 if text.kind else 0)
    width = max([head, 56.0, *(len(line) * 6.7 for line in lines)]) + 26
    return Box(name, width, 27 + _LINE * len(lines) + (5 if lines else 0))


def _shown(lines: tuple[str, ...]) -> list[str]:
    """The lines that there is room for."""
    shown = (
        list(lines)
        if len(lines) <= _MOST_LINES
        else [*lines[: _MOST_LINES - 1], f"… {len(lines) - _MOST_LINES + 1} more"]
    )
    return [_short(line, _MOST_LETTERS) for line in shown]


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _drawn(box: Box, text: _Text, stressed: bool) -> Iterator[str]:
    kind = text.kind.partition(" ")[0]
    colour = f"var(--flow-{kind},{_COLOURS[kind]})" if kind in _COLOURS else f"var(--flow-plain,{_PLAIN})"
    left, right = box.x - box.width / 2, box.x + box.width / 2
    weight, fill = (2.6, 0.26) if stressed else (1.2, 0.09)
    radius = 9 if kind else min(box.height, 30) / 2
    shape = f'x="{left:.1f}" y="{box.y:.1f}" width="{box.width:.1f}" height="{box.height:.1f}" rx="{radius:.0f}"'
    yield f"<g><title>{_safe(text.about)}</title>"
    yield f'<rect {shape} style="fill:var(--flow-page,transparent)"/>'
    dashes = "" if kind else ' stroke-dasharray="4 3"'
    style = f"fill:{colour};fill-opacity:{fill};stroke:{colour};stroke-width:{weight}"
    yield f'<rect {shape} style="{style}"{dashes}/>'
    y = box.y + 18
    title = _safe(_short(text.title, 64))
    if kind:
        yield f'<text x="{left + 12:.1f}" y="{y:.1f}" font-weight="600">{title}</text>'
        yield (
            f'<text x="{right - 11:.1f}" y="{y:.1f}" text-anchor="end" font-size="11" style="fill:{colour}">'
            f"{_safe(text.kind)}</text>"
        )
    else:
        yield f'<text x="{box.x:.1f}" y="{y:.1f}" text-anchor="middle" font-size="12" opacity=".65">{title}</text>'
    for index, line in enumerate(_shown(text.lines)):
        where = f'x="{left + 12:.1f}"' if kind else f'x="{box.x:.1f}" text-anchor="middle"'
        yield (
            f'<text {where} y="{y + _LINE * (index + 1) + 2:.1f}" font-size="11" style="{_MONO}" opacity=".85">'
            f"{_safe(line)}</text>"
        )
    yield "</g>"


def _arrows(plan: Layout, wires: dict[tuple[str, str], str]) -> Iterator[str]:
    ports = _ports(plan)
    taken: list[tuple[float, float, float, float]] = []
    for index, link in enumerate(plan.links):
        points = _points(plan, link, *ports[index])
        faint = ".38" if link.source == _IN else ".7"
        path = f"M{points[0][0]:.1f} {points[0][1]:.1f}" + "".join(
            f"C{x0:.1f} {(y0 + y1) / 2:.1f} {x1:.1f} {(y0 + y1) / 2:.1f} {x1:.1f} {y1:.1f}"
            for (x0, y0), (x1, y1) in itertools.pairwise(points)
        )
        x, y = points[-1]
        yield f'<path d="{path}" fill="none" stroke="currentColor" stroke-width="1.3" opacity="{faint}"/>'
        yield f'<path d="M{x - 4:.1f} {y - 7:.1f}L{x:.1f} {y:.1f}L{x + 4:.1f} {y - 7:.1f}Z" opacity="{faint}"/>'
        yield from _label(wires[link.source, link.target], points, taken)


def _ports(plan: Layout) -> list[tuple[float, float]]:
    """Where each link leaves its source and enters its target: side by side, in the order in which they come."""
    found = [[plan.boxes[link.source].x, plan.boxes[link.target].x] for link in plan.links]
    for end, beside in ((0, 1), (1, -2)):
        for name in plan.boxes:
            own = [i for i, link in enumerate(plan.links) if link.path[-end] == name]
            own.sort(key=lambda i, beside=beside: plan.boxes[plan.links[i].path[beside]].x)
            step = min(22.0, plan.boxes[name].width * 0.7 / max(1, len(own) - 1))
            for rank, index in enumerate(own):
                found[index][end] += (rank - (len(own) - 1) / 2) * step
    return [(leaves, enters) for leaves, enters in found]


def _points(plan: Layout, link: Link, leaves: float, enters: float) -> list[tuple[float, float]]:
    source, target = plan.boxes[link.source], plan.boxes[link.target]
    points = [(leaves, source.y + source.height)]
    bottom = sum(plan.layers[source.layer])
    if source.y + source.height < bottom:
        points.append((leaves, bottom))
    for name in link.path[1:-1]:
        bend = plan.boxes[name]
        top, height = plan.layers[bend.layer]
        points += [(bend.x, top), (bend.x, top + height)]
    top = plan.layers[target.layer][0]
    if target.y > top:
        points.append((enters, top))
    return [*points, (enters, target.y)]


def _label(
    text: str, points: list[tuple[float, float]], taken: list[tuple[float, float, float, float]]
) -> Iterator[str]:
    """A label on the last piece of an arrow that is long enough, if it meets no other label."""
    if not text:
        return
    text = _short(text, 26)
    long = [pair for pair in itertools.pairwise(points) if pair[1][1] - pair[0][1] > 30]
    half = len(text) * 5.6 / 2 + 2
    for (x0, y0), (x1, y1) in reversed(long):
        for t in (0.5, 0.68, 0.32):
            x = x0 + (x1 - x0) * (3 * t * t - 2 * t * t * t)
            y = y0 + (y1 - y0) * (1.5 * t * (1 - t) + t * t * t)
            place = (x - half, y - 7, x + half, y + 7)
            if not any(p[0] < place[2] and place[0] < p[2] and p[1] < place[3] and place[1] < p[3] for p in taken):
                taken.append(place)
                yield (
                    f'<text x="{x:.1f}" y="{y + 3.5:.1f}" text-anchor="middle" font-size="10.5" '
                    f'style="paint-order:stroke;stroke:var(--flow-page,Canvas);stroke-width:4px">{_safe(text)}</text>'
                )
                return


def _safe(text: str) -> str:
    """Text for XML: marks escaped, characters that XML cannot hold left out."""
    whole = "".join(c if c.isprintable() else " " for c in text).encode("utf-8", "replace").decode()
    return whole.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
