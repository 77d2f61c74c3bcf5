"""What our inner loop tries on the step to blame."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from flowbot.optimizer.run import optimize_async
from flowbot.task import Task

START = """
flowbot: 1
inputs: {note: str}
outputs: {total: answer.number}
nodes:
  answer: {kind: llm, in: {note: note}, out: {number: int%s}}
parameters:
  answer: {instruction: "How many items are ordered in all?"}
"""


async def proposals(task: Task, folder: Path, more: str = "") -> list[dict[str, Any]]:
    """All proposals of a search with a model that never gets one right."""
    start = folder / "start.flow.yaml"
    start.write_text(START % more, encoding="utf-8")
    small = replace(task, splits={split: rows[:12] for split, rows in task.splits.items()})
    await optimize_async(
        small, lm="fake/echo", start=start, effort="low", run_dir=folder / "run", cache_dir=folder / "cache"
    )
    events = [json.loads(line) for line in (folder / "run" / "journal.jsonl").read_text().splitlines()]
    return [event for event in events if event["event"] == "proposal"]


async def test_a_step_that_got_nothing_right_is_shown_what_is_expected_of_it(orders: Task, tmp_path: Path) -> None:
    shown = [each for each in await proposals(orders, tmp_path) if "right answers" in each["title"]]
    expected = {row.id: row.expected["total"] for row in orders.splits["train"]}
    demonstrations = shown[0]["dump"]["parameters"]["answer"]["demonstrations"]
    assert len(demonstrations) == 2
    for each in demonstrations:
        assert each["outputs"] == {"number": expected[each["example"]]}


async def test_but_not_a_step_that_gives_more_than_the_task_asks_for(orders: Task, tmp_path: Path) -> None:
    made = await proposals(orders, tmp_path, more=", reasoning: str")
    assert made
    assert not [each for each in made if "right answers" in each["title"]]
