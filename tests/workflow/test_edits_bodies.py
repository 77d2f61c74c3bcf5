"""Basic edits in bodies, and what stays: names that follow, frozen nodes, pinned models, a whole rewrite."""

from __future__ import annotations

from typing import Any

import pytest
from edit_samples import TOOLS, made, nodes, stock

from flowbot.workflow.edits.applying import apply
from flowbot.workflow.edits.basic import ReplaceNode
from flowbot.workflow.edits.draft import EditError
from flowbot.workflow.edits.parse import parse_edits
from flowbot.workflow.edits.patterns import Review
from flowbot.workflow.nodes import LLMNode, walk
from flowbot.workflow.parameters import LLMParameters
from flowbot.workflow.workflow import Workflow

TOLD = {"instruction": "Do it."}


def changed(path: str, **keys: Any) -> Workflow:
    """The sample with more keys in one node."""
    data = stock().dump()
    node = data
    for name in path.split("/"):
        node = node["nodes"][name]
    node.update(keys)
    return Workflow.from_data(data)


def test_a_node_is_added_to_a_body_and_rewired_there() -> None:
    check = {"kind": "llm", "in": {"n": "revise.draft"}, "out": {"n": "int"}}
    after = made(
        {"op": "add", "id": "refine/check", "node": check, "parameters": TOLD},
        {"op": "rewire", "id": "refine", "input": "draft.next", "to": "check.n"},
        {"op": "rewire", "id": "refine/critic", "input": "draft", "to": "check.n"},
    ).after
    loop = nodes(after)["refine"]
    assert list(loop["nodes"]) == ["revise", "check", "critic"]
    assert loop["carry"]["draft"] == {"type": "int", "start": "total.n", "next": "check.n"}
    assert after.parameters["refine/check"] == LLMParameters(instruction="Do it.")


def test_a_node_with_a_body_comes_with_the_parameters_of_its_nodes() -> None:
    loop = {
        "kind": "loop", "max": 2, "carry": {"value": {"type": "int", "start": "total.n", "next": "better.n"}},
        "nodes": {"better": {"kind": "llm", "in": {"n": "value"}, "out": {"n": "int"}}},
    }  # fmt: skip
    add = {"op": "add", "id": "again", "node": loop, "parameters": {"better": TOLD}}
    after = made(add, {"op": "rewire", "id": "refine", "input": "draft", "to": "again.value"}).after
    assert after.parameters["again/better"] == LLMParameters(instruction="Do it.")
    with pytest.raises(EditError, match=r"parameters\.worse: found parameters of no node"):
        made({**add, "parameters": {"worse": TOLD}})
    with pytest.raises(EditError, match=r"parameters\.better: found the unknown key 'code'"):
        made({**add, "parameters": {"better": {"code": ""}}})


def test_a_node_of_a_body_is_removed_with_what_is_read_instead() -> None:
    after = made(
        {"op": "rewire", "id": "refine/critic", "input": "draft", "to": "draft"},
        {"op": "remove", "id": "refine/revise", "bypass": {"revise.draft": "draft"}},
    ).after
    assert nodes(after)["refine"]["carry"]["draft"]["next"] == "draft"
    assert "refine/revise" not in after.parameters
    with pytest.raises(EditError, match=r"refine/critic reads revise\.draft: say in bypass"):
        made({"op": "remove", "id": "refine/revise"})
    with pytest.raises(EditError, match=r"refine reads critic\.ok: say in bypass"):
        made({"op": "remove", "id": "refine/critic"})


def test_a_body_cannot_be_left_without_nodes() -> None:
    with pytest.raises(EditError, match="no node would be left in the body of each"):
        made({"op": "remove", "id": "each/price", "bypass": {"price.price": "item"}})


def test_a_container_goes_with_its_body() -> None:
    after = made({"op": "remove", "id": "refine", "bypass": {"refine.draft": "total.n"}}).after
    assert after.sketch.outputs["answer"] == "total.n"
    assert not any(path.startswith("refine") for path in after.parameters)


def test_without_its_branch_a_node_runs_whenever_the_branch_did() -> None:
    after = made({"op": "remove", "id": "route"}).after
    assert "when" not in nodes(after)["careful"]
    inner = made({"op": "insert_branch", "id": "careful", "name": "quick", "instruction": "Easy?"}).after
    assert nodes(made({"op": "remove", "id": "route_2"}, on=inner).after)["quick"]["when"] == "route.many"


