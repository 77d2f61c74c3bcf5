"""The compound edits: what each makes of a workflow, and what becomes of the parameters."""

from __future__ import annotations

from typing import Any

import pytest
from edit_samples import TOOLS, made, nodes, stock

from flowbot.fields import ToolSignature
from flowbot.workflow.check import check
from flowbot.workflow.edits.applying import applied
from flowbot.workflow.edits.draft import EditError
from flowbot.workflow.edits.inserts import InsertStep
from flowbot.workflow.edits.parse import parse_edits
from flowbot.workflow.edits.patterns import Review
from flowbot.workflow.edits.schema import edits_schema
from flowbot.workflow.nodes import CodeNode, LLMNode, node_at
from flowbot.workflow.parameters import LLMParameters
from flowbot.workflow.workflow import Workflow

LIST = {"list": {"kind": "llm", "in": {"question": "question"}, "out": {"items": "list[str]"}}}


def told(workflow: Workflow, path: str) -> LLMParameters:
    given = workflow.parameter(path)
    assert isinstance(given, LLMParameters)
    return given


def test_a_record_has_the_state_before_the_edits_and_words() -> None:
    before = stock()
    record = applied(before, parse_edits([{"op": "ensemble", "id": "careful"}]), tools=TOOLS)
    assert record.before is before
    assert before.hash == stock().hash
    assert record.said == ("ask careful 5 times at temperature 0.7, and read what most of them say (new: vote_n)",)
    assert applied(record.before, record.edits, tools=TOOLS).after.hash == record.after.hash


def test_lost_demonstrations_are_told() -> None:
    record = made({"op": "rewire", "id": "careful", "input": "n", "to": "count.n"})
    assert record.said == ("careful reads count.n as n", "careful loses 1 demonstration that no longer fits")


def test_splitting_puts_a_call_before_the_old_one_which_reads_what_it_gives() -> None:
    after = made(
        {
            "op": "split",
            "id": "careful",
            "name": "think",
            "out": {"notes": "str"},
            "parameters": {"instruction": "Note."},
        }
    ).after
    assert nodes(after)["think"] == {
        "kind": "llm",
        "when": "route.many",
        "in": {"question": "question"},
        "out": {"notes": "str"},
    }
    assert nodes(after)["careful"]["in"] == {"question": "question", "notes": "think.notes"}
    assert told(after, "think").instruction == "Note."
    assert told(after, "careful").instruction == "Count with care."


def test_splitting_off_an_output_moves_its_readers() -> None:
    wide = made(
        {"op": "replace", "id": "list", "node": {**LIST["list"], "out": {"why": "str", "items": "list[str]"}}},
        {"op": "rewire", "id": "careful", "input": "why", "to": "list.why"},
    ).after
    after = made(
        {
            "op": "split",
            "id": "list",
            "name": "think",
            "out": {"why": "str"},
            "keep": [],
            "parameters": {"instruction": "T"},
        },
        on=wide,
    ).after
    assert nodes(after)["list"]["in"] == {"why": "think.why"}
    assert nodes(after)["list"]["out"] == {"items": "list[str]"}
    assert nodes(after)["careful"]["in"]["why"] == "think.why"


def test_fusing_gives_first_what_the_first_gave() -> None:
    after = made({"op": "fuse", "first": "refine/revise", "second": "refine/critic"}).after
    loop = nodes(after)["refine"]
    assert loop["nodes"] == {
        "critic": {
            "kind": "llm",
            "in": {"draft": "draft", "question": "question"},
            "out": {"draft": "int", "ok": "bool"},
        }
    }
    assert list(loop["nodes"]["critic"]["out"]) == ["draft", "ok"]
    assert loop["carry"]["draft"]["next"] == "critic.draft"
    assert told(after, "refine/critic").instruction == "Make it right.\nIs it right?"
    assert "refine/revise" not in after.parameters


