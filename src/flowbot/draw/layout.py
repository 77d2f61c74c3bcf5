"""Where boxes go: a layered drawing from top to bottom (Sugiyama, Tagawa, Toda 1981), deterministic.

Boxes are put into layers by the longest path that leads to them; links that pass layers get a bend in each; the
order within a layer is swept until fewer links cross; places come from pulling boxes to their neighbours.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

GAP_X = 26.0
GAP_Y = 44.0
_BEND = 8.0
_GAP_BEND = 12.0
_MUCH = 90.0
"""Room above and below from which on a box stands at the top of its layer, not in the middle."""
_SWEEPS = 12
_Neighbours = dict[str, list[str]]
_PULLS = 80


@dataclass(slots=True)
class Box:
    """Something to place: its size is given, `x` (centre), `y` (top) and `layer` are found. A bend has no height."""

    name: str
    width: float
    height: float
    layer: int = 0
    x: float = 0.0
    y: float = 0.0
    bend: bool = False


@dataclass(slots=True)
class Link:
    """A link between two boxes and the names of the boxes and bends that it passes, from source to target."""

    source: str
    target: str
    path: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Layout:
    """Placed boxes and bends by name, the links, the layers as (top, height), and what is placed inside boxes, by their names."""

    boxes: dict[str, Box]
    links: list[Link]
    layers: list[tuple[float, float]]
    width: float
    height: float
    bodies: dict[str, Layout] = field(default_factory=dict[str, "Layout"])

    def shift(self, x: float, y: float) -> None:
        """Move everything to the right and down."""
        for box in self.boxes.values():
            box.x += x
            box.y += y
        self.layers = [(top + y, height) for top, height in self.layers]


def layout(boxes: Sequence[Box], links: Sequence[tuple[str, str]], *, first: str, last: str) -> Layout:
    """Place boxes.

    Args:
        boxes: in an order in which every link leads forward; no name begins with `bend`.
        links: (source, target) by name; the result has them in the same order.
        first: the box that has the first layer for itself.
        last: the box that has the last layer for itself.
    """
    placed = {box.name: box for box in boxes}
    before = {box.name: [source for source, target in links if target == box.name] for box in boxes}
    for box in boxes:
        least = 0 if box.name == first else 1
        box.layer = max([least, *(placed[source].layer + 1 for source in before[box.name])])
    placed[last].layer = max(placed[last].layer, 1 + max(box.layer for box in boxes if box.name != last))
    routed = [_routed(index, source, target, placed) for index, (source, target) in enumerate(links)]
    layers: list[list[str]] = [[] for _ in range(placed[last].layer + 1)]
    for box in placed.values():
        layers[box.layer].append(box.name)
    above, below = _neighbours(routed)
    layers = _ordered([layer for layer in layers if layer], above, below)
    heights = [max(placed[name].height for name in layer) for layer in layers]
    tops = [sum(heights[:index]) + GAP_Y * index for index in range(len(heights))]
    for layer, top, height in zip(layers, tops, heights, strict=True):
        for name in layer:
            room = height - placed[name].height
            placed[name].y = top + (room / 2 if room < _MUCH and not placed[name].bend else 0)
    _place(layers, above, below, placed)
    left = min(box.x - box.width / 2 for box in placed.values())
    for box in placed.values():
        box.x -= left
    width = max(box.x + box.width / 2 for box in placed.values())
    return Layout(placed, routed, list(zip(tops, heights, strict=True)), width, tops[-1] + heights[-1])


def _routed(index: int, source: str, target: str, placed: dict[str, Box]) -> Link:
    bends: list[str] = []
    for layer in range(placed[source].layer + 1, placed[target].layer):
        bend = Box(f"bend {index} {layer}", _BEND, 0.0, layer, bend=True)
        placed[bend.name] = bend
        bends.append(bend.name)
    return Link(source, target, [source, *bends, target])


def _neighbours(links: Sequence[Link]) -> tuple[_Neighbours, _Neighbours]:
    above: _Neighbours = {}
    below: _Neighbours = {}
    for link in links:
        for upper, lower in zip(link.path, link.path[1:], strict=False):
            above.setdefault(lower, []).append(upper)
            below.setdefault(upper, []).append(lower)
    return above, below


# The barycentre heuristic of Sugiyama, Tagawa, Toda 1981, section III: a node goes where its neighbours are on average.
def _ordered(layers: list[list[str]], above: _Neighbours, below: _Neighbours) -> list[list[str]]:
    """Each layer in the order with the fewest crossings that sweeping by the mean of the neighbours' ranks finds."""
    best, fewest = layers, _crossings(layers, above)
    current = [list(layer) for layer in layers]
    for sweep in range(_SWEEPS):
        down = sweep % 2 == 0
        for index in range(1, len(current)) if down else range(len(current) - 2, -1, -1):
            beside = {name: rank for rank, name in enumerate(current[index - 1 if down else index + 1])}
            near = above if down else below
            own = {name: float(rank) for rank, name in enumerate(current[index])}
            mean = {name: _mean([beside[other] for other in near.get(name, ())], own[name]) for name in current[index]}
            current[index].sort(key=lambda name, mean=mean, own=own: (mean[name], own[name]))
        crossings = _crossings(current, above)
        if crossings < fewest:
            best, fewest = [list(layer) for layer in current], crossings
    return best


