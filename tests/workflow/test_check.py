"""The checker names each kind of defect, where it is, and all of them at once."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from flowbot.fields import Field, ToolSignature, UserError
from flowbot.workflow import (
    CodeParameters,
    Defect,
    LLMParameters,
    Workflow,
    check,
    from_data,
    reference_type,
    require_valid,
    successors,
    topological,
)

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
    return from_data(data)


def found(workflow: Workflow, **known: Any) -> list[str]:
    return [str(defect) for defect in check(workflow, **{"tools": TOOLS, **known})]


def test_the_sound_one_is_sound() -> None:
    task = {"task_inputs": (Field.of("question", "str"),), "task_outputs": (Field.of("answer", "float"),)}
    assert found(changed(), **task) == []


@pytest.mark.parametrize(
    ("place", "value", "where", "says"),
    [
        ("inputs/question", "string", "inputs.question", "found 'string'"),
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
        "nodes.price.tool: there is no tool 'lookup'; the task has no tools: remove the node"
    ]


def test_a_workflow_must_fit_its_task() -> None:
    fields = (Field.of("note", "str"),)
    wanted = (Field.of("answer", "str"), Field.of("why", "str"))
    assert found(changed(), task_inputs=fields, task_outputs=wanted) == [
        "inputs.question: the task has no such input; read note",
        "outputs.answer: total.n is int, and the task wants str; bind it to something of type str (question)",
        "outputs: the task's output why is missing; bind it to something of type str",
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
    assert [d.what for d in check(from_data(data))] == ["a circle: a → b → a", "a circle: c → d → c"]


def test_require_valid_names_the_first_defect_and_how_many() -> None:
    require_valid(changed())
    with pytest.raises(UserError, match=r"f\.yaml: outputs\.answer: .*nothing produces 'x\.y'.*\(and 4 more\)"):
        require_valid(changed(("outputs/answer", "x.y")), where="f.yaml")


def test_references_have_types_and_nodes_have_readers_and_an_order() -> None:
    sketch = changed().sketch
    assert str(reference_type(sketch, "list.items")) == "list[str]"
    assert successors(sketch, "list") == ("price", "count")
    assert topological(sketch) == ("list", "price", "count", "total")
    for wrong in ("list", "list.x", "x", "list.items.0"):
        with pytest.raises(UserError, match="expected one of question"):
            reference_type(sketch, wrong)
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
