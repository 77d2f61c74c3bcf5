"""Edits of a step whose prompt is the user's own: it moves along, its places follow what the step reads."""

from __future__ import annotations

from typing import Any

import pytest
from edit_samples import TOOLS, made

from flowbot.workflow.check import check
from flowbot.workflow.edits.applying import apply
from flowbot.workflow.edits.basic import AddNode
from flowbot.workflow.edits.draft import EditError
from flowbot.workflow.edits.parse import parse_edits
from flowbot.workflow.nodes import LLMNode, walk
from flowbot.workflow.parameters import LLMParameters
from flowbot.workflow.prompt import places, prompt_text
from flowbot.workflow.workflow import Workflow

MESSAGES = [
    {"role": "system", "parts": ["Be kind.\r\n"]},
    {"role": "user", "parts": ["Say what kind of ticket this is.\n\n", {"ref": "note"}, "\nTags: ", {"ref": "tags"}, "\nKind:"]},
]  # fmt: skip


def triage(**more: Any) -> Workflow:
    node = {"kind": "llm", "in": {"note": "note", "tags": "tags"}, "out": {"kind": "str"}, **more}
    return Workflow.from_data(
        {
            "flowbot": 1,
            "inputs": {"note": "str", "tags": "list[str]"},
            "outputs": {"kind": "sort.kind"},
            "nodes": {"sort": node},
            "parameters": {"sort": {"messages": MESSAGES}},
        }
    )


def own(workflow: Workflow, path: str = "sort") -> LLMParameters:
    told = workflow.parameter(path)
    assert isinstance(told, LLMParameters)
    return told


WAS = own(triage()).messages
SPLIT = {"op": "split", "id": "sort", "name": "plan", "out": {"plan": "str"}, "parameters": {"instruction": "Plan."}}
STEP = {"kind": "llm", "in": {"note": "note", "tags": "tags"}, "out": {"kind": "str"}}
EDITS: dict[str, dict[str, Any]] = {
    "split": SPLIT,
    "split, keep": {**SPLIT, "keep": ["note"]},
    "review": {"op": "review", "id": "sort"},
    "ensemble": {"op": "ensemble", "id": "sort"},
    "best": {"op": "ensemble", "id": "sort", "how": "judge"},
    "decompose": {"op": "decompose", "id": "sort"},
    "decompose, over": {"op": "decompose", "id": "sort", "over": "tags"},
    "branch": {"op": "insert_branch", "id": "sort", "name": "other", "in": {"note": "note"}, "condition": {"ref": "note", "op": "empty"}},
    "retrieval": {"op": "insert_retrieval", "id": "sort", "tool": "lookup", "bind": {"name": "note"}},
    "retrieval, asked": {"op": "insert_retrieval", "id": "sort", "tool": "lookup"},
    "before": {"op": "insert", "id": "sort", "where": "before", "name": "gist", "node": {**STEP, "out": {"gist": "str"}}, "parameters": {"instruction": "Sum up."}},
    "after": {"op": "insert", "id": "sort", "where": "after", "name": "mend", "node": {**STEP, "in": {"was": "sort.kind"}}, "parameters": {"instruction": "Mend."}},
    "rename": {"op": "rename", "id": "sort", "to": "triage"},
    "replace": {"op": "replace", "id": "sort", "node": {**STEP, "in": {"note": "note"}, "out": {"why": "str", "kind": "str"}}},
    "rewrite": {"op": "rewrite", "outputs": {"kind": "sort.kind"}, "nodes": {"sort": {**STEP, "in": {"tags": "tags"}}}},
}  # fmt: skip


@pytest.mark.parametrize("name", EDITS)
def test_every_edit_of_such_a_step_is_valid_and_keeps_its_texts(name: str) -> None:
    after = made(EDITS[name], on=triage()).after
    assert check(after, tools=TOOLS) == []
    kept = [told.messages for told in after.parameters.values() if isinstance(told, LLMParameters) and told.messages]
    assert kept
    for prompt in kept:
        assert [part for m in prompt for part in m.parts if isinstance(part, str)][:2] == [
            "Be kind.\r\n",
            WAS[1].parts[0],
        ]
    assert Workflow.from_data(after.dump()).hash == after.hash