def _crossings(layers: Sequence[Sequence[str]], above: _Neighbours) -> int:
    total = 0
    for upper, lower in itertools.pairwise(layers):
        rank = {name: index for index, name in enumerate(upper)}
        ends = [rank[other] for name in lower for other in sorted(above.get(name, ()), key=lambda o: rank[o])]
        total += sum(1 for index, end in enumerate(ends) for other in ends[:index] if other > end)
    return total


def _place(layers: Sequence[Sequence[str]], above: _Neighbours, below: _Neighbours, placed: Mapping[str, Box]) -> None:
    for layer in layers:
        at = 0.0
        for name in layer:
            placed[name].x = at + placed[name].width / 2
            at += placed[name].width + GAP_X
        for name in layer:
            placed[name].x -= (at - GAP_X) / 2
    for sweep in range(_PULLS):
        for layer in layers if sweep % 2 == 0 else reversed(layers):
            row = [placed[name] for name in layer]
            wished = [_wish(box, [placed[n] for near in (above, below) for n in near.get(box.name, ())]) for box in row]
            for box, x in zip(row, _apart(wished, row), strict=True):
                box.x = x


def _wish(box: Box, beside: Sequence[Box]) -> float:
    """Where a box would like to be: amid its neighbours. A bend heeds other bends more, for a straight link."""
    heeded = [other for other in beside for _ in range(4 if box.bend and other.bend else 1)]
    return _mean([other.x for other in heeded], box.x)


def _apart(wished: Sequence[float], row: Sequence[Box]) -> list[float]:
    """Places nearest to those wished (least squares) that keep order and gaps: pool adjacent violators."""
    # With the gaps taken off it is isotonic regression (Barlow et al. 1972): neighbours out of order share their mean.
    shifts = [0.0]
    for left, right in itertools.pairwise(row):
        shifts.append(shifts[-1] + (left.width + right.width) / 2 + (_GAP_BEND if left.bend or right.bend else GAP_X))
    pools: list[tuple[float, int]] = []
    for wish, shift in zip(wished, shifts, strict=True):
        total, count = wish - shift, 1
        while pools and pools[-1][0] / pools[-1][1] > total / count:
            before, many = pools.pop()
            total, count = total + before, count + many
        pools.append((total, count))
    level = [total / count for total, count in pools for _ in range(count)]
    return [each + shift for each, shift in zip(level, shifts, strict=True)]


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise
