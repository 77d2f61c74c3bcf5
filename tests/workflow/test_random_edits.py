"""Random edits of random workflows: what comes out is valid, or nothing changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_workflows import JUNK, NAMES, TYPES, workflows

from flowbot.workflow.check import check
from flowbot.workflow.edits.applying import apply
from flowbot.workflow.edits.draft import EditError
from flowbot.workflow.edits.edit import dump_edits
from flowbot.workflow.edits.parse import parse_edits
from flowbot.workflow.scope import Scope
from flowbot.workflow.workflow import Workflow

U = TypeVar("U")
quick = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def outcome(call: Callable[[], U]) -> EditError | U:
    """What a call gives: its result, or the error that it raises."""
    try:
        return call()
    except EditError as error:
        return error


@st.composite
def wild_edits(draw: st.DrawFn) -> tuple[Workflow, list[Any]]:
    """Edits without sense: most name what is not there or does not fit."""
    workflow = draw(workflows())
    sketch = workflow.sketch
    known = st.sampled_from([*Scope.of(sketch).names(), "new.x", "no.x"])
    ids = st.sampled_from([*sketch.nodes, "new"])
    outs = st.dictionaries(st.one_of(st.just("x"), NAMES), TYPES, max_size=2)
    node = st.one_of(
        st.fixed_dictionaries({"kind": st.just("llm"), "in": st.dictionaries(NAMES, known, max_size=2), "out": outs}),
        st.fixed_dictionaries({"kind": st.just("code"), "in": st.fixed_dictionaries({"v": known}), "out": outs}),
        st.fixed_dictionaries(
            {"kind": st.just("merge"), "how": st.just("first"), "in": st.lists(known, min_size=1), "out": outs}
        ),
    )
    parameters = st.sampled_from([None, {"instruction": "Go."}, {"code": "def run(v):\n    return {'x': 1}"}])
    op = {name: st.just(name) for name in ("add", "replace", "remove", "rewire", "output")}
    bypass = st.dictionaries(known, known, max_size=3)
    outputs = st.sampled_from([*sketch.outputs, "nope"])
    edit = st.one_of(
        st.fixed_dictionaries({"op": op["add"], "id": st.just("new"), "node": node, "parameters": parameters}),
        st.fixed_dictionaries({"op": op["replace"], "id": ids, "node": node, "parameters": parameters}),
        st.fixed_dictionaries({"op": op["remove"], "id": ids, "bypass": bypass}),
        st.fixed_dictionaries({"op": op["rewire"], "id": ids, "input": st.one_of(NAMES, known), "to": known}),
        st.fixed_dictionaries({"op": op["output"], "output": outputs, "to": known}),
        JUNK,
    )
    return workflow, draw(st.lists(edit, min_size=1, max_size=3))


@st.composite
def sensible_edits(draw: st.DrawFn) -> tuple[Workflow, list[Any]]:
    """Edits that a person might make, most of which can be made: each keeps types and, mostly, the order."""
    workflow = draw(workflows())
    sketch = workflow.sketch
    scope = Scope.of(sketch)
    known = {name: scope.type_text(name) or "" for name in scope.names()}
    output = draw(st.sampled_from(list(sketch.outputs)))
    end = sketch.outputs[output]
    alike = st.sampled_from([reference for reference, kind in known.items() if kind == known[end]])
    step = {"kind": "llm", "in": {"was": end}, "out": {"x": known[end]}}
    insert = [{"op": "add", "id": "new", "node": step, "parameters": {"instruction": "Mend it."}}]
    plain = [name for name, node in sketch.nodes.items() if getattr(node, "inputs", ()) and node.kind != "branch"]
    if not plain:
        return workflow, [*insert, {"op": "output", "output": output, "to": "new.x"}]
    name = draw(st.sampled_from(plain))
    node = sketch.nodes[name]
    read = node.references()[0]
    label = read if node.kind == "merge" else next(key for key, ref in node.inputs.items() if ref == read)
    match draw(st.sampled_from(["insert at the end", "insert before", "take", "rewire", "remove", "replace"])):
        case "insert at the end":
            return workflow, [*insert, {"op": "output", "output": output, "to": "new.x"}]
        case "insert before":
            insert[0]["node"] = {"kind": "llm", "in": {"was": read}, "out": {"x": known[read]}}
            return workflow, [{"op": "rewire", "id": name, "input": label, "to": "new.x"}, *insert]
        case "take":
            return workflow, [{"op": "output", "output": output, "to": draw(alike)}]
        case "rewire":
            same = [reference for reference, kind in known.items() if kind == known[read]]
            return workflow, [{"op": "rewire", "id": name, "input": label, "to": draw(st.sampled_from(same))}]
        case "remove":
            bypass = {ref: draw(alike) for ref in known if ref.startswith(f"{name}.")}
            return workflow, [{"op": "remove", "id": name, "bypass": bypass}]
        case _:
            other = {"kind": "llm", "in": {"a": read}, "out": dict(node.out)}
            return workflow, [{"op": "replace", "id": name, "node": other, "parameters": {"instruction": "Anew."}}]


@settings(quick, max_examples=150)
@given(st.one_of(sensible_edits(), wild_edits()))
def test_apply_gives_a_valid_workflow_or_nothing(case: tuple[Workflow, list[Any]]) -> None:
    workflow, data = case
    before = workflow.model_dump_json()
    edits = outcome(lambda: parse_edits(data))
    if not isinstance(edits, EditError):
        assert parse_edits(dump_edits(edits)) == edits
        assert all(str(edit) for edit in edits)
        changed = outcome(lambda: apply(workflow, edits))
        assert workflow.model_dump_json() == before
        if isinstance(changed, EditError):
            return
        assert check(changed) == []
        assert dict(changed.sketch.inputs) == dict(workflow.sketch.inputs)
        assert list(changed.sketch.outputs) == list(workflow.sketch.outputs)
        frozen = {name: node for name, node in workflow.sketch.nodes.items() if node.frozen}
        assert all(changed.sketch.nodes[name] == node for name, node in frozen.items())
        assert Workflow.from_data(changed.dump()).hash == changed.hash
