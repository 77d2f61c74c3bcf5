"""The arrows of a picture: between the boxes of one body, through the bends that the layout found for them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from .layout import Layout, Link
from .scene import IN, OUT, Scene, Wire
from .shapes import colour, safe, short, text_width

BESIDE = 30.0
"""Room on the right of a loop's body for the way back."""
_LABEL = 10.5
_MOST_LETTERS = 28
_TIMES = (0.5, 0.66, 0.34, 0.8, 0.2)

Point = tuple[float, float]
Place = tuple[float, float, float, float]


def draw_arrows(scene: Scene, plan: Layout) -> Iterator[str]:
    """The arrows as SVG elements, with their labels where there is room.

    Args:
        scene: what is linked.
        plan: where it is; its links are those of the scene, in the same order, turned round where they lead back.
    """
    ports = _ports(plan)
    taken = [(b.x - b.width / 2, b.y, b.x + b.width / 2, b.y + b.height) for b in plan.boxes.values() if not b.bend]
    labels: list[str] = []
    for wire, link, port in zip(scene.wires, plan.links, ports, strict=True):
        points = _points(plan, link, *port)
        kinds = scene.items[wire.source].kind, scene.items[wire.target].kind
        ink = colour("way") if "way" in kinds else "currentColor"
        faint = "1" if "way" in kinds else ".4" if wire.source == IN and scene.items[IN].title == "input" else ".7"
        yield _curve(points, ink, faint, dotted=wire.back)
        if kinds[1] != "way":
            yield _head(points[0] if wire.back else points[-1], ink, faint, down=not wire.back)
        labels += _label(wire, points, taken)
    if scene.again:
        yield from _way_back(plan)
    yield from labels


def _curve(points: Sequence[Point], ink: str, faint: str, *, dotted: bool) -> str:
    path = f"M{points[0][0]:.1f} {points[0][1]:.1f}" + "".join(
        f"C{x0:.1f} {(y0 + y1) / 2:.1f} {x1:.1f} {(y0 + y1) / 2:.1f} {x1:.1f} {y1:.1f}"
        for (x0, y0), (x1, y1) in itertools.pairwise(points)
    )
    dashes = ' stroke-dasharray="2 4"' if dotted else ""
    return f'<path d="{path}" fill="none" stroke-width="1.3" opacity="{faint}" style="stroke:{ink}"{dashes}/>'


def _head(point: Point, ink: str, faint: str, *, down: bool) -> str:
    x, y = point
    base = y - 7 if down else y + 7
    return f'<path d="M{x - 4:.1f} {base:.1f}L{x:.1f} {y:.1f}L{x + 4:.1f} {base:.1f}Z" opacity="{faint}" style="fill:{ink}"/>'


def _way_back(plan: Layout) -> Iterator[str]:
    """From the end of a loop's body round the right side to its beginning."""
    first, last = plan.boxes[IN], plan.boxes[OUT]
    right = max(box.x + box.width / 2 for box in plan.boxes.values()) + BESIDE / 2
    start, end = last.x + last.width / 2, first.x + first.width / 2
    low, high = last.y + last.height / 2, first.y + first.height / 2
    path = (
        f"M{start:.1f} {low:.1f}H{right - 10:.1f}Q{right:.1f} {low:.1f} {right:.1f} {low - 10:.1f}"
        f"V{high + 10:.1f}Q{right:.1f} {high:.1f} {right - 10:.1f} {high:.1f}H{end + 6:.1f}"
    )
    ink = colour("loop")
    yield f'<path d="{path}" fill="none" stroke-width="1.6" stroke-dasharray="2 4" style="stroke:{ink}"/>'
    yield (
        f'<path d="M{end + 8:.1f} {high - 4:.1f}L{end:.1f} {high:.1f}L{end + 8:.1f} {high + 4:.1f}Z" style="fill:{ink}"/>'
    )


def _ports(plan: Layout) -> list[Point]:
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


def _points(plan: Layout, link: Link, leaves: float, enters: float) -> list[Point]:
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


def _label(wire: Wire, points: Sequence[Point], taken: list[Place]) -> Iterator[str]:
    """A label on the last piece of an arrow that is long enough, if it meets neither a box nor another label."""
    if not wire.label:
        return
    text = short(wire.label, _MOST_LETTERS)
    half = text_width(text, _LABEL) / 2 + 2
    long = [pair for pair in itertools.pairwise(points) if pair[1][1] - pair[0][1] > 30]
    for (x0, y0), (x1, y1) in reversed(long):
        for t in _TIMES:
            x = x0 + (x1 - x0) * (3 * t * t - 2 * t * t * t)
            y = y0 + (y1 - y0) * (1.5 * t * (1 - t) + t * t * t)
            place = (x - half, y - 6.5, x + half, y + 6.5)
            if not any(p[0] < place[2] and place[0] < p[2] and p[1] < place[3] and place[1] < p[3] for p in taken):
                taken.append(place)
                yield (
                    f'<text x="{x:.1f}" y="{y + 3.5:.1f}" text-anchor="middle" font-size="{_LABEL}" '
                    "style=\"font-family:ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace;"
                    f'paint-order:stroke;stroke:var(--flow-page,Canvas);stroke-width:4px">{safe(text)}</text>'
                )
                return
