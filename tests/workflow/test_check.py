"""The checker names each kind of defect, where it is, and all of them at once."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest

from flowbot.fields import Field, ToolSignature, UserError
from flowbot.workflow.check import MOST_DEFECTS, check, require_valid
from flowbot.workflow.defects import Defect
from flowbot.workflow.graph import successors, topological
from flowbot.workflow.nodes import LoopNode, MapNode, node_at, walk
from flowbot.workflow.parameters import CodeParameters, LLMParameters
from flowbot.workflow.scope import Scope
from flowbot.workflow.workflow import Workflow

SOUND: dict[str, Any] = {
    "flowbot": 1,
    "inputs": {"question": "str"},
    "outputs": {"answer": "total.n"},
    "nodes": {
        "list": {"kind": "llm", "in": {"question": "question"}, "out": {"items": "list[str]"}},
        "price": {"kind": "tool", "tool": "lookup", "in": {"names": "list.items"}, "out": {"prices": "list[float]"}},
        "count": {"kind": "code", "in": {"items": "list.items", "prices": "price.prices"}, "out": {"n": "int"}},
        "total": {"kind": "merge", "how": "first", "in": ["count.n"], "out": {"n": "int"}},
    },
    "parameters": {
        "list": {"instruction": "List the things."},
        "count": {"code": "def run(items, prices):\n    return {'n': len(items)}"},
    },
}
LOOKUP = ToolSignature(
    "lookup",
    "Prices.",
    (Field.of("names", "list[str]"), Field.of("currency", "str")),
    (Field.of("prices", "list[float]"),),
    optional=frozenset({"currency"}),
)
TOOLS = {"lookup": LOOKUP}


def changed(*changes: tuple[str, Any]) -> Workflow:
    """The sound workflow with places (written `nodes.list.in`) set; None removes."""
    data = copy.deepcopy(SOUND)
    for place, value in changes:
        holder, *rest = data, *place.split("/")
        for step in rest[:-1]:
            holder = holder[step]
        if value is None:
            del holder[rest[-1]]
        else:
            holder[rest[-1]] = value
    return Workflow.from_data(data)


def found(workflow: Workflow, **known: Any) -> list[str]:
    return [str(defect) for defect in check(workflow, **{"tools": TOOLS, **known})]


def test_the_sound_one_is_sound() -> None:
    task = {"task_inputs": (Field.of("question", "str"),), "task_outputs": (Field.of("answer", "float"),)}
    assert found(changed(), **task) == []


@pytest.mark.parametrize(
    ("place", "value", "where", "says"),
    [
        ("inputs/question", "string", "inputs.question", "found 'string'"),
        ("inputs/question", "string", "inputs.question", "; write str"),
        ("nodes/list/out/items", "Literal[" + "'a'," * 4000, "nodes.list.out.items", "the type has 16,008 characters"),
        ("nodes/list/rounds", 0, "nodes.list.rounds", "rounds is 0; give a number from 1 to 100"),
        ("nodes/total/in", [], "nodes.total.in", "the merge joins nothing"),
        ("nodes/total/given", {"q": "question"}, "nodes.total.given", "a merge by first asks no model"),
        ("parameters/list/tools", ["lokup"], "parameters.list.tools", "there is no tool 'lokup'; use lookup"),
        ("parameters/list/samples", 3, "parameters.list.samples", "at temperature 0 all samples are the same"),
        ("parameters/list/samples", 3, "parameters.list.samples", "no merge reads the 3 samples"),
        ("inputs/a b", "str", "inputs.a b", "no name"),
        ("outputs", {}, "outputs", "gives nothing"),
        ("outputs/answer", "total.m", "outputs.answer", "use total.n"),
        ("outputs/answer", "total", "outputs.answer", "is a node"),
        ("nodes/list/in/question", "qestion", "nodes.list.in.question", "use question"),
        ("nodes/list/out/items", "list[", "nodes.list.out.items", "ends too early"),
        ("nodes/list/out/items", "Literal['\\x']", "nodes.list.out.items", "no quoted text"),
        ("nodes/list/out/class", "str", "nodes.list.out.class", "no Python keyword"),
        ("nodes/list/in", {}, "nodes.list.in", "reads nothing"),
        ("nodes/list/feedback_from", ["nobody"], "nodes.list.feedback_from", "no node 'nobody'"),
        ("nodes/count/feedback_from", ["list"], "nodes.list", "a circle"),
        ("nodes/price/tool", "lokup", "nodes.price.tool", "use lookup"),
        ("nodes/price/in", {}, "nodes.price.in", "names is not bound"),
        ("nodes/price/in/name", "question", "nodes.price.in.name", "takes no such argument"),
        ("nodes/price/in/names", "question", "nodes.price.in.names", "question is str, and lookup wants list[str]"),
        ("nodes/price/out/cost", "float", "nodes.price.out.cost", "gives no such output"),
        ("nodes/price/out/prices", "list[int]", "nodes.price.out.prices", "gives list[float]"),
        ("nodes/total/in", ["count.n", "question"], "nodes.total.in[1]", "question is str, and the merge gives int"),
        ("nodes/total/how", "concat", "nodes.total.out", "a concatenation is not int"),
        ("nodes/total/out/m", "int", "nodes.total.out", "one output, not 2"),
        ("nodes/list/in/question", "total.n", "nodes.list", "a circle: list → count → total → list"),
        ("parameters/list", None, "parameters.list.instruction", "missing"),
        ("parameters/list/instruction", " \n", "parameters.list.instruction", "missing"),
        ("parameters/count", None, "parameters.count.code", "no function `run`"),
        ("parameters/count/code", "def run(items, prices:", "parameters.count.code", "line 1"),
        ("parameters/count/code", "async def run(items, prices): return {}", "parameters.count.code", "no function"),
        ("parameters/count/code", "def run(items): return {}", "parameters.count.code", "does not take"),
        ("parameters/count/code", "def run(items, prices, x): return {}", "parameters.count.code", "wants x"),
        ("parameters/count/code", "def run(items, prices, /): return {}", "parameters.count.code", "positional-only"),
        (
            "parameters/count/code",
            "def run(items, prices):\n def f(): return 1",
            "parameters.count.code",
            "returns nothing",
        ),
        ("parameters/count/code", "def run(items, prices):\0", "parameters.count.code", "not Python"),
        ("parameters/gone", {"instruction": "x"}, "parameters.gone", "parameters of no node"),
    ],
)
def test_each_defect_is_named_with_its_place(place: str, value: Any, where: str, says: str) -> None:
    defects = check(changed((place, value)), tools=TOOLS)
    assert any(defect.where == where and says in str(defect) for defect in defects), list(map(str, defects))


@pytest.mark.parametrize(
    "code",
    [
        "def run(prices, items): return {'n': 1}",
        "def run(items, **others):\n    return {'n': 1}",
        "import math\ndef run(items, prices, *, more=2):\n    if items:\n        return {'n': 1}",
        "def run(items, prices, how='\\d'):\n    return {'n': 1}",
    ],
)
def test_code_that_takes_the_inputs_passes(code: str) -> None:
    assert found(changed(("parameters/count/code", code))) == []


def test_an_unused_node_and_a_name_clash_are_reported() -> None:
    aside = {"kind": "llm", "in": {"question": "question"}, "out": {"a": "str"}}
    workflow = changed(("nodes/question", aside), ("parameters/question", {"instruction": "x"}))
    assert [(d.where, d.what) for d in check(workflow)] == [
        ("nodes.question", "the node has the name of the input question"),
        ("nodes.question", "no output of the workflow depends on this node"),
    ]


def test_without_tools_known_tool_calls_are_not_judged_and_with_none_they_are() -> None:
    assert found(changed(), tools=None) == []
    assert found(changed(), tools={}) == [
        "nodes.price.tool: there is no tool 'lookup'; there are no tools, so remove it"
    ]


def test_a_workflow_must_fit_its_task() -> None:
    fields = (Field.of("note", "str"),)
    wanted = (Field.of("answer", "str"), Field.of("why", "str"))
    assert found(changed(), task_inputs=fields, task_outputs=wanted) == [
        "inputs.question: the task has no such input; read note",
        "outputs.answer: total.n is int, and the task wants str; bind it to something of type str (question)",
        "outputs: the task's output why is missing; bind it to something of type str (question)",
    ]
    [defect] = check(changed(), task_inputs=(Field.of("question", "list[str]"),))
    assert defect == Defect("inputs.question", "is str, and the task gives list[str]", "declare it as list[str]")


@pytest.mark.parametrize(
    ("shown", "says"),
    [
        ({"inputs": {}, "outputs": {"items": ["a"]}}, "shows the inputs none"),
        ({"inputs": {"question": "q"}, "outputs": {}}, "shows the outputs none"),
        ({"inputs": {"question": "q"}, "outputs": {"item": "a"}}, "shows the outputs item"),
        ({"inputs": {"question": "q"}, "outputs": {"items": "a"}}, "expected list[str]"),
        ({"inputs": {"question": ["q"]}, "outputs": {"items": ["a"]}}, "expected str"),
    ],
)
def test_demonstrations_must_fit_their_node(shown: Any, says: str) -> None:
    [text] = found(changed(("parameters/list/demonstrations", [shown])))
    assert text.startswith("parameters.list.demonstrations[0]: ")
    assert says in text


def test_parameters_of_another_kind_are_reported() -> None:
    workflow = (
        changed().with_parameter("count", LLMParameters(instruction="x")).with_parameter("list", CodeParameters())
    )
    assert [defect.where for defect in check(workflow, tools=TOOLS)] == ["parameters.list", "parameters.count"]


def test_all_defects_come_at_once_and_in_the_order_of_the_file() -> None:
    workflow = changed(
        ("outputs/answer", "x.y"), ("inputs/question", "?"), ("parameters/list", None), ("nodes/count/in/items", "z")
    )
    assert [defect.where for defect in check(workflow, tools=TOOLS)] == [
        "inputs.question",
        "outputs.answer",
        "nodes.count.in.items",
        *(f"nodes.{name}" for name in ("list", "price", "count", "total")),
        "parameters.list.instruction",
    ]


def test_two_circles_are_both_reported() -> None:
    data = copy.deepcopy(SOUND)
    for a, b in (("a", "b"), ("c", "d")):
        for one, other in ((a, b), (b, a)):
            data["nodes"][one] = {"kind": "merge", "how": "vote", "in": [f"{other}.x"], "out": {"x": "int"}}
        data["outputs"][a] = f"{a}.x"
    assert [d.what for d in check(Workflow.from_data(data))] == ["a circle: a → b → a", "a circle: c → d → c"]


def test_a_circle_that_reads_another_is_reported_too() -> None:
    data = copy.deepcopy(SOUND)
    reads = {"a": ["b.x"], "b": ["a.x"], "c": ["a.x", "d.x"], "d": ["c.x"]}
    for name, inputs in reads.items():
        data["nodes"][name] = {"kind": "merge", "how": "vote", "in": inputs, "out": {"x": "int"}}
    data["outputs"]["d"] = "d.x"
    assert [d.what for d in check(Workflow.from_data(data))] == ["a circle: a → b → a", "a circle: c → d → c"]


def test_require_valid_names_the_first_defect_and_how_many() -> None:
    require_valid(changed())
    with pytest.raises(UserError, match=r"f\.yaml: outputs\.answer: .*nothing produces 'x\.y'.*\(and 4 more\)"):
        require_valid(changed(("outputs/answer", "x.y")), where="f.yaml")


def test_references_have_types_and_nodes_have_readers_and_an_order() -> None:
    sketch = changed().sketch
    scope = Scope.of(sketch)
    assert str(scope.type_of("list.items")) == "list[str]"
    assert successors(sketch, "list") == ("price", "count")
    assert topological(sketch) == ("list", "price", "count", "total")
    for wrong in ("list", "list.x", "x", "list.items.0"):
        assert scope.type_text(wrong) is None
    with pytest.raises(UserError, match="circle"):
        topological(changed(("nodes/list/in/question", "total.n")).sketch)


def test_feedback_from_comes_after_in_the_order() -> None:
    last_first = changed(("nodes/aside", {"kind": "merge", "how": "vote", "in": ["question"], "out": {"x": "str"}}))
    assert topological(last_first.sketch)[-1] == "aside"
    skip = changed(
        (
            "nodes/aside",
            {"kind": "merge", "how": "vote", "in": ["question"], "out": {"x": "str"}, "feedback_from": ["list"]},
        )
    )
    assert topological(skip.sketch)[0] == "aside"


BODIES: dict[str, Any] = {
    "flowbot": 1,
    "inputs": {"question": "str", "parts": "list[str]"},
    "outputs": {"answer": "refine.draft", "all": "each.all"},
    "nodes": {
        "route": {"kind": "branch", "in": {"q": "question"}, "ways": ["easy", "hard"]},
        "think": {"kind": "llm", "when": "route.hard", "in": {"q": "question"}, "out": {"draft": "str"}},
        "start": {"kind": "merge", "how": "first", "in": ["think.draft", "question"], "out": {"draft": "str"}},
        "each": {
            "kind": "map",
            "over": "parts",
            "limit": 5,
            "nodes": {"solve": {"kind": "llm", "in": {"part": "item"}, "out": {"x": "str"}}},
            "out": {"all": "solve.x"},
        },
        "refine": {
            "kind": "loop",
            "max": 3,
            "until": {"ref": "critic.ok", "op": "==", "value": True},
            "carry": {"draft": {"type": "str", "start": "start.draft", "next": "revise.draft"}},
            "nodes": {
                "revise": {"kind": "llm", "in": {"draft": "draft", "q": "question"}, "out": {"draft": "str"}},
                "critic": {"kind": "llm", "in": {"draft": "revise.draft"}, "out": {"ok": "bool"}},
            },
        },
    },
    "parameters": {
        path: {"instruction": "Do it."} for path in ("route", "think", "each/solve", "refine/revise", "refine/critic")
    },
}


def changed_bodies(place: str, value: Any) -> Workflow:
    """The sound workflow with bodies with one place set; None removes."""
    data = copy.deepcopy(BODIES)
    holder, *rest = data, *place.split(">")
    for step in rest[:-1]:
        holder = holder[step]
    if value is None:
        del holder[rest[-1]]
    else:
        holder[rest[-1]] = value
    return Workflow.from_data(data)


def test_the_one_with_bodies_is_sound() -> None:
    assert check(changed_bodies("flowbot", 1), tools={}) == []


LOOP = "nodes>refine"
REVISE = "nodes>refine>nodes>revise"


@pytest.mark.parametrize(
    ("place", "value", "says"),
    [
        (f"{LOOP}>max", None, "nodes.refine.max: the loop has no bound; give one, as `max: 3`"),
        (f"{LOOP}>max", 0, "nodes.refine.max: max is 0; give a number from 1 to 100"),
        (f"{LOOP}>max", 10**9, "nodes.refine.max: max is 1000000000; give a number from 1 to 100"),
        ("nodes>each>limit", None, "nodes.each.limit: the map has no bound; give one, as `limit: 20`"),
        ("nodes>each>limit", 10**6, "nodes.each.limit: limit is 1000000; give a number from 1 to 10000"),
        (f"{LOOP}>carry", {}, "nodes.refine.carry: the loop carries nothing, so it gives nothing; carry a value"),
        (
            f"{LOOP}>carry>draft>start",
            "parts",
            "nodes.refine.carry.draft.start: parts is list[str], and draft is str; name",
        ),
        (f"{LOOP}>carry>draft>next", "critic.ok", "nodes.refine.carry.draft.next: critic.ok is bool, and draft is str"),
        (
            f"{LOOP}>carry>draft>start",
            "revise.draft",
            "nodes.refine.carry.draft.start: nothing produces 'revise.draft'",
        ),
        (f"{LOOP}>carry>draft>type", "text", "nodes.refine.carry.draft.type: type 'text': found 'text'"),
        (f"{LOOP}>until>ref", "critic.good", "nodes.refine.until: node critic gives no output 'good'; use critic.ok"),
        (
            f"{LOOP}>until>value",
            "yes",
            "nodes.refine.until: critic.ok is bool, and `==` cannot compare that with 'yes'",
        ),
        (f"{LOOP}>nodes", {}, "nodes.refine.nodes: the body has no nodes; add a node"),
        (f"{REVISE}>in>draft", "drafts", "nodes.refine.nodes.revise.in.draft: nothing produces 'drafts'; use draft or"),
        (
            f"{REVISE}>in>draft",
            "think.draft",
            "nodes.refine: think.draft is there only when route takes hard; read a merge",
        ),
        (
            f"{REVISE}>when",
            "route.hard",
            "nodes.refine.nodes.revise.when: 'route.hard' is no way of a branch; name a way",
        ),
        (f"{REVISE}>in>draft", "critic.ok", "nodes.refine.nodes.revise: a circle: revise → critic → revise"),
        (
            f"{LOOP}>until",
            None,
            "nodes.refine.nodes.critic: nothing that leaves the body depends on this node; use one",
        ),
        (
            f"{LOOP}>nodes>start",
            BODIES["nodes"]["think"],
            "nodes.refine.nodes.start: the name start hides another outside",
        ),
        (
            f"{LOOP}>nodes>draft",
            BODIES["nodes"]["think"],
            "nodes.refine.nodes.draft: the node has the name of the carried",
        ),
        ("nodes>each>as", "question", "nodes.each.as: the name question hides another outside of this body; give it"),
        ("nodes>each>as", "start", "nodes.each.as: the name start hides another outside of this body; give it a name"),
        (
            "nodes>each>nodes>item",
            BODIES["nodes"]["think"],
            "nodes.each.nodes.item: the node has the name of the item item",
        ),
        ("nodes>each>over", "question", "nodes.each.over: question is str; go over something of type list[T]"),
        ("nodes>each>out>all", "question", "nodes.each.out.all: 'question' does not come from the map's body; name an"),
        ("nodes>each>out", {}, "nodes.each.out: the map gives nothing; collect an output of its body"),
        (
            "nodes>route>ways",
            ["easy"],
            "nodes.route.ways: the branch has only one way; give at least two ways, or remove",
        ),
        ("nodes>route>ways", [], "nodes.route.ways: the branch has no ways; give at least two ways, or remove"),
        ("nodes>route>in", {}, "nodes.route.in: the model is shown nothing to choose by; bind an input"),
        (
            "nodes>route>ways",
            {"easy": "else", "hard": {"ref": "q", "op": "empty"}},
            "nodes.route.ways.easy: `else` stands before other ways, which are never taken; put it last",
        ),
        (
            "nodes>route>ways",
            {"easy": {"ref": "q", "op": "empty"}, "hard": {"ref": "q", "op": "empty"}},
            "nodes.route.ways: when no condition holds no way is taken; make the last way `else`",
        ),
        (
            "nodes>route>ways",
            {"easy": {"ref": "q", "op": "empty"}, "hard": None},
            "nodes.route.ways.hard: has no condition where others have one; give one, or write `ways` as a plain list",
        ),
        (
            "nodes>think>when",
            "route.harder",
            "nodes.think.when: branch route has no way 'harder', so the node is never reached; name route.hard or",
        ),
        ("nodes>start>in", ["think.draft"], "nodes.start: the merge has nothing to join when route takes easy; join"),
        (
            "outputs>answer",
            "think.draft",
            "outputs.answer: think.draft is missing when route takes easy; bind it to a merge",
        ),
        (
            "outputs>answer",
            "route.hard",
            "outputs.answer: route is a branch, which gives nothing to read; run a node `when: route.hard`, and read",
        ),
        (
            "nodes>think>when",
            None,
            "nodes.route: no output of the workflow depends on this node; run a node on one of its",
        ),
        (
            "parameters>route",
            None,
            "parameters.route.instruction: the instruction is missing; say by what the model is to",
        ),
        (
            "parameters>start",
            {"instruction": "x"},
            "parameters.start.instruction: no model is asked in this node; remove",
        ),
        ("parameters>refine/critic", None, "parameters.refine/critic.instruction: the instruction is missing"),
        (
            "parameters>critic",
            {"instruction": "x"},
            "parameters.critic: these are parameters of no node; name refine/critic",
        ),
        (
            "parameters>each/solve>demonstrations",
            [{"inputs": {"part": 3}, "outputs": {"x": ["a"]}}],
            "parameters.each/solve.demonstrations[0]: x: found ",
        ),
    ],
)
def test_each_defect_of_branches_and_bodies_is_named_with_its_place(place: str, value: Any, says: str) -> None:
    found = [str(defect) for defect in check(changed_bodies(place, value), tools={})]
    assert any(text.startswith(says) for text in found), found


@pytest.mark.parametrize("place", ["nodes>refine>max", "nodes>each>limit"])
def test_a_container_without_a_bound_refuses_to_be_run(place: str) -> None:
    node = changed_bodies(place, None).sketch.nodes[place.split(">")[1]]
    assert isinstance(node, LoopNode | MapNode)
    with pytest.raises(UserError, match="a number from 1 to"):
        _ = node.bound


def test_a_tool_that_writes_needs_a_stand_in_unless_writing_is_allowed() -> None:
    writing = {"lookup": replace(LOOKUP, effects="writes")}
    says = "tool lookup writes and has no stand-in; give the tool a stand-in (`simulate:`), or allow writing (--allow-writes)"
    assert found(changed(), tools=writing) == [f"nodes.price.tool: {says}"]
    assert found(changed(), tools=writing, allow_writes=True) == []
    assert found(changed(), tools={"lookup": replace(writing["lookup"], simulated=True)}) == []
    offered = changed(("parameters/list/tools", ["lookup"]))
    assert f"parameters.list.tools: {says}" in found(offered, tools=writing)


ALL: dict[str, Any] = {
    "flowbot": 1,
    "inputs": {"question": "str", "items": "list[str]"},
    "outputs": {"answer": "easy.x", "again": "last.x"},
    "nodes": {
        "unbound": {"kind": "tool", "tool": "lookup", "in": {}, "out": {"prices": "list[float]"}},
        "mistyped": {"kind": "tool", "tool": "lookup", "in": {"names": "question"}, "out": {"prices": "list[float]"}},
        "unknown": {"kind": "code", "in": {"a": "nobody.x"}, "out": {"x": "str"}},
        "one": {"kind": "code", "in": {"a": "two.x"}, "out": {"x": "str"}},
        "two": {"kind": "code", "in": {"a": "one.x"}, "out": {"x": "str"}},
        "idle": {"kind": "code", "in": {"a": "question"}, "out": {"x": "str"}},
        "route": {"kind": "branch", "in": {"q": "question"}, "ways": ["left", "right"]},
        "easy": {"kind": "code", "when": "route.left", "in": {"a": "question"}, "out": {"x": "str"}},
        "never": {"kind": "code", "when": "route.middle", "in": {"a": "question"}, "out": {"x": "str"}},
        "reads": {"kind": "code", "in": {"a": "easy.x"}, "out": {"x": "str"}},
        "endless": {
            "kind": "loop",
            "carry": {"v": {"type": "str", "start": "question", "next": "step.x"}},
            "nodes": {"step": {"kind": "code", "in": {"a": "v"}, "out": {"x": "str"}}},
        },
        "boundless": {
            "kind": "map",
            "over": "items",
            "nodes": {"easy": {"kind": "code", "in": {"a": "item"}, "out": {"x": "str"}}},
            "out": {"x": "easy.x"},
        },
        "missing": {"kind": "tool", "tool": "lokup", "in": {"names": "items"}, "out": {"prices": "list[float]"}},
        "writes": {"kind": "tool", "tool": "send", "in": {"text": "question"}, "out": {"result": "str"}},
        "question": {"kind": "code", "in": {"a": "items"}, "out": {"x": "str"}},
        "last": {
            "kind": "code",
            "in": {
                **{f"a{i}": f"{name}.x" for i, name in enumerate(("unknown", "one", "never", "reads", "question"))},
                **{f"b{i}": f"{name}.prices" for i, name in enumerate(("unbound", "mistyped", "missing"))},
                **{"c": "endless.v", "d": "boundless.x", "e": "writes.result"},
            },
            "out": {"x": "str"},
        },
    },
}


def test_all_defects_of_a_workflow_that_has_every_one_are_named_at_once() -> None:
    send = ToolSignature("send", "", (Field.of("text", "str"),), (Field.of("result", "str"),), effects="writes")
    nodes = [path for path, node in walk(Workflow.from_data(ALL).sketch) if node.kind == "code"]
    reads = {path: node_at(Workflow.from_data(ALL).sketch, path).inputs for path in nodes}  # type: ignore[union-attr]
    code = {path: {"code": f"def run({', '.join(names)}):\n    return {{'x': ''}}"} for path, names in reads.items()}
    workflow = Workflow.from_data({**ALL, "parameters": {**code, "route": {"instruction": "Choose."}}})
    defects = check(
        workflow,
        tools={**TOOLS, "send": send},
        task_inputs=(Field.of("question", "str"), Field.of("items", "list[str]")),
        task_outputs=(Field.of("answer", "str"), Field.of("why", "str")),
    )
    assert [str(defect) for defect in defects] == [
        "outputs.answer: easy.x is missing when route takes right; bind it to a merge that joins every way",
        "outputs: the task's output why is missing; bind it to something of type str "
        "(question, unknown.x, one.x, two.x, idle.x, easy.x)",
        "nodes.unbound.in: the argument names is not bound; bind it to something of type list[str] (items, boundless.x)",
        "nodes.mistyped.in.names: question is str, and lookup wants list[str]; "
        "bind something of type list[str] (items, boundless.x)",
        "nodes.unknown.in.a: nothing produces 'nobody.x'; "
        "use question or items or unbound.prices or mistyped.prices or unknown.x or one.x or two.x or idle.x, …",
        "nodes.never.when: branch route has no way 'middle', so the node is never reached; name route.left or route.right",
        "nodes.reads: easy.x is there only when route takes left; "
        "read a merge of all ways, or run this node `when: route.left` too",
        "nodes.endless.max: the loop has no bound; give one, as `max: 3`",
        "nodes.boundless.limit: the map has no bound; give one, as `limit: 20`",
        "nodes.missing.tool: there is no tool 'lokup'; use lookup or send",
        "nodes.writes.tool: tool send writes and has no stand-in; "
        "give the tool a stand-in (`simulate:`), or allow writing (--allow-writes)",
        "nodes.question: the node has the name of the input question; give the node another name",
        "nodes.last: never.x is there only when route takes middle; "
        "read a merge of all ways, or run this node `when: route.middle` too",
        "nodes.one: a circle: one → two → one; wire one of them to something earlier",
        "nodes.idle: no output of the workflow depends on this node; use one of its outputs, or remove the node",
        "nodes.boundless.nodes.easy: the name easy hides another outside of this body; give it a name of its own",
    ]


def test_of_very_many_defects_the_first_are_listed_and_the_rest_is_said() -> None:
    names = [f"n{index}" for index in range(10_000)]
    nodes = {name: {"kind": "code", "in": {"a": "x.y"}, "out": {"x": "str"}} for name in names}
    defects = check(Workflow.from_data({"flowbot": 1, "inputs": {}, "outputs": {"a": "n0.x"}, "nodes": nodes}))
    assert len(defects) == MOST_DEFECTS + 1
    assert str(defects[-1]).endswith("there are more defects than these 200; mend these first, then check again")


def test_a_defect_is_one_short_line_whatever_the_names_are() -> None:
    name = "a\nb\x1b[31m" + "c" * 100_000
    nodes = {name: {"kind": "code", "in": {name: name}, "out": {name: name}}}
    for defect in check(Workflow.from_data({"flowbot": 1, "inputs": {}, "outputs": {name: name}, "nodes": nodes})):
        assert str(defect).isprintable()
        assert len(str(defect)) < 1000
