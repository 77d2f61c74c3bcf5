"""The plans over tools: a simulator that no list of tools can please, and splits that share nothing."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from flowbot.task import Example, Task
from flowbot.task.modules import Modules

FOLDER = Path(__file__).parents[2] / "examples" / "openagi"
SPLITS = ("train", "val", "test")


def rows(split: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (FOLDER / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def task() -> Task:
    return Task.load(FOLDER)


def example(task: Task, what: str, wanted: str, faults: set[str]) -> Example:
    """A row of that kind, with just these faults."""
    return next(
        each
        for each in (*task.train, *task.val, *task.test)
        if each.extra["start"]["what"] == what
        and each.extra["wanted"]["what"] == wanted
        and set(each.extra["start"]["faults"]) == faults
    )


def test_no_wording_and_no_pair_of_what_comes_in_and_what_is_wanted_is_in_two_splits() -> None:
    for key in (("family",), ("request",), ("start", "wanted")):
        found = [{json.dumps([row[name] for name in key]) for row in rows(split)} for split in SPLITS]
        assert all(one.isdisjoint(other) for one, other in itertools.combinations(found, 2))


def test_the_plan_is_the_shortest_that_scores_1(task: Task) -> None:
    for each in task.test:
        plan = each.expected["plan"]
        for place in range(len(plan)):
            assert task.metric(each, {"plan": plan[:place] + plan[place + 1 :]}).value < 1.0


def test_a_plan_that_breaks_and_one_that_lists_all_tools_are_worth_little(task: Task) -> None:
    lists = list[float]()
    for each in task.test:
        named = [line.partition(":")[0] for line in each.inputs["tools"].splitlines()]
        assert set(named) > set(each.expected["plan"])
        lists.append(task.metric(each, {"plan": named}).value)
        assert task.metric(each, {"plan": []}).value == 0.0
        broken = task.metric(each, {"plan": ["paint", "paint", *each.expected["plan"]]})
        assert broken.value < 0.8
        assert broken.feedback
    assert sum(lists) / len(lists) < 0.2


def test_a_large_photo_is_made_of_one_without_noise_alone(task: Task) -> None:
    each = next(
        e
        for e in (*task.train, *task.val, *task.test)
        if {"noise", "low resolution"} <= set(e.extra["start"]["faults"])
    )
    plan = each.expected["plan"]
    later = ["upscale", *(tool for tool in plan if tool != "upscale")]
    found = task.metric(each, {"plan": later})
    assert found.value < 1.0
    assert "step 1 changes nothing: upscale" in found.feedback
    assert "without low resolution" in found.feedback


def test_what_is_wrong_is_said_without_the_right_plan(task: Task) -> None:
    each = next(
        e for e in task.test if e.extra["wanted"]["language"] == "German" and e.extra["start"]["what"] == "photo"
    )
    found = task.metric(each, {"plan": each.expected["plan"][:-1]})
    assert found.feedback == "the result is not in German"


def test_a_name_that_is_no_tool_breaks_a_plan_and_not_the_scorer() -> None:
    toy = Task.load(FOLDER / "toy.task.yaml")
    found = toy.metric(toy.test[0], {"plan": ["paint"]})
    assert (found.value, found.feedback.partition(";")[0]) == (0.0, "step 1 cannot run: paint is no tool")


def test_a_missing_plan_scores_0(task: Task) -> None:
    assert task.metric(task.test[0], {"plan": None}).value == 0.0


STEPS: list[dict[str, Any]] = [
    {"name": "Step 1", "type": "decision", "instruction": "What comes in?", "branches": [["photo", "Step 2"], ["text", "Step 3"]]},
    {"name": "Step 2", "type": "process", "instruction": "Use caption.", "branches": [["next", "Step 4"]]},
    {"name": "Step 3", "type": "process", "instruction": "Use to_english, then draw.", "branches": [["next", "Step 4"]]},
    {"name": "Step 4", "type": "terminal", "instruction": "Give the plan.", "branches": []},
]  # fmt: skip


def test_a_program_is_scored_by_its_words_on_the_way_that_what_comes_in_takes() -> None:
    by_words = Modules(run=True).load(FOLDER / "metrics.py", "by_words", "test")
    task = Task.load(FOLDER)
    photo = [e for e in task.train if e.expected["plan"] == ["caption"]] or [
        e for e in (*task.train, *task.val, *task.test) if e.expected["plan"][-1] == "caption"
    ]
    text = [e for e in (*task.train, *task.val, *task.test) if e.expected["plan"] == ["to_english", "draw"]]
    assert by_words(STEPS, text[:1]) == 1.0
    assert by_words(STEPS, photo[:1]) > 0
    circle = [{**STEPS[1], "branches": [["next", "Step 2"]]}]
    assert by_words(circle, photo[:1]) <= by_words(STEPS, photo[:1])
