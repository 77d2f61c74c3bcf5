"""Which step failing runs speak against: by rule, by the meta model, and drawn from what both said."""

from __future__ import annotations

from asyncio import gather
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

from proposer_help import Roles, task_of
from search_help import searching

from flowbot.optimizer.feedback.blame import ASKED, Blame, Blamed
from flowbot.optimizer.feedback.parts import suspects
from flowbot.runtime.program import WorkflowProgram
from flowbot.workflow.workflow import Workflow

TASK = task_of([{"q": f"question {n}", "a": "silver" if n < 3 else "gold"} for n in range(20)])


def two_steps(**plan: Any) -> Workflow:
    return Workflow.from_data(
        {
            "flowbot": 1,
            "inputs": {"q": "str"},
            "outputs": {"a": "answer.a"},
            "nodes": {
                "plan": {"kind": "llm", "in": {"q": "q"}, "out": {"plan": "str"}, **plan},
                "answer": {"kind": "llm", "in": {"plan": "plan.plan"}, "out": {"a": "str"}},
            },
            "parameters": {name: {"instruction": f"You are {name}."} for name in ("plan", "answer")},
        }
    )


def wrong(blamed: str = "plan") -> Roles:
    return Roles(lambda name, _: name, lambda _: {"step": blamed})


async def test_a_few_runs_of_all_sorts_are_asked_about_and_what_was_said_can_be_journalled(tmp_path: Path) -> None:
    asked, blame = wrong(), Blame()
    async with searching(TASK, two_steps(), asked, tmp_path) as search:
        await search.run(search.start, search.rows, "train")
        rows = search.recorded(search.start, search.rows)
        assert blame.cost(search.start, rows) == ASKED
        blamed = await blame.of(search, search.start)
        assert blame.cost(search.start, rows) == 0
    assert len(asked.prompts) == ASKED
    assert Counter("gold" in prompt for prompt in asked.prompts) == {True: ASKED // 2, False: ASKED // 2}
    assert blamed.runs == {"plan": ASKED, "answer": 0}
    assert [each.place for each in blamed.feedback] == ["plan"] * ASKED
    assert blamed.on("plan") == list(blamed.feedback)
    assert blamed.on("answer") == []


async def test_proposals_that_are_made_side_by_side_share_one_blame(tmp_path: Path) -> None:
    asked, blame = wrong(), Blame()
    async with searching(TASK, two_steps(), asked, tmp_path) as search:
        await search.run(search.start, search.rows, "train")
        found = await gather(*(blame.of(search, search.start) for _ in range(3)))
    assert len(asked.prompts) == ASKED
    assert found[0] is found[1] is found[2]


async def test_a_step_that_failed_is_seen_without_a_question(tmp_path: Path) -> None:
    def step(name: str, _: str) -> str:
        return "" if name == "answer" else name

    asked, blame = Roles(step, lambda _: "plan"), Blame()
    workflow = two_steps()
    async with searching(TASK, workflow, asked, tmp_path) as search:
        await search.run(search.start, search.rows, "train")
        blamed = await blame.of(search, search.start)
    assert not asked.prompts
    assert blamed.runs == {"plan": 0, "answer": ASKED}
    assert {each.source for each in blamed.feedback} == {"rule"}


async def test_the_only_step_that_may_be_changed_is_known_without_a_question(tmp_path: Path) -> None:
    asked, blame = wrong(), Blame()
    async with searching(TASK, two_steps(frozen=True), asked, tmp_path) as search:
        await search.run(search.start, search.rows, "train")
        assert blame.cost(search.start, search.recorded(search.start, search.rows)) == 0
        blamed = await blame.of(search, search.start)
    assert not asked.prompts
    assert blamed.draw(Random(0), {}) == "answer"


def test_frozen_steps_are_no_suspects() -> None:
    assert suspects(WorkflowProgram(two_steps())) == ["plan", "answer"]
    assert suspects(WorkflowProgram(two_steps(frozen=True))) == ["answer"]


def test_a_step_is_drawn_by_the_runs_against_it_and_the_same_from_the_same_seed() -> None:
    blamed = Blamed({"plan": 5, "answer": 1})
    drawn = [blamed.draw(Random(seed), {}) for seed in range(200)]
    assert drawn == [blamed.draw(Random(seed), {}) for seed in range(200)]
    assert 150 < drawn.count("plan") < 200, "mostly, not always, the step that most runs speak against"
    even = [Blamed({"plan": 0, "answer": 0}).draw(Random(seed), {}) for seed in range(200)]
    assert 70 < even.count("plan") < 130


def test_a_step_that_was_tried_in_vain_makes_room_for_the_others() -> None:
    blamed = Blamed({"plan": 5, "answer": 1, "check": 0})
    for tries, expected in (({"plan": 1}, 30), ({"plan": 2}, 90), ({"plan": 5}, 190)):
        drawn = [blamed.draw(Random(seed), tries) for seed in range(200)]
        assert len(drawn) - drawn.count("plan") >= expected