@pytest.mark.parametrize("path", ["list", "route", "careful", "total", "each", "refine", "each/price", "refine/critic"])
def test_all_that_refers_to_a_node_follows_its_new_name(path: str) -> None:
    body, slash, name = path.rpartition("/")
    renamed = made({"op": "rename", "id": path, "to": "renamed"}).after
    assert f"'{name}." not in str(renamed.dump())
    assert path not in dict(walk(renamed.sketch))
    assert len(renamed.parameters) == len(stock().parameters)
    back = made({"op": "rename", "id": f"{body}{slash}renamed", "to": name}, on=renamed).after
    assert back.hash == stock().hash


def test_skip_connections_follow_a_new_name_and_forget_a_removed_node() -> None:
    linked = changed("list", feedback_from=["refine"])
    renamed = made({"op": "rename", "id": "refine", "to": "mend"}, on=linked).after
    assert nodes(renamed)["list"]["feedback_from"] == ["mend"]
    removed = made({"op": "remove", "id": "refine", "bypass": {"refine.draft": "total.n"}}, on=linked).after
    assert "feedback_from" not in nodes(removed)["list"]


@pytest.mark.parametrize(
    "edit",
    [
        {"op": "remove", "id": "refine/critic"},
        {"op": "rename", "id": "refine/critic", "to": "x"},
        {"op": "replace", "id": "refine/critic", "node": {"kind": "llm", "in": {}, "out": {}}},
        {"op": "rewire", "id": "refine/critic", "input": "draft", "to": "draft"},
        {"op": "split", "id": "refine/critic", "name": "x", "out": {"x": "str"}, "parameters": TOLD},
        {"op": "review", "id": "refine/critic"},
        {"op": "ensemble", "id": "refine/critic"},
        {"op": "decompose", "id": "refine/critic"},
        {"op": "insert_branch", "id": "refine/critic", "name": "x"},
        {"op": "insert_retrieval", "id": "refine/critic", "tool": "lookup"},
        {"op": "remove", "id": "refine", "bypass": {"refine.draft": "total.n"}},
        {"op": "review", "id": "refine/revise"},
        {"op": "rewrite", "outputs": {"answer": "total.n", "prices": "each.prices"}, "nodes": {}},
    ],
)  # fmt: skip
def test_a_frozen_node_of_a_body_stays_as_it_is(edit: dict[str, Any]) -> None:
    frozen = changed("refine/critic", frozen=True)
    if edit["op"] == "rewrite":
        edit = {**edit, "nodes": {name: node for name, node in nodes(frozen).items() if name != "refine"}}
    with pytest.raises(EditError, match="is frozen"):
        made(edit, on=frozen)


def test_a_frozen_container_freezes_its_body() -> None:
    frozen = changed("refine", frozen=True)
    with pytest.raises(EditError, match="refine is frozen, and its body with it"):
        made({"op": "ensemble", "id": "refine/critic"}, on=frozen)
    with pytest.raises(EditError, match="refine reads it and is frozen"):
        made({"op": "rename", "id": "total", "to": "sum"}, on=frozen)
    assert (
        made({"op": "review", "id": "careful"}, on=frozen).after.sketch.nodes["refine"] is frozen.sketch.nodes["refine"]
    )


def test_demonstrations_of_a_frozen_node_are_not_dropped_but_hold_the_edit_up() -> None:
    data = changed("careful", frozen=True, **{"in": {"items": "list.items"}}).dump()
    data["parameters"]["careful"]["demonstrations"] = [{"inputs": {"items": ["a"]}, "outputs": {"n": 1}}]
    retyped = {"kind": "llm", "in": {"question": "question"}, "out": {"items": "str"}}
    with pytest.raises(EditError, match=r"parameters\.careful\.demonstrations"):
        made({"op": "replace", "id": "list", "node": retyped}, on=Workflow.from_data(data))


def pinned() -> Workflow:
    data = changed("careful", model="pinned").dump()
    data["parameters"]["careful"]["model"] = "openai/safe"
    return Workflow.from_data(data)


def test_a_pinned_model_stays_and_is_that_of_the_nodes_derived_from_it() -> None:
    node = {"kind": "llm", "when": "route.many", "in": {"q": "question"}, "out": {"n": "int"}}
    parameters = {**TOLD, "model": "openai/other"}
    replace = ReplaceNode(id="careful", node=LLMNode.model_validate(node), parameters=LLMParameters(**parameters))
    replaced = apply(pinned(), [replace], tools=TOOLS)
    assert nodes(replaced)["careful"]["model"] == "pinned"
    assert replaced.dump()["parameters"]["careful"] == {**TOLD, "model": "openai/safe"}
    reviewed = apply(pinned(), [Review(id="careful", critic=LLMParameters(**parameters))], tools=TOOLS)
    assert nodes(reviewed)["review"]["nodes"]["critic_2"]["model"] == "pinned"
    models = {path: given.get("model") for path, given in reviewed.dump()["parameters"].items() if "review/" in path}
    assert models == {"review/critic_2": "openai/safe", "review/revise_2": "openai/safe"}
    with pytest.raises(EditError, match="their models differ, and one is pinned"):
        made({"op": "fuse", "first": "list", "second": "careful"}, on=pinned())