def test_a_split_fused_again_reads_what_it_read() -> None:
    split = {"op": "split", "id": "list", "name": "think", "out": {"notes": "str"}, "parameters": {"instruction": "N"}}
    after = made(split, {"op": "fuse", "first": "think", "second": "list"}).after
    assert nodes(after)["list"] == {**LIST["list"], "out": {"notes": "str", "items": "list[str]"}}


def test_a_review_runs_the_reviser_only_where_the_critic_finds_fault() -> None:
    after = made({"op": "review", "id": "careful", "name": "check", "rounds": 3, "critic": "Find faults."}).after
    loop = nodes(after)["check"]
    assert loop["max"] == 3
    assert loop["when"] == "route.many"
    assert loop["until"] == {"ref": "critic_2.ok", "op": "==", "value": True}
    assert loop["carry"] == {"n": {"type": "int", "start": "careful.n", "next": "kept_n.n"}}
    assert loop["nodes"]["revise_2"]["when"] == "route_2.mend"
    assert loop["nodes"]["kept_n"]["in"] == ["revise_2.n", "n"]
    assert nodes(after)["total"]["in"] == ["check.n", "count.n"]
    assert after.parameters["careful"] == stock().parameters["careful"]
    assert told(after, "check/critic_2").instruction == "Find faults."
    assert told(after, "check/revise_2").instruction.startswith("Count with care.\n")


def test_a_reviewed_node_whose_output_has_its_own_name_does_not_hide_it() -> None:
    start = Workflow.from_data({
        "flowbot": 1, "inputs": {"q": "str"}, "outputs": {"answer": "answer.answer"},
        "nodes": {"answer": {"kind": "llm", "in": {"q": "q"}, "out": {"why": "str", "answer": "str"}}},
        "parameters": {"answer": {"instruction": "Answer."}},
    })  # fmt: skip
    after = made({"op": "review", "id": "answer"}, on=start).after
    assert after.sketch.outputs == {"answer": "review.draft_answer"}
    assert list(nodes(after)["review"]["carry"]) == ["draft_answer"]


@pytest.mark.parametrize("how", ["vote", "judge"])
def test_an_ensemble_draws_samples_and_reads_a_merge(how: str) -> None:
    after = made({"op": "ensemble", "id": "careful", "samples": 3, "how": how}).after
    assert told(after, "careful").samples == 3
    assert told(after, "careful").temperature == 0.7
    assert len(told(after, "careful").demonstrations) == 1
    assert nodes(after)[f"{how}_n"]["in"] == ["careful.n"]
    assert nodes(after)["total"]["in"] == [f"{how}_n.n", "count.n"]


def test_decomposing_moves_the_node_into_a_map_with_its_parameters() -> None:
    after = made(
        {"op": "decompose", "id": "careful", "name": "sum", "code": "def run(n):\n    return {'n': sum(n)}"}
    ).after
    assert set(nodes(after)) == {*nodes(stock()), "parts", "each_2", "sum"} - {"careful"}
    assert nodes(after)["each_2"]["nodes"] == {
        "careful": {"kind": "llm", "in": {"question": "question", "part": "part"}, "out": {"n": "int"}}
    }
    assert nodes(after)["sum"] == {"kind": "code", "when": "route.many", "in": {"n": "each_2.n"}, "out": {"n": "int"}}
    assert told(after, "each_2/careful").instruction == "Count with care."
    assert "careful" not in after.parameters
    assert nodes(after)["total"]["in"] == ["sum.n", "count.n"]


def test_decomposing_over_a_list_that_the_node_reads_needs_no_new_call_for_it() -> None:
    wide = made({"op": "rewire", "id": "careful", "input": "items", "to": "list.items"}).after
    after = made({"op": "decompose", "id": "careful", "over": "items", "limit": 4}, on=wide).after
    each = nodes(after)["each_2"]
    assert (each["over"], each["limit"]) == ("list.items", 4)
    assert each["nodes"]["careful"]["in"] == {"question": "question", "items": "part"}
    assert nodes(after)["combine"]["in"] == {"question": "question", "items": "list.items", "n": "each_2.n"}
    assert "parts" not in nodes(after)


