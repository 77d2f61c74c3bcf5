"""Edits that a model wrote: what is refused, in one line, and what a new step is told that was given nothing to do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from search_help import searching

from flowbot.optimizer.editing import edited
from flowbot.optimizer.search import Search
from flowbot.task import Task
from flowbot.workflow.parameters import LLMParameters
from flowbot.workflow.starts import single_call
from flowbot.workflow.workflow import Workflow

SPLIT = {
    "op": "split",
    "id": "answer",
    "name": "plan",
    "out": [{"name": "plan", "type": "str"}],
    "instruction": "Plan.",
}
ADDED = [
    {
        "op": "add",
        "id": "list_items",
        "node": {
            "kind": "llm",
            "in": [{"name": "note", "from": "note"}],
            "out": [{"name": "items", "type": "list[str]"}],
            "instruction": "",
        },
    },
    {"op": "rewire", "id": "answer", "input": "items", "to": "list_items.items"},
]


@pytest.fixture
def start(orders: Task) -> Workflow:
    return single_call(orders.inputs, orders.outputs, orders.goal, reasoning=False)


@pytest.fixture
async def search(orders: Task, start: Workflow, tmp_path: Path) -> AsyncIterator[Search]:
    async with searching(orders, start, lambda _: "", tmp_path) as search:
        yield search


def instruction(workflow: Workflow, path: str) -> str:
    given = workflow.parameter(path)
    assert isinstance(given, LLMParameters)
    return given.instruction


async def test_a_new_step_without_an_instruction_is_told_what_to_write_and_what_for(
    search: Search, start: Workflow, orders: Task
) -> None:
    found, said, fault = edited(search, start, {"edits": ADDED})
    assert found is not None, fault
    assert instruction(found, "list_items") == f"List items: write `items` for this task: {orders.goal}"
    assert instruction(found, "answer") == instruction(start, "answer")
    assert len(said) == 2


async def test_what_a_step_was_told_stays(search: Search, start: Workflow, orders: Task) -> None:
    found, _, fault = edited(search, start, [SPLIT])
    assert found is not None, fault
    assert instruction(found, "plan") == "Plan."


@pytest.mark.parametrize(
    ("written", "fault"),
    [
        ([], "the list of edits is empty"),
        ([SPLIT, SPLIT, SPLIT], "there are 3 edits, and 2 are the most"),
        ("", "the edits: expected a list of edits"),
        ([{"op": "explode"}], "edit 1: found 'explode'"),
        ([{"op": "remove", "id": "answer", "bypass": []}], "edit 1 (remove answer)"),
    ],
)
async def test_what_cannot_be_made_says_why(search: Search, start: Workflow, written: Any, fault: str) -> None:
    found, said, why = edited(search, start, written, 2)
    assert (found, said) == (None, ())
    assert fault in why


async def test_edits_that_bring_an_answer_are_refused(search: Search, start: Workflow, orders: Task) -> None:
    note = str(orders.splits["train"][0].inputs["note"])
    found, _, why = edited(search, start, [{**SPLIT, "instruction": note}])
    assert found is None
    assert "of training example" in why
