"""Drawings and differences: what a person must find in them."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

import pytest

from flowbot.draw.mermaid import draw_mermaid
from flowbot.draw.svg import draw_svg
from flowbot.draw.text import draw_text
from flowbot.fields import Field
from flowbot.workflow.check import check
from flowbot.workflow.diff import MOST_SHOWN, changed_nodes, changed_parameters, diff
from flowbot.workflow.nodes import walk
from flowbot.workflow.parameters import Demonstration, LLMParameters
from flowbot.workflow.starts import single_call
from flowbot.workflow.workflow import Workflow

SVG = "{http://www.w3.org/2000/svg}"


def chain(length: int) -> Workflow:
    """A workflow in which each node reads the one before and, every third, also the input and one further back."""
    nodes = {}
    for index in range(length):
        read = {"a": f"n{index - 1}.out" if index else "question"}
        if index % 3 == 2:
            read |= {"q": "question", "b": f"n{index - 2}.out"}
        nodes[f"n{index}"] = {"kind": "llm", "in": read, "out": {"why": "str", "out": "str"}}
    return Workflow.from_data(
        {"flowbot": 1, "inputs": {"question": "str"}, "outputs": {"answer": f"n{length - 1}.out"}, "nodes": nodes}
    )


def rectangles(svg: str) -> list[tuple[float, float, float, float]]:
    drawn = {
        tuple(float(r.attrib[k]) for k in ("x", "y", "width", "height"))
        for r in ElementTree.fromstring(svg).iter(f"{SVG}rect")
    }
    return [(x, y, x + w, y + h) for x, y, w, h in drawn]


def every_kind() -> dict[str, Any]:
    """A workflow with a node of every kind, as data."""
    body = {
        "revise": {"kind": "llm", "in": {"draft": "draft", "question": "question"}, "out": {"draft": "str"}},
        "critic": {"kind": "llm", "in": {"draft": "revise.draft"}, "out": {"ok": "bool", "note": "str"}},
    }
    vip = {"ref": "n", "op": ">", "value": 3}
    nodes = {
        "list": {"kind": "llm", "in": {"question": "question"}, "out": {"items": "list[str]", "others": "list[str]", "note": "str"}},
        "count": {"kind": "code", "in": {"items": "list.items"}, "out": {"n": "int"}},
        "route": {"kind": "branch", "in": {"n": "count.n"}, "ways": {"vip": vip, "normal": "else"}},
        "careful": {"kind": "llm", "when": "route.vip", "in": {"question": "question"}, "out": {"text": "str"}},
        "joined": {"kind": "merge", "how": "judge", "in": ["careful.text", "list.note"], "given": {"q": "question"}, "out": {"text": "str"}},
        "each": {
            "kind": "map", "over": "list.items", "limit": 20, "out": {"prices": "price.price"},
            "nodes": {"price": {"kind": "tool", "tool": "lookup", "in": {"name": "item"}, "out": {"price": "float"}}},
        },
        "refine": {
            "kind": "loop", "max": 3, "until": {"ref": "critic.ok", "op": "==", "value": True},
            "carry": {"draft": {"type": "str", "start": "joined.text", "next": "revise.draft"}},
            "nodes": body,
        },
    }  # fmt: skip
    ends = {"answer": "refine.draft", "prices": "each.prices"}
    told = {"list": {"instruction": "List them."}, "joined": {"instruction": "The clearer."}}
    return {"flowbot": 1, "inputs": {"question": "str"}, "outputs": ends, "nodes": nodes, "parameters": told}


def fan(width: int) -> Workflow:
    """A workflow whose nodes stand side by side, each with a shortcut past one of its own; joined at the end."""
    nodes = {
        f"n{i}": {"kind": "llm", "in": {"q": "question"}, "out": {"why": "str", "out": "str"}} for i in range(width)
    }
    nodes |= {f"n{i + width}": {**nodes[f"n{i}"], "in": {"a": f"n{i}.out", "q": "question"}} for i in range(width)}
    read = [f"n{i}.out" for i in range(2 * width)]
    nodes[f"n{2 * width}"] = {"kind": "merge", "how": "vote", "in": read, "out": {"out": "str"}}
    ends = {"answer": f"n{2 * width}.out"}
    return Workflow.from_data({"flowbot": 1, "inputs": {"question": "str"}, "outputs": ends, "nodes": nodes})


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
    assert re.findall(r"<style>([^{]*){", svg) == ["svg:root"]  # anything else would style the page that it stands in


def test_highlighted_nodes_look_different() -> None:
    assert draw_svg(chain(3), highlight=frozenset({"n1"})) != draw_svg(chain(3))
    assert draw_svg(chain(3), highlight=frozenset({"gone"})) == draw_svg(chain(3))


def test_text_in_a_picture_is_escaped() -> None:
    data = chain(1).dump()
    data["nodes"]["n0"]["out"]['<b>&"\x07'] = "str"
    ElementTree.fromstring(draw_svg(Workflow.from_data(data)))
    assert "<b>&" not in draw_svg(Workflow.from_data(data))
    assert "#lt;b#gt;#amp;#quot;" in draw_mermaid(Workflow.from_data(data))


def test_a_workflow_with_defects_is_drawn_all_the_same() -> None:
    data = chain(3).dump()
    data["nodes"]["n0"]["in"] = {"a": "n2.out", "b": "none.x"}
    for draw in (draw_svg, draw_mermaid, draw_text):
        assert "n1" in draw(Workflow.from_data(data))


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


def test_text_shows_bodies_ways_and_bounds() -> None:
    assert draw_text(Workflow.from_data(every_kind())).splitlines() == [
        "inputs                  question: str",
        "list       llm          question → items: list[str], others: list[str], note: str",
        "count      code         list.items → n: int",
        "route      branch       count.n",
        "· vip                   if n > 3",
        "· normal                else",
        "careful    llm          when route.vip: question → text: str",
        "joined     merge judge  careful.text, list.note; shown question as q → text: str",
        "each       map          each item of list.items, at most 20",
        "│ price    tool lookup  item as name → price: float",
        "│ gives                 prices: list[float] = price.price",
        "refine     loop         at most 3 steps, until critic.ok == true",
        "│ carries               draft: str = joined.text, then revise.draft",
        "│ revise   llm          draft, question → draft: str",
        "│ critic   llm          revise.draft → ok: bool, note: str",
        "outputs                 answer = refine.draft, prices = each.prices",
    ]


def test_text_says_what_else_there_is_to_a_node() -> None:
    data = every_kind()
    data["nodes"]["list"] |= {"frozen": True, "feedback_from": ["joined"]}
    data["parameters"]["list"] |= {"samples": 5, "tools": ["search", "sum"]}
    data["nodes"]["route"]["ways"] = ["vip", "normal"]
    text = draw_text(Workflow.from_data(data), width=400)
    assert "· 5 samples · tools search, sum · at most 5 rounds · feedback from joined · frozen" in text
    assert "count.n · a model chooses" in text


def test_text_is_wrapped_between_words() -> None:
    text = draw_text(Workflow.from_data(every_kind()), width=70)
    assert max(map(len, text.splitlines())) <= 70
    assert " ".join(text.split()).count("str") == " ".join(draw_text(Workflow.from_data(every_kind())).split()).count(
        "str"
    )


def test_mermaid_shows_bodies_as_subgraphs_and_ways_as_labels() -> None:
    lines = [line.strip() for line in draw_mermaid(Workflow.from_data(every_kind())).splitlines()]
    number = {path: f"n{index}" for index, (path, _) in enumerate(walk(Workflow.from_data(every_kind()).sketch))}
    route, careful, each, refine = (number[name] for name in ("route", "careful", "each", "refine"))
    assert f'{route} -->|"vip if n #gt; 3"| {careful}' in lines
    assert [line for line in lines if line.startswith(f'{route} -->|"normal else"|')]
    assert [line for line in lines if line.startswith(f"{route}{{")] == [f'{route}{{"<b>route</b> branch<br>count.n"}}']
    assert lines.count("end") == sum(line.startswith("subgraph ") for line in lines) == 2
    assert f'{refine}out -. "draft" .-> {refine}in' in lines
    assert f"{number['joined']} --> {refine}in" in lines
    assert f"{refine}out --> outputs" in lines
    assert f"{each}in --> {number['each/price']}" in lines


def test_mermaid_links_only_what_it_declares() -> None:
    text = draw_mermaid(Workflow.from_data(every_kind()))
    declared = set(re.findall(r"^ *(?:subgraph )?(\w+)[\[({]", text, re.MULTILINE)) | set(
        re.findall(r"(\w+)\(\(\(", text)
    )
    linked = {
        end
        for line in text.splitlines()
        if "->" in line
        for end in re.findall(r"^ *(\w+)|(\w+)(?:\(\(\( \)\)\))?$", line)
    }
    assert {name for pair in linked for name in pair if name} <= declared


def test_the_difference_names_wiring_prompts_and_demonstrations() -> None:
    a = chain(2)
    data = a.dump()
    data["nodes"]["n1"]["in"]["q"] = "question"
    data["nodes"]["n2"] = {"kind": "merge", "how": "vote", "in": ["n1.out"], "out": {"x": "str"}}
    data["outputs"]["answer"] = "n2.x"
    shown = Demonstration(inputs={"a": "1"}, outputs={"out": "2"}, example="e7")
    b = Workflow.from_data(data).with_parameter(
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


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        (("nodes", "route", "ways", "vip"), {"ref": "n", "op": ">", "value": 9}, "~ node route, ways vip: if n > 3 → if n > 9"),
        (("nodes", "route", "ways"), ["vip", "normal"], "~ node route, ways vip: if n > 3 → by the model's choice"),
        (("nodes", "careful", "when"), "route.normal", "~ node careful, when: route.vip → route.normal"),
        (("nodes", "refine", "max"), 2, "~ node refine, max: 3 → 2"),
        (("nodes", "refine", "until", "value"), 1, "~ node refine, until: critic.ok == true → critic.ok == 1"),
        (("nodes", "refine", "carry", "draft", "next"), "critic.note",
         "~ node refine, carry draft: str = joined.text, then revise.draft → str = joined.text, then critic.note"),
        (("nodes", "refine", "nodes", "critic", "in", "draft"), "draft", "~ node refine/critic, in draft: revise.draft → draft"),
        (("nodes", "each", "over"), "list.others", "~ node each, over: list.items → list.others"),
        (("nodes", "each", "as"), "one", "~ node each, as: unset → one"),
        (("nodes", "joined", "given", "q"), "list.note", "~ node joined, given q: question → list.note"),
        (("parameters", "list", "samples"), 5, "~ list, samples: unset → 5"),
        (("parameters", "list", "tools"), ["search", "sum"], "~ list, tools: unset → search, sum"),
        (("parameters", "refine/critic"), {"instruction": "Judge."}, "~ refine/critic, instruction:"),
    ],
)  # fmt: skip
def test_the_difference_finds_every_part_of_the_language(place: tuple[str, ...], value: object, said: str) -> None:
    before, after = every_kind(), every_kind()
    holder = after
    for key in place[:-1]:
        holder = holder[key]
    holder[place[-1]] = value
    assert diff(Workflow.from_data(before), Workflow.from_data(after))[0] == said


def test_the_difference_tells_values_apart_that_read_the_same() -> None:
    before, after = every_kind(), every_kind()
    before["nodes"]["route"]["ways"]["vip"]["value"] = 1
    after["nodes"]["route"]["ways"]["vip"]["value"] = "1"
    [line] = diff(Workflow.from_data(before), Workflow.from_data(after))
    assert '"value":1}' in line
    assert '"value":"1"}' in line


def test_the_difference_names_bodies_by_path_and_their_order() -> None:
    before, after = every_kind(), every_kind()
    del after["nodes"]["each"]
    del after["outputs"]["prices"]
    after["nodes"]["refine"]["nodes"] = dict(reversed(after["nodes"]["refine"]["nodes"].items()))
    assert diff(Workflow.from_data(before), Workflow.from_data(after)) == [
        "- output prices: each.prices",
        "- node each: map, each item of list.items, at most 20, list.items → prices: list[float]",
        "- node each/price: tool lookup, item → price: float",
        "~ order of nodes in refine: revise, critic → critic, revise",
    ]
    assert diff(Workflow.from_data(after), Workflow.from_data(before))[1].startswith("+ node each: map")


def test_changed_nodes_are_those_changed_themselves() -> None:
    after = every_kind()
    after["nodes"]["refine"]["nodes"]["critic"]["frozen"] = True
    after["parameters"]["list"] = {"instruction": "List."}
    assert changed_nodes(Workflow.from_data(every_kind()), Workflow.from_data(after)) == {"refine/critic", "list"}


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


def test_every_parameter_that_changed_is_named_with_bounded_values() -> None:
    before = Workflow.from_data(every_kind())
    assert changed_parameters(before, before) == []
    path = next(path for path, each in before.parameters.items() if isinstance(each, LLMParameters))
    told = before.parameter(path).model_copy(
        update={"instruction": "x" * 5000, "model": "openai/x", "tools": ("a", "b"), "temperature": 0.5, "samples": 3}
    )
    changes = {each["parameter"]: each for each in changed_parameters(before, before.with_parameter(path, told))}
    assert all(each["node"] == path for each in changes.values())
    assert changes["model"] | {"old": None} == {"node": path, "parameter": "model", "old": None, "new": "openai/x"}
    assert changes["tools"]["new"] == ["a", "b"]
    assert {"temperature", "samples", "instruction"} <= set(changes)
    assert len(changes["instruction"]["new"]) < MOST_SHOWN + 30
    assert changes["instruction"]["new"].endswith("(5,000 characters)")
    assert all(each["new"] is None for each in changed_parameters(before, before.model_copy(update={"parameters": {}})))