def test_a_branch_is_inserted_with_a_merge_of_both_ways() -> None:
    condition = {"ref": "question", "op": "contains", "value": "how"}
    after = made(
        {"op": "insert_branch", "id": "list", "name": "quick", "condition": condition, "parameters": "Be quick."}
    ).after
    assert nodes(after)["route_2"] == {
        "kind": "branch",
        "in": {"question": "question"},
        "ways": {"quick": condition, "list": "else"},
    }
    assert nodes(after)["list"]["when"] == "route_2.list"
    assert nodes(after)["quick"]["when"] == "route_2.quick"
    assert nodes(after)["either_items"]["in"] == ["quick.items", "list.items"]
    assert nodes(after)["count"]["in"] == {"items": "either_items.items"}
    assert nodes(after)["each"]["over"] == "either_items.items"
    assert told(after, "quick").instruction == "Be quick."


def test_without_a_condition_a_model_chooses_the_way() -> None:
    edit = {"op": "insert_branch", "id": "careful", "name": "quick"}
    after = made({**edit, "instruction": "Is it easy?"}).after
    assert nodes(after)["route_2"]["ways"] == ["quick", "careful"]
    assert nodes(after)["route_2"]["when"] == "route.many"
    assert after.dump()["parameters"]["route_2"] == {"instruction": "Is it easy?"}
    assert after.parameters["quick"] == stock().parameters["careful"]
    with pytest.raises(EditError, match="say by what the model is to choose"):
        made(edit)


def test_retrieval_asks_for_the_arguments_that_are_not_bound() -> None:
    asked = made({"op": "insert_retrieval", "id": "careful", "tool": "lookup", "ask": "Name it."}).after
    assert nodes(asked)["ask_lookup"]["out"] == {"name": "str"}
    assert nodes(asked)["lookup"]["in"] == {"name": "ask_lookup.name"}
    assert nodes(asked)["careful"]["in"] == {"question": "question", "lookup_price": "lookup.price"}
    assert told(asked, "ask_lookup").instruction == "Name it."
    bound = made({"op": "insert_retrieval", "id": "careful", "tool": "lookup", "bind": {"name": "question"}}).after
    assert nodes(bound)["lookup"]["in"] == {"name": "question"}
    assert set(nodes(bound)) == {*nodes(stock()), "lookup"}


def test_a_computing_step_is_inserted_after_a_node_and_read_in_its_stead() -> None:
    node = {"kind": "code", "in": {"items": "list.items"}, "out": {"items": "list[str]"}}
    code = {"code": "def run(items):\n    return {'items': sorted(items)}"}
    after = made(
        {"op": "insert", "id": "list", "where": "after", "name": "tidy", "node": node, "parameters": code}
    ).after
    assert nodes(after)["tidy"]["in"] == {"items": "list.items"}
    assert nodes(after)["count"]["in"] == {"items": "tidy.items"}
    assert nodes(after)["each"]["over"] == "tidy.items"
    with pytest.raises(EditError, match=r"nothing reads list\.x"):
        made({"op": "insert", "id": "list", "where": "after", "name": "tidy", "node": {**node, "out": {"x": "int"}}})


def test_a_computing_step_is_inserted_before_a_node_which_reads_it() -> None:
    node = CodeNode.model_validate({"in": {"q": "question"}, "out": {"size": "int"}})
    edit = InsertStep.model_validate({
        "id": "refine/revise", "where": "before", "name": "size", "node": node,
        "parameters": {"code": "def run(q):\n    return {'size': len(q)}"},
    })  # fmt: skip
    after = applied(stock(), [edit], tools=TOOLS).after
    body = nodes(after)["refine"]["nodes"]
    assert list(body) == ["size", "revise", "critic"]
    assert body["revise"]["in"]["size"] == "size.size"
    assert "refine/size" in after.parameters


