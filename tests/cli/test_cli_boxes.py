"""Workflows as boxes of text: bodies within their node's box, at any width."""

from __future__ import annotations

from typing import Any

import pytest
from cli_help import set_lines

from flowbot.cli.drawing import boxes
from flowbot.workflow.workflow import Workflow


def nested(depth: int) -> Workflow:
    """A step within so many loops, one within the other, and a branch before them."""
    body: dict[str, Any] = {"inner": {"kind": "llm", "in": {"x0": "x0"}, "out": {"y": "int"}}}
    result = "inner.y"
    for level in range(depth):
        carry = {f"x{level}": {"type": "int", "start": f"x{level + 1}", "next": result}}
        body = {f"loop{level}": {"kind": "loop", "max": 2, "carry": carry, "nodes": body}}
        result = f"loop{level}.x{level}"
    ways = {"high": {"ref": "n", "op": ">", "value": 3}, "low": "else"}
    nodes = {"route": {"kind": "branch", "in": {"n": f"x{depth}"}, "ways": ways}, **body}
    told = {"/".join([*(f"loop{level}" for level in reversed(range(depth))), "inner"]): {"instruction": "Add one."}}
    inputs = {f"x{depth}": "int"}
    return Workflow.from_data(
        {"flowbot": 1, "inputs": inputs, "outputs": {"y": result}, "nodes": nodes, "parameters": told}
    )


def test_a_body_stands_within_the_box_of_its_node() -> None:
    lines = set_lines(boxes(nested(2), 46))
    [inner] = [line for line in lines if "inner · llm" in line]
    assert inner.startswith("│ │ ╭─ inner · llm ─")
    assert inner.endswith("╮ │ │")
    assert any("“Add one.”" in line for line in lines)
    text = "\n".join(lines)
    for part in ("route · branch", "high if n > 3", "low else", "2 steps", "carries x1", "loop0 · loop"):
        assert part in text


@pytest.mark.parametrize("width", [30, 46, 60])
@pytest.mark.parametrize("depth", [1, 3, 8])
def test_boxes_within_boxes_keep_to_the_width(width: int, depth: int) -> None:
    lines = set_lines(boxes(nested(depth), width))
    assert all(len(line) <= width for line in lines)
    assert all(len(line) == width for line in lines if line.startswith(("│ ", "╭", "╰")))


def test_a_body_too_deep_for_boxes_is_named() -> None:
    assert any("runs loop" in line for line in set_lines(boxes(nested(8), 30)))
