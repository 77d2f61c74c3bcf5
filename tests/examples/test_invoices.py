"""The invoices example is what its README says: a call alone gets the sums wrong, and the search finds one call and one sum."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import patch

import pytest

from first_jobs.clerk import adds_up
from flowbot.lm.client import Request
from flowbot.optimizer.run import optimize_async
from flowbot.run.result import RunResult
from flowbot.runtime.sandbox.monty import MontySandbox
from flowbot.task import Task
from flowbot.testing.fake_behaviours import BEHAVIOURS, ReplyContent, counter, last_user
from flowbot.workflow.nodes import CodeNode, LLMNode
from flowbot.workflow.parameters import CodeParameters

FOLDER = Path(__file__).parents[2] / "examples" / "invoices"
CODE = "def run(items):\n    total = round(sum(each['quantity'] * each['price'] for each in items), 2)\n    return {'total': total}"


def clerk(request: Request, key: str) -> ReplyContent:
    """Reads an invoice where it is one that is asked about, and is otherwise the pretend meta model."""
    fields = (request.schema or {}).get("properties", {})
    return adds_up(last_user(request), fields) if "items" in fields or "total" in fields else counter(request, key)


@pytest.fixture(scope="module")
def task() -> Task:
    return Task.load(FOLDER)


def test_no_text_says_the_total_and_no_two_invoices_are_of_the_same_things(task: Task) -> None:
    examples = [each for split in task.splits.values() for each in split]
    assert len({tuple(sorted(item["item"] for item in each.expected["items"])) for each in examples}) == len(examples)
    for each in examples:
        assert f"{each.expected['total']:.2f}" not in each.inputs["text"], each.id
        for item in each.expected["items"]:
            assert item["item"] in each.inputs["text"], each.id


async def found(task: Task, folder: Path, seed: int) -> RunResult:
    with patch.dict(BEHAVIOURS, {"clerk": clerk}):
        return await optimize_async(
            task, lm="fake/clerk", start=FOLDER / "start.flow.yaml", effort="low", seed=seed, run_dir=folder / "run",
            cache_dir=folder / "cache",
        )  # fmt: skip


@pytest.mark.parametrize("seed", [0, 1, 2])
async def test_the_search_finds_the_sum(task: Task, tmp_path: Path, seed: int) -> None:
    """One call and one sum; a step that checks the items may stand between them, which luck on few rows adds in some runs."""
    result = await found(task, tmp_path, seed)
    call, *between, step = result.workflow.sketch.nodes.values()
    assert isinstance(call, LLMNode)
    assert isinstance(step, CodeNode)
    assert len(between) <= 1
    assert not any("total" in each.gives for each in (call, *between))
    assert result.workflow.parameter("compute") == CodeParameters(code=CODE)
    start, final = result.start_scores.test, result.final_scores.test
    assert start is not None
    assert final is not None
    assert start.mean < 0.65
    assert final.mean > 0.9


async def test_the_sum_is_right_wherever_the_items_are(task: Task) -> None:
    sandbox = MontySandbox()
    for each in (*task.val, *task.test):
        got = await sandbox.run(CODE, {"items": each.expected["items"]})
        assert task.metric(each, {"items": each.expected["items"], **got}).value == 1.0
    await sandbox.close()