NEW = {"instruction": "Do it."}


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        ({"op": "review", "id": "count"}, "count is of kind code; name an llm node: list, careful, refine/revise"),
        ({"op": "split", "id": "list", "name": "a", "out": {"items": "list[str]"}, "parameters": NEW}, "would give nothing"),
        ({"op": "split", "id": "list", "name": "a", "out": {"question": "str"}, "parameters": NEW}, "reads an input question"),
        ({"op": "split", "id": "list", "name": "a", "out": {"x": "str"}, "keep": ["y"], "parameters": NEW}, "not y"),
        ({"op": "split", "id": "refine/critic", "name": "refine/a", "out": {"x": "str"}, "parameters": NEW}, "name it a"),
        ({"op": "split", "id": "list", "name": "count", "out": {"x": "str"}, "parameters": NEW}, "there is a node count already"),
        ({"op": "fuse", "first": "list", "second": "refine/critic"}, "two nodes of the same body"),
        ({"op": "fuse", "first": "refine/critic", "second": "refine/revise"}, "the other way round"),
        ({"op": "decompose", "id": "list", "over": "items"}, "reads question, not items"),
        ({"op": "decompose", "id": "list", "over": "question"}, r"go over something of type list\[T\]"),
        ({"op": "insert_branch", "id": "refine", "name": "x"}, "refine is of kind loop: name an llm, tool, code or program node"),
        ({"op": "insert_retrieval", "id": "list", "tool": "find"}, "there is no tool find; there are lookup"),
        ({"op": "insert_retrieval", "id": "list", "tool": "lookup", "bind": {"x": "question"}}, "takes no x: bind name"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_says_what_to_change(edit: dict[str, Any], says: str) -> None:
    with pytest.raises(EditError, match=says):
        made(edit)


def test_a_node_that_draws_samples_is_left_to_the_step_that_joins_them() -> None:
    voted = made({"op": "ensemble", "id": "careful"}).after
    for edit in ({"op": "ensemble"}, {"op": "review"}, {"op": "decompose"}, {"op": "insert_branch", "name": "x"}):
        with pytest.raises(EditError, match="draws 5 samples already"):
            made({"id": "careful", **edit}, on=voted)


def test_compound_edits_follow_one_another_in_a_list() -> None:
    record = made(
        {"op": "ensemble", "id": "careful"},
        {"op": "split", "id": "list", "name": "think", "out": {"notes": "str"}, "parameters": NEW},
        {"op": "review", "id": "list", "name": "check"},
        {"op": "rename", "id": "check", "to": "checked"},
        {"op": "decompose", "id": "refine/critic"},
    )
    assert check(record.after, tools=TOOLS) == []
    assert len(record.said) == 5
    assert "checked/critic_2" in record.after.parameters


def test_models_write_compound_edits_in_closed_objects() -> None:
    written = {"edits": [
        {"op": "split", "id": "list", "name": "think", "out": [{"name": "notes", "type": "str"}], "instruction": "Note."},
        {"op": "review", "id": "list", "name": "", "rounds": 2, "critic": "", "reviser": "Mend."},
        {"op": "insert_branch", "id": "careful", "name": "quick", "in": [{"name": "q", "from": "question"}],
         "condition": {"ref": "q", "op": "empty", "value": None}, "instruction": "", "parameters": ""},
        {"op": "insert_retrieval", "id": "careful", "tool": "lookup", "name": "",
         "bind": [{"name": "name", "from": "question"}], "ask": ""},
        {"op": "add", "id": "again", "node": {
            "kind": "loop", "when": "", "max": 2, "until": None,
            "carry": [{"name": "value", "type": "int", "start": "total.n", "next": "better.n"}],
            "nodes": [{"name": "better", "kind": "llm", "when": "", "in": [{"name": "n", "from": "value"}],
                       "out": [{"name": "n", "type": "int"}], "instruction": "Better."}]}},
        {"op": "rewire", "id": "refine", "input": "draft", "to": "again.value"},
    ]}  # fmt: skip
    after = applied(stock(), parse_edits(written), tools=TOOLS).after
    assert told(after, "again/better").instruction == "Better."
    assert told(after, "review/revise_2").instruction == "Mend."
    assert nodes(after)["route_3"]["in"] == {"q": "question"}


def test_compound_edits_are_offered_where_their_kinds_are() -> None:
    offered = edits_schema(("llm", "code"), TOOLS)["properties"]["edits"]["items"]["anyOf"]
    ops = {each["properties"]["op"]["enum"][0] for each in offered}
    assert {"split", "fuse", "insert", "rename", "rewrite"} <= ops
    assert not ops & {"review", "ensemble", "decompose", "insert_branch", "insert_retrieval"}
    only = edits_schema(ops=("review",))["properties"]["edits"]["items"]["anyOf"]
    assert [each["properties"]["op"]["enum"] for each in only] == [["review"]]


CONDITION = {"ref": "question", "op": "contains", "value": "how"}


def equipped() -> Workflow:
    """The sample with a bound on tokens, a tool and a pinned model in the step `list`, which may call for it nine times."""
    data = stock().dump()
    data["nodes"]["list"] |= {"model": "pinned", "rounds": 9}
    data["parameters"]["list"] |= {"model": "openai/local", "max_tokens": 99, "tools": ["lookup"]}
    return Workflow.from_data(data)


@pytest.mark.parametrize(
    ("edit", "path", "tools"),
    [
        ({"op": "split", "name": "think", "out": {"notes": "str"}, "parameters": NEW}, "think", ()),
        ({"op": "review"}, "review/critic_2", ()),
        ({"op": "review"}, "review/revise_2", ("lookup",)),
        ({"op": "review", "reviser": "Mend."}, "review/revise_2", ("lookup",)),
        ({"op": "decompose"}, "parts", ()),
        ({"op": "decompose"}, "combine", ("lookup",)),
        ({"op": "insert_retrieval", "tool": "lookup"}, "ask_lookup", ()),
        ({"op": "insert_retrieval", "tool": "lookup", "ask": "Name it."}, "ask_lookup", ()),
        ({"op": "insert_branch", "name": "quick", "condition": CONDITION, "parameters": "Be quick."}, "quick", ("lookup",)),
    ],
)  # fmt: skip
def test_a_derived_step_is_bound_as_the_old_one_and_has_its_tools_where_it_answers_in_its_stead(
    edit: dict[str, Any], path: str, tools: tuple[str, ...]
) -> None:
    after = made({"id": "list", **edit}, on=equipped()).after
    new = told(after, path)
    assert (new.model, new.max_tokens, new.tools) == ("openai/local", 99, tools)
    node = node_at(after.sketch, path)
    assert isinstance(node, LLMNode)
    assert node.model == "pinned"
    assert node.rounds == (9 if tools else 5)


def test_a_derived_step_keeps_the_bound_and_the_tools_that_it_names() -> None:
    offered = {**TOOLS, "other": ToolSignature("other", "", (), ())}
    reviser = {"instruction": "Mend.", "max_tokens": 7, "tools": ["other"]}
    after = applied(equipped(), [Review.model_validate({"id": "list", "reviser": reviser})], tools=offered).after
    assert (told(after, "review/revise_2").max_tokens, told(after, "review/revise_2").tools) == (7, ("other",))


def test_a_fused_call_with_an_instruction_of_its_own_keeps_the_tools_of_both() -> None:
    split = made(
        {"op": "split", "id": "list", "name": "think", "out": {"notes": "str"}, "parameters": NEW}, on=equipped()
    ).after
    after = made({"op": "fuse", "first": "think", "second": "list", "parameters": "Do both."}, on=split).after
    fused = told(after, "list")
    assert (fused.instruction, fused.max_tokens, fused.tools) == ("Do both.", 99, ("lookup",))