def rewritten(**more: Any) -> dict[str, Any]:
    """The sample without its loop, and with a check in its place."""
    kept = {name: node for name, node in nodes(stock()).items() if name != "refine"}
    check = {"kind": "llm", "in": {"n": "total.n"}, "out": {"n": "int"}}
    outputs = {"prices": "each.prices", "answer": "check.n"}
    return {
        "op": "rewrite",
        "nodes": {**kept, "check": check, **more},
        "outputs": outputs,
        "parameters": {"check": TOLD},
    }


def test_a_rewrite_keeps_the_parameters_of_nodes_that_keep_path_and_kind() -> None:
    record = made(rewritten())
    after = record.after
    assert list(after.sketch.outputs) == ["answer", "prices"]
    assert after.parameters["careful"] == stock().parameters["careful"]
    assert set(after.parameters) == {"list", "count", "careful", "check"}
    assert record.said[0].startswith("rewrite the workflow: llm list: question → items: list[str]; code count")
    with pytest.raises(EditError, match=r"parameters\.total\.code|no function `run`"):
        made(rewritten(total={"kind": "code", "in": {"n": "count.n"}, "out": {"n": "int"}}))


def test_a_rewrite_must_hold_the_outputs_and_what_is_frozen() -> None:
    with pytest.raises(EditError, match="outputs are answer, prices, and they stay"):
        made({**rewritten(), "outputs": {"answer": "check.n"}})
    frozen = changed("careful", frozen=True)
    same = made(rewritten(), on=frozen).after  # `frozen` itself need not be written again
    assert same.sketch.nodes["careful"] is frozen.sketch.nodes["careful"]
    other = {"kind": "llm", "in": {"question": "question"}, "out": {"n": "int"}}
    with pytest.raises(EditError, match="careful is frozen: write it as it is"):
        made(rewritten(careful=other), on=frozen)
    with pytest.raises(EditError, match="careful is frozen: give no parameters"):
        made({**rewritten(), "parameters": {"check": TOLD, "careful": TOLD}}, on=frozen)


def test_models_write_a_rewrite_as_a_list_of_nodes() -> None:
    written = {
        "op": "rewrite",
        "outputs": [{"name": "answer", "from": "count.n"}, {"name": "prices", "from": "each.prices"}],
        "nodes": [
            {"name": "list", "kind": "llm", "when": "", "in": [{"name": "q", "from": "question"}],
             "out": [{"name": "items", "type": "list[str]"}], "instruction": "List."},
            {"name": "count", "kind": "llm", "when": "", "in": [{"name": "items", "from": "list.items"}],
             "out": [{"name": "n", "type": "int"}], "instruction": "Count."},
            {"name": "each", "kind": "map", "when": "", "over": "list.items", "as": "one", "limit": 5,
             "nodes": [{"name": "guess", "kind": "llm", "when": "", "in": [{"name": "one", "from": "one"}],
                        "out": [{"name": "price", "type": "float"}], "instruction": "Guess."}],
             "out": [{"name": "prices", "from": "guess.price"}]},
        ],
    }  # fmt: skip
    after = apply(stock(), parse_edits([written]), tools=TOOLS)
    told = {path: each["instruction"] for path, each in after.dump()["parameters"].items()}
    assert told == {"list": "List.", "count": "Count.", "each/guess": "Guess."}


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        ({"op": "remove", "id": "list/x"}, "list is of kind llm, which has no body"),
        ({"op": "remove", "id": "gone/x"}, "there is no node gone; there are list, count"),
        ({"op": "remove", "id": "refine/x"}, "there is no node refine/x"),
        ({"op": "rename", "id": "list", "to": "count"}, "count is there already"),
        ({"op": "rename", "id": "list", "to": "question"}, "question is there already"),
        ({"op": "rename", "id": "refine/critic", "to": "draft"}, "draft is there already"),
        ({"op": "rename", "id": "list", "to": "refine/list"}, "give the new name alone"),
        ({"op": "rename", "id": "list", "to": "critic"}, "hides another outside"),
        ({"op": "rewire", "id": "refine", "input": "x", "to": "total.n"}, r"name as input one of draft, draft\.next"),
        ({"op": "rewire", "id": "each", "input": "x", "to": "total.n"}, "`over` or an output of the map: prices"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_in_bodies_says_what_to_change(edit: dict[str, Any], says: str) -> None:
    with pytest.raises(EditError, match=says):
        made(edit)
