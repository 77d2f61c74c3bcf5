"""Drawings and differences: what a person must find in them."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from flowbot.fields import Field
from flowbot.workflow import (
    Demonstration,
    LLMParameters,
    Workflow,
    check,
    diff,
    draw_mermaid,
    draw_svg,
    draw_text,
    from_data,
    single_call,
)

SVG = "{http://www.w3.org/2000/svg}"


def chain(length: int) -> Workflow:
    """A workflow in which each node reads the one before and, every third, also the input and one further back."""
    nodes = {}
    for index in range(length):
        read = {"a": f"n{index - 1}.out" if index else "question"}
        if index % 3 == 2:
            read |= {"q": "question", "b": f"n{index - 2}.out"}
        nodes[f"n{index}"] = {"kind": "llm", "in": read, "out": {"why": "str", "out": "str"}}
    return from_data(
        {"flowbot": 1, "inputs": {"question": "str"}, "outputs": {"answer": f"n{length - 1}.out"}, "nodes": nodes}
    )


def rectangles(svg: str) -> list[tuple[float, float, float, float]]:
    drawn = {
        tuple(float(r.attrib[k]) for k in ("x", "y", "width", "height"))
        for r in ElementTree.fromstring(svg).iter(f"{SVG}rect")
    }
    return [(x, y, x + w, y + h) for x, y, w, h in drawn]


def fan(width: int) -> Workflow:
    """A workflow whose nodes stand side by side, each with a shortcut past one of its own; joined at the end."""
    nodes = {
        f"n{i}": {"kind": "llm", "in": {"q": "question"}, "out": {"why": "str", "out": "str"}} for i in range(width)
    }
    nodes |= {f"n{i + width}": {**nodes[f"n{i}"], "in": {"a": f"n{i}.out", "q": "question"}} for i in range(width)}
    read = [f"n{i}.out" for i in range(2 * width)]
    nodes[f"n{2 * width}"] = {"kind": "merge", "how": "vote", "in": read, "out": {"out": "str"}}
    ends = {"answer": f"n{2 * width}.out"}
    return from_data({"flowbot": 1, "inputs": {"question": "str"}, "outputs": ends, "nodes": nodes})


@pytest.mark.parametrize("workflow", [chain(1), chain(3), chain(12), chain(20), fan(2), fan(6)])
def test_the_picture_shows_every_node_and_boxes_do_not_overlap(workflow: Workflow) -> None:
    length = len(workflow.sketch.nodes)
    svg = draw_svg(workflow)
    root = ElementTree.fromstring(svg)
    texts = [element.text for element in root.iter(f"{SVG}text")]
    assert [f"n{i}" for i in range(length)] == sorted(
        (t for t in texts if re.fullmatch(r"n\d+", t or "")), key=lambda t: int(t[1:])
    )
    assert {"input", "output", "question: str", "answer: str", "out: str"} <= set(texts)
    boxes = rectangles(svg)
    assert len(boxes) == length + 2
    for i, a in enumerate(boxes):
        for b in boxes[:i]:
            assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]
    width, height = (float(root.attrib[k]) for k in ("width", "height"))
    assert all(x0 >= 0 and x1 <= width and y0 >= 0 and y1 <= height for x0, y0, x1, y1 in boxes)


def test_the_picture_needs_nothing_from_outside_and_takes_the_pages_colour() -> None:
    svg = draw_svg(chain(3))
    assert "currentColor" in svg
    assert "http" not in svg.replace("http://www.w3.org/2000/svg", "")
    assert "<script" not in svg
    assert "<style" not in svg  # inline in a page it would style the page


def test_highlighted_nodes_look_different() -> None:
    assert draw_svg(chain(3), highlight=frozenset({"n1"})) != draw_svg(chain(3))
    assert draw_svg(chain(3), highlight=frozenset({"gone"})) == draw_svg(chain(3))


def test_text_in_a_picture_is_escaped() -> None:
    data = chain(1).dump()
    data["nodes"]["n0"]["out"]['<b>&"\x07'] = "str"
    ElementTree.fromstring(draw_svg(from_data(data)))
    assert "<b>&" not in draw_svg(from_data(data))
    assert "#lt;b#gt;&#quot;" in draw_mermaid(from_data(data))


def test_a_workflow_with_defects_is_drawn_all_the_same() -> None:
    data = chain(3).dump()
    data["nodes"]["n0"]["in"] = {"a": "n2.out", "b": "none.x"}
    for draw in (draw_svg, draw_mermaid, draw_text):
        assert "n1" in draw(from_data(data))


def test_text_and_mermaid_say_what_reads_what() -> None:
    assert draw_text(chain(2)).splitlines() == [
        "inputs        question: str",
        "n0       llm  question as a → why: str, out: str",
        "n1       llm  n0.out as a → why: str, out: str",
        "outputs       answer = n1.out",
    ]
    lines = draw_mermaid(chain(2)).splitlines()
    assert lines[0] == "flowchart TD"
    assert [line.strip() for line in lines if "-->" in line] == ["inputs --> n0", "n0 --> n1", "n1 --> outputs"]


def test_the_difference_names_wiring_prompts_and_demonstrations() -> None:
    a = chain(2)
    data = a.dump()
    data["nodes"]["n1"]["in"]["q"] = "question"
    data["nodes"]["n2"] = {"kind": "merge", "how": "vote", "in": ["n1.out"], "out": {"x": "str"}}
    data["outputs"]["answer"] = "n2.x"
    shown = Demonstration(inputs={"a": "1"}, outputs={"out": "2"}, example="e7")
    b = from_data(data).with_parameter(
        "n0", LLMParameters(instruction="One.\nTwo.", demonstrations=(shown,), temperature=0.5)
    )
    assert diff(a, b) == [
        "~ output answer: n1.out → n2.x",
        "+ node n1, in q: question",
        "+ node n2: merge vote, n1.out → x: str",
        "~ n0, instruction:",
        "    @@ -0,0 +1,2 @@",
        "    +One.",
        "    +Two.",
        "~ n0, demonstrations: 0 → 1 (now from e7)",
        "~ n0, temperature: unset → 0.5",
    ]
    assert diff(b, a)[1] == "- node n2: merge vote, n1.out → x: str"
    assert diff(a, a) == []


@pytest.mark.parametrize("reasoning", [True, False])
def test_a_single_call_fits_any_task(reasoning: bool) -> None:
    inputs = (Field.of("answer", "str"), Field.of("note", "list[str]"))
    outputs = (Field.of("reasoning", "str"), Field.of("total", "{a: int}", "euros in all"))
    workflow = single_call(inputs, outputs, " Count. ", reasoning=reasoning)
    assert check(workflow, task_inputs=inputs, task_outputs=outputs) == []
    [node] = workflow.sketch.nodes.values()
    assert list(node.out) == [*(["reasoning_"] if reasoning else []), "reasoning", "total"]
    given = workflow.parameters[next(iter(workflow.sketch.nodes))]
    assert isinstance(given, LLMParameters)
    assert given.instruction == "Count."
    assert "total: euros in all" in given.format_hint
