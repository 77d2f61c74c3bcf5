"""The geometry of pictures: nothing overlaps, nothing leaves its frame, no text its box, no arrow crosses a box."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import HealthCheck, given, settings
from random_workflows import workflows

from flowbot.draw.svg import draw_svg
from flowbot.workflow.nodes import walk
from flowbot.workflow.workflow import Workflow

SVG = "{http://www.w3.org/2000/svg}"
BIG = Path(__file__).parent / "twenty_nodes.flow.yaml"
Point = tuple[float, float]


@dataclass
class Shape:
    """A drawn item: its edges, the path of its node, its texts as (left, right, baseline)."""

    box: tuple[float, float, float, float]
    path: str
    words: list[str]
    texts: list[tuple[float, float, float]] = field(default_factory=list)

    def holds(self, other: Shape) -> bool:
        return (
            self.box[0] <= other.box[0]
            and self.box[1] <= other.box[1]
            and self.box[2] >= other.box[2]
            and self.box[3] >= other.box[3]
        )

    def meets(self, other: Shape) -> bool:
        a, b = self.box, other.box
        return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]

    def contains(self, point: Point, by: float = 1.0) -> bool:
        return self.box[0] + by < point[0] < self.box[2] - by and self.box[1] + by < point[1] < self.box[3] - by


def shapes(root: ElementTree.Element) -> list[Shape]:
    found: list[Shape] = []
    for group in root.iter(f"{SVG}g"):
        rect, polygon = group.find(f"{SVG}rect"), group.find(f"{SVG}polygon")
        if rect is not None:
            x, y, w, h = (float(rect.attrib[key]) for key in ("x", "y", "width", "height"))
            box = (x, y, x + w, y + h)
        else:
            assert polygon is not None
            corners = [tuple(map(float, each.split(","))) for each in polygon.attrib["points"].split()]
            xs, ys = [x for x, _ in corners], [y for _, y in corners]
            box = (min(xs), min(ys), max(xs), max(ys))
        shape = Shape(box, group.attrib.get("data-node", ""), [each.text or "" for each in group.iter(f"{SVG}text")])
        for text in group.iter(f"{SVG}text"):
            wide = len(text.text or "") * 0.602 * float(text.attrib["font-size"])  # of DejaVu Sans Mono
            left = float(text.attrib["x"]) - {"middle": wide / 2, "end": wide}.get(
                text.attrib.get("text-anchor", ""), 0
            )
            shape.texts.append((left, left + wide, float(text.attrib["y"])))
        found.append(shape)
    return found


def arrows(root: ElementTree.Element) -> list[list[Point]]:
    """Points along every curve between boxes; heads and ways back have no curve."""
    found: list[list[Point]] = []
    for element in root.iter(f"{SVG}path"):
        d = element.attrib["d"]
        if "C" not in d:
            continue
        numbers = [float(each) for each in re.findall(r"-?[\d.]+", d)]
        points = list(zip(numbers[::2], numbers[1::2], strict=True))
        line = [points[0]]
        for i in range(0, len(points) - 1, 3):
            a, b, c, e = points[i : i + 4]
            for step in range(1, 9):
                t = step / 8
                w = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3)
                line.append(tuple(sum(k * p[axis] for k, p in zip(w, (a, b, c, e), strict=True)) for axis in (0, 1)))
        found.append(line)
    return found


def assert_readable(workflow: Workflow) -> None:
    root = ElementTree.fromstring(draw_svg(workflow))
    drawn = shapes(root)
    bodies = {path for path, node in walk(workflow.sketch) if node.kind in ("loop", "map")}
    assert sorted(each.path for each in drawn if each.path) == sorted(path for path, _ in walk(workflow.sketch))
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    for index, one in enumerate(drawn):
        assert one.box[0] >= 0 <= one.box[1]
        assert one.box[2] <= width
        assert one.box[3] <= height
        for left, right, base in one.texts:
            assert one.box[0] <= left < right <= one.box[2]
            assert one.box[1] < base < one.box[3]
        for other in drawn[:index]:
            assert not one.meets(other) or (other.path in bodies and other.holds(one))
        if "/" in one.path:
            holder = next(each for each in drawn if each.path == one.path.rpartition("/")[0])
            assert holder.holds(one)
    for line in arrows(root):
        for shape in drawn:
            inside = shape.path in bodies and shape.contains(line[0], 0) and shape.contains(line[-1], 0)
            assert inside or not any(shape.contains(point) for point in line)


def test_a_picture_of_twenty_nodes_with_every_kind_is_readable() -> None:
    workflow = Workflow.load(BIG)
    assert sum(1 for _ in walk(workflow.sketch)) >= 20
    assert_readable(workflow)
    words = {word for shape in shapes(ElementTree.fromstring(draw_svg(workflow))) for word in shape.words}
    assert {
        "vip",
        "if tier == gold and intent != other",
        "until judge.ok == true",
        "at most 3 steps, until judge.ok == true",
    } <= words
    assert {
        "each item of read.items, at most 20",
        "query: str = clean.name",
        "prices = best.price",
        "5 samples",
    } <= words


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(workflows())
def test_every_picture_is_readable(workflow: Workflow) -> None:
    assert_readable(workflow)


def test_a_loop_leads_back_by_a_dotted_line() -> None:
    svg = draw_svg(Workflow.load(BIG))
    loops = sum(node.kind == "loop" for _, node in walk(Workflow.load(BIG).sketch))
    assert len(re.findall(r"<path [^>]*H[^>]*stroke-dasharray", svg)) == loops


def test_the_same_workflow_gives_the_same_picture() -> None:
    assert draw_svg(Workflow.load(BIG)) == draw_svg(Workflow.from_data(Workflow.load(BIG).dump()))


def broken() -> dict[str, Any]:
    loop = {
        "kind": "loop", "max": 2, "carry": {"k": {"type": "strr", "start": "nope", "next": "i.none"}},
        "nodes": {"i": {"kind": "llm", "in": {"k": "k", "own": "again.k"}, "out": {"x": "str"}}},
    }  # fmt: skip
    nodes = {
        "a": {"kind": "llm", "in": {"c": "c.x"}, "out": {"x": "str"}},
        "b": {"kind": "llm", "when": "gone.way", "in": {"a": "a.x", "m": "missing.x"}, "out": {"x": "str"}},
        "c": {"kind": "llm", "in": {"b": "b.x", "c": "c.x"}, "out": {"x": "str"}},
        "again": loop,
    }
    return {"flowbot": 1, "inputs": {"q": "str"}, "outputs": {"z": "none.z"}, "nodes": nodes}


def test_defects_are_marked_where_they_are() -> None:
    workflow = Workflow.from_data(broken())
    assert_readable(workflow)
    svg = draw_svg(workflow)
    words = {shape.path: shape.words for shape in shapes(ElementTree.fromstring(svg)) if shape.path}
    assert {"? missing.x", "? when gone.way"} <= set(words["b"])
    assert "reads itself" in words["c"]
    assert {"? nope", "reads itself"} <= set(words["again"])
    assert ">z: ? none.z<" in svg
    assert "<path" in svg.partition('stroke-dasharray="2 4"')[0]  # the circle's way back is there, dotted


@pytest.mark.parametrize("name", ["日本語の長い名前です", "W" * 90, "in", "out", "node a", "\x00", "<&>"])
def test_any_name_finds_room(name: str) -> None:
    data = broken()
    data["nodes"] = {name if key == "b" else key: node for key, node in data["nodes"].items()}
    root = ElementTree.fromstring(draw_svg(Workflow.from_data(data)))
    assert len(shapes(root)) == len(data["nodes"]) + 1 + 2 + 2