def test_what_is_new_is_shown_at_the_end_and_said() -> None:
    applied = made(EDITS["split"], on=triage())
    assert prompt_text(own(applied.after).messages).endswith("\nKind:\n\nplan: {plan}")
    assert "the prompt of sort shows plan at its end" in applied.said


def test_what_is_no_longer_read_loses_its_places_and_that_is_said() -> None:
    applied = made(EDITS["replace"], on=triage())
    assert own(applied.after).messages[1].refs == ("note",)
    assert any("the prompt of sort loses the places of tags" in line for line in applied.said)


def test_what_the_edit_leaves_alone_stays_byte_for_byte() -> None:
    for name in ("ensemble", "review", "rename", "after", "branch"):
        after = made(EDITS[name], on=triage()).after
        told = own(after, "triage" if name == "rename" else "sort")
        assert told.messages == WAS


def test_a_step_that_is_made_of_it_is_told_its_words() -> None:
    after = made(EDITS["review"], on=triage()).after
    critic = next(told for path, told in after.parameters.items() if path.endswith("/critic"))
    assert isinstance(critic, LLMParameters)
    assert critic.instruction.startswith("Be kind.\n\nSay what kind of ticket this is.\n\n{note}\nTags: {tags}")
    assert critic.messages == ()


def test_fused_steps_are_one_instruction() -> None:
    two = made({"op": "insert", "id": "sort", "where": "after", "name": "mend", "node": {**STEP, "in": {"was": "sort.kind"}}, "parameters": {"instruction": "Mend."}}, on=triage()).after  # fmt: skip
    told = own(made({"op": "fuse", "first": "sort", "second": "mend"}, on=two).after, "mend")
    assert told.messages == ()
    assert told.instruction.endswith("Kind:\nMend.")


def test_an_instruction_from_a_model_is_a_new_text_in_the_prompt() -> None:
    edit = {"op": "replace", "id": "sort", "node": STEP, "parameters": {"instruction": "Name the kind."}}
    told = own(made(edit, on=triage()).after)
    assert places(told.messages) == places(WAS)
    assert told.messages[1].parts[0] == "Name the kind.\n\n"
    assert told.instruction == ""


def test_an_edit_may_bring_other_texts_but_no_other_places() -> None:
    texts = [MESSAGES[0], {**MESSAGES[1], "parts": ["Sort.\n", *MESSAGES[1]["parts"][1:]]}]
    edit = {"op": "replace", "id": "sort", "node": STEP, "parameters": {"messages": texts}}
    assert own(made(edit, on=triage()).after).messages[1].parts[0] == "Sort.\n"
    for parts in (MESSAGES[1]["parts"][:2], [{"ref": "tags"}, "x", {"ref": "note"}]):
        moved = {**edit, "parameters": {"messages": [MESSAGES[0], {"role": "user", "parts": parts}]}}
        with pytest.raises(EditError, match="the places in the prompt of sort stay"):
            apply(triage(), parse_edits([moved]))
    rewrite = {**EDITS["rewrite"], "parameters": {"sort": {"messages": MESSAGES[1:]}}}
    with pytest.raises(EditError, match="the places in the prompt of sort stay"):
        apply(triage(), parse_edits([rewrite]))


def test_a_new_step_may_come_with_a_prompt_of_its_own() -> None:
    node = LLMNode(inputs={"q": "note"}, out={"x": "str"})
    told = LLMParameters.model_validate({"messages": [{"role": "user", "parts": [{"ref": "q"}]}]})
    edits = [
        AddNode(id="new", node=node, parameters=told),
        *parse_edits([{"op": "rewire", "id": "sort", "input": "note", "to": "new.x"}]),
    ]
    after = apply(triage(), edits)
    assert own(after, "new") == told
    assert own(after).messages == WAS


def test_a_frozen_steps_prompt_is_left_to_the_checker() -> None:
    with pytest.raises(EditError, match="frozen"):
        apply(triage(frozen=True), parse_edits([EDITS["split"]]))
    assert [path for path, _ in walk(triage(frozen=True).sketch)] == ["sort"]
