"""A workflow as one self-contained SVG picture, for light and dark pages: it takes the page's text colour.

A page may set `--flow-page` (its background), `--flow-fault`, `--flow-plain` and a colour a kind, as `--flow-llm`.
"""

from __future__ import annotations

from collections.abc import Iterator

from flowbot.workflow.nodes import walk
from flowbot.workflow.workflow import Workflow

from .arrows import BESIDE, draw_arrows
from .layout import Box, Layout, layout
from .scene import IN, OUT, Scene, scene_of
from .shapes import PAD, draw_item, safe, size

_MARGIN = 8.0
_FONTS = "font-family:ui-sans-serif,system-ui,sans-serif"
_ALONE = "<style>svg:root{color-scheme:light dark}</style>"
"""Only for a picture that is a page of its own; inside a page it matches nothing."""


def draw_svg(workflow: Workflow, *, highlight: frozenset[str] = frozenset()) -> str:
    """The workflow as an `<svg>` element, from the inputs at the top to the outputs at the bottom.

    Args:
        workflow: what to draw. One with defects is drawn as far as it can be, and what nothing gives is marked.
        highlight: paths of nodes to stress, such as those that changed.
    """
    scene = scene_of(workflow)
    plan = _plan(scene)
    _shift(plan, _MARGIN, _MARGIN)
    names = [path for path, _ in walk(workflow.sketch)]
    width, height = plan.width + 2 * _MARGIN, plan.height + 2 * _MARGIN
    title = f"Workflow of {len(names)} node{'s' * (len(names) > 1)}: {', '.join(names)}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" height="{height:.0f}" style="max-width:100%;height:auto;{_FONTS}" '
        f'fill="currentColor" font-size="13"><title>{safe(title)}</title>{_ALONE}',
        *_drawn(scene, plan, highlight),
        "</svg>",
    ]
    return "".join(parts)


def _plan(scene: Scene) -> Layout:
    bodies = {key: _plan(item.body) for key, item in scene.items.items() if item.body is not None}
    boxes: list[Box] = []
    for key, item in scene.items.items():
        body = bodies.get(key)
        boxes.append(Box(key, *size(item, (body.width, body.height) if body else None)))
    links = [(wire.target, wire.source) if wire.back else (wire.source, wire.target) for wire in scene.wires]
    plan = layout(boxes, links, first=IN, last=OUT)
    plan.bodies = bodies
    plan.width += BESIDE if scene.again else 0
    return plan


def _shift(plan: Layout, x: float, y: float) -> None:
    """Move a body to its place, and those inside it to theirs: at the bottom of their frames, in the middle."""
    plan.shift(x, y)
    for key, body in plan.bodies.items():
        frame = plan.boxes[key]
        _shift(body, frame.x - body.width / 2, frame.y + frame.height - PAD - body.height)


def _drawn(scene: Scene, plan: Layout, highlight: frozenset[str]) -> Iterator[str]:
    yield from draw_arrows(scene, plan)
    for key, item in scene.items.items():
        yield from draw_item(item, plan.boxes[key], stressed=bool(item.path) and item.path in highlight)
        if item.body is not None:
            yield from _drawn(item.body, plan.bodies[key], highlight)
