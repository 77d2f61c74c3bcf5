"""Ways through branches: the rules agree with running a body on every combination of choices."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

from hypothesis import event, given, settings
from hypothesis import strategies as st

from flowbot.workflow.check import check
from flowbot.workflow.nodes import BranchNode, MergeNode
from flowbot.workflow.ways import Ways
from flowbot.workflow.workflow import Workflow

Data = dict[str, Any]


def workflow(nodes: Data, outputs: Data) -> Workflow:
    told = {name: {"instruction": "Choose."} for name, node in nodes.items() if node["kind"] == "branch"}
    data = {"flowbot": 1, "inputs": {"q": "str"}, "outputs": outputs, "nodes": nodes, "parameters": told}
    return Workflow.from_data(data)


def branch(*ways: str, when: str | None = None) -> Data:
    return {"kind": "branch", "in": {"q": "q"}, "ways": list(ways), "when": when}


def step(*reads: str, when: str | None = None) -> Data:
    return {
        "kind": "tool",
        "tool": "t",
        "in": {f"v{i}": each for i, each in enumerate(reads)},
        "out": {"x": "str"},
        "when": when,
    }


def merge(*reads: str, when: str | None = None) -> Data:
    return {"kind": "merge", "how": "first", "in": list(reads), "out": {"x": "str"}, "when": when}


@st.composite
def bodies(draw: st.DrawFn) -> Workflow:
    """A small body whose nodes read earlier ones, on their way or not."""
    nodes: Data = {}
    labels: list[str | None] = [None]
    known = ["q"]
    for index in range(draw(st.integers(1, 7))):
        when = draw(st.sampled_from(labels))
        match draw(st.sampled_from(["step", "branch", "merge"])):
            case "branch":
                nodes[f"b{index}"] = branch(*"lmr"[: draw(st.integers(2, 3))], when=when)
                labels += [f"b{index}.{label}" for label in nodes[f"b{index}"]["ways"]]
                continue
            case "step":
                make = step
            case _:
                make = merge
        reads = draw(st.lists(st.sampled_from(known), min_size=1, max_size=3, unique=True))
        nodes[f"n{index}"] = make(*reads, when=when)
        known.append(f"n{index}.x")
    if not nodes:
        nodes["n"] = step("q")
    return workflow(nodes, {"a": draw(st.sampled_from(known))})


def runs(flow: Workflow) -> Iterator[tuple[set[str], set[str]]]:
    """For every combination of choices: the nodes that should run, and those of them that lack what they need."""
    nodes = flow.sketch.nodes
    branches = [name for name, node in nodes.items() if isinstance(node, BranchNode)]
    for taken in product(*(list(nodes[name].ways) for name in branches)):
        choice = dict(zip(branches, taken, strict=True))
        run: set[str] = set()
        starved: set[str] = set()
        for name, node in nodes.items():
            chosen, _, label = (node.when or "").partition(".")
            if node.when is None or (chosen in run and choice[chosen] == label):
                run.add(name)
                there = [each == "q" or each.partition(".")[0] in run for each in node.references()]
                if not (any if isinstance(node, MergeNode) else all)(there):
                    starved.add(name)
        yield run, starved


@settings(max_examples=400, deadline=None)
@given(bodies())
def test_the_rules_agree_with_every_combination_of_choices(flow: Workflow) -> None:
    everything = list(runs(flow))
    starved = {name for _, lacking in everything for name in lacking}
    for name, node in flow.sketch.nodes.items():
        if isinstance(node, MergeNode):  # joins something that is never there together with it
            for reference in node.inputs:
                head = reference.partition(".")[0]
                if head != "q" and not any({name, head} <= run for run, _ in everything):
                    starved.add(name)
    end = flow.sketch.outputs["a"].partition(".")[0]
    lost = end != "q" and any(end not in run for run, _ in everything)
    defects = check(flow)
    said = ("is there only when", "is never there", "nothing to join")
    named = {defect.where.split(".")[1] for defect in defects if any(each in defect.what for each in said)}
    event(f"{len(starved)} lack something")
    assert named == starved
    assert any(defect.where == "outputs.a" and "is missing when" in defect.what for defect in defects) == lost


def test_what_is_missing_is_said_with_the_choices_on_which_it_is() -> None:
    nodes = {
        "b": branch("l", "r"),
        "c": branch("u", "v", when="b.l"),
        "x": step("q", when="c.u"),
        "y": step("q", when="b.r"),
        "m": merge("x.x", "y.x"),
        "z": step("x.x"),
    }
    found = [(defect.where, defect.what, defect.mend) for defect in check(workflow(nodes, {"a": "m.x", "c": "z.x"}))]
    assert found == [
        ("nodes.m", "the merge has nothing to join when b takes l and c takes v", "join a value of that way too"),
        (
            "nodes.z",
            "x.x is there only when b takes l and c takes u",
            "read a merge of all ways, or run this node `when: c.u` too",
        ),
    ]


def test_a_merge_on_a_way_cannot_join_what_only_another_way_gives() -> None:
    nodes = {
        "b": branch("l", "r"),
        "x": step("q", when="b.l"),
        "m": merge("x.x", "q", when="b.r"),
        "n": merge("x.x", "m.x"),
    }
    [defect] = check(workflow(nodes, {"a": "n.x"}))
    assert (defect.where, defect.what) == ("nodes.m", "x.x is never there when this merge runs")


def test_a_when_must_name_a_way_of_a_branch() -> None:
    nodes = {
        "b": branch("left", "right"),
        "x": step("q", when="b.lift"),
        "y": step("q", when="x.x"),
        "m": merge("x.x", "y.x"),
    }
    found = [str(defect) for defect in check(workflow(nodes, {"a": "m.x"})) if defect.where.endswith(".when")]
    assert found == [
        "nodes.x.when: branch b has no way 'lift', so the node is never reached; name b.left or b.right",
        "nodes.y.when: 'x.x' is no way of a branch; name a way of a branch of the same body: b.left or b.right",
    ]


def test_branches_that_wait_for_each_other_are_a_circle_and_no_endless_walk() -> None:
    nodes = {"b": branch("l", "r", when="c.u"), "c": branch("u", "v", when="b.l"), "x": step("q", when="b.l")}
    assert "a circle: b → c → b" in [defect.what for defect in check(workflow(nodes, {"a": "x.x"}))]


def test_what_is_too_much_to_check_is_said() -> None:
    many = 400
    nodes: Data = {f"b{i}": branch("l", "r") for i in range(many)}
    nodes |= {f"x{i}": step("q", when=f"b{i}.l") for i in range(many)}
    nodes["m"] = merge(*(f"x{i}.x" for i in range(many)))
    [defect] = [each for each in check(workflow(nodes, {"a": "m.x"})) if each.where == "nodes.m"]
    assert "too many ways" in defect.what


def test_branches_within_each_other_are_bounded() -> None:
    deep = 1500
    nodes: Data = {f"b{i}": branch("l", "r", when=f"b{i - 1}.l" if i else None) for i in range(deep)}
    nodes["x"] = step("q", when=f"b{deep - 1}.l")
    flow = workflow(nodes, {"a": "x.x"})
    assert any("more than 16 branches within each other" in defect.what for defect in check(flow))
    assert len(Ways(flow.sketch).of(f"b{deep - 1}")) <= 16
