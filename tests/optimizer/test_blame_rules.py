"""Which step a run speaks against, where that can be seen without a question, and the words that are shown as evidence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from gradients_help import flow, llm
from proposer_help import Roles, task_of
from search_help import searching

from flowbot.optimizer.feedback.blame import Blame, Blamed
from flowbot.optimizer.feedback.rules import stands_in
from flowbot.testing.fake import ReplyContent
from flowbot.workflow.workflow import Workflow

TASK = task_of([{"q": "q0", "a": "silver spoon"}])


async def blamed_of(
    workflow: Workflow, asked: Roles, folder: Path, *, task: Any = TASK, mode: Any = "small", feedback: Any = "real"
) -> Blamed:
    async with searching(task, workflow, asked, folder) as search:
        search.meta_mode, search.feedback_mode = mode, feedback
        await search.run(search.start, search.rows, "train")
        return await Blame().of(search, search.start)


def asking(**replies: ReplyContent) -> Roles:
    """Steps that reply so; a meta model that blames `plan`."""
    return Roles(lambda name, _: replies.get(name, name), lambda _: {"step": "plan", "evidence": "a plan"})


CHAIN = {"plan": llm(q="q"), "answer": llm(plan="plan.a")}


async def test_the_last_step_is_to_blame_where_it_was_given_the_right_answer(tmp_path: Path) -> None:
    asked = asking(plan="It is the Silver Spoon, surely.", answer="gold")
    blamed = await blamed_of(flow(CHAIN, "answer.a"), asked, tmp_path)
    assert blamed.runs == {"plan": 0, "answer": 1}
    assert asked.prompts == []
    assert blamed.shown == [], "no model saw the row"


@pytest.mark.parametrize(
    ("plan", "runs"),
    [("Surely silver.", {"plan": 0, "answer": 1}), ("Is it gold or silver? Gold, I think.", {"plan": 1, "answer": 0})],
)
async def test_a_step_that_weighs_several_labels_gave_no_answer(
    plan: str, runs: dict[str, int], tmp_path: Path
) -> None:
    nodes = {"plan": llm(q="q"), "answer": llm("Literal['silver', 'gold']", plan="plan.a")}
    task = task_of([{"q": "q0", "a": "silver"}])
    asked = asking(plan=plan, answer={"a": "gold"})
    blamed = await blamed_of(flow(nodes, "answer.a"), asked, tmp_path, task=task)
    assert blamed.runs == runs
    assert "it failed" not in {each.text for each in blamed.feedback}
    assert len(asked.prompts) == runs["plan"]


@pytest.mark.parametrize("plan", ["It is the silver spoons.", "a plan"])
async def test_where_the_right_answer_never_stood_the_model_is_asked(plan: str, tmp_path: Path) -> None:
    asked = asking(plan=plan, answer="gold")
    assert (await blamed_of(flow(CHAIN, "answer.a"), asked, tmp_path)).runs == {"plan": 1, "answer": 0}
    assert len(asked.prompts) == 1


async def test_what_the_task_itself_gives_is_no_evidence(tmp_path: Path) -> None:
    nodes = {"plan": llm(q="q"), "answer": llm(plan="plan.a", q="q")}
    task = task_of([{"q": "silver spoon or cup?", "a": "silver spoon"}])
    asked = asking(plan="a plan", answer="gold")
    assert (await blamed_of(flow(nodes, "answer.a"), asked, tmp_path, task=task)).runs["plan"] == 1


async def test_the_controls_see_no_right_answer(tmp_path: Path) -> None:
    asked = asking(plan="It is the silver spoon.", answer="gold")
    blamed = await blamed_of(flow(CHAIN, "answer.a"), asked, tmp_path, feedback="blind")
    assert blamed.runs == {"plan": 1, "answer": 0}


async def test_behind_a_merge_the_step_is_found_whose_value_was_taken(tmp_path: Path) -> None:
    nodes = {
        **CHAIN,
        "other": llm(plan="plan.a"),
        "join": {"kind": "merge", "how": "first", "in": ["answer.a", "other.a"], "out": {"a": "str"}},
    }
    asked = asking(plan="It is the silver spoon.", answer="gold")
    assert (await blamed_of(flow(nodes, "join.a"), asked, tmp_path)).runs == {"plan": 0, "answer": 1, "other": 0}


async def test_the_only_step_that_the_result_rests_on_is_known(tmp_path: Path) -> None:
    nodes = {
        "route": {"kind": "branch", "in": {"q": "q"}, "ways": {"odd": {"ref": "q", "op": "contains", "value": "0"}, "even": "else"}},
        "one": {**llm(q="q"), "when": "route.odd"},
        "two": {**llm(q="q"), "when": "route.even"},
        "join": {"kind": "merge", "how": "first", "in": ["one.a", "two.a"], "out": {"a": "str"}},
    }  # fmt: skip
    asked = asking()
    blamed = await blamed_of(flow(nodes, "join.a"), asked, tmp_path)
    assert blamed.runs == {"one": 1, "two": 0}
    assert asked.prompts == []


async def test_who_gave_a_tool_what_it_failed_on_is_to_blame(tmp_path: Path) -> None:
    def lookup(name: str) -> str:
        """The price of a thing."""
        raise ValueError(f"there is no {name}")

    nodes = {
        "plan": llm(q="q"),
        "name": llm(plan="plan.a"),
        "look": {"kind": "tool", "tool": "lookup", "in": {"name": "name.a"}, "out": {"result": "str"}},
        "say": llm(found="look.result"),
    }
    asked = asking()
    task = task_of([{"q": "q0", "a": "silver"}], tools=[lookup])
    blamed = await blamed_of(flow(nodes, "say.a"), asked, tmp_path, task=task)
    assert blamed.runs == {"plan": 0, "name": 1, "say": 0}
    assert [each.text for each in blamed.feedback] == ["`look` failed on what it gave"]


@pytest.mark.parametrize(
    ("plan", "text"), [("here is a plan.", "the first wrong step: “a plan”"), ("nil", "the first wrong step")]
)
async def test_a_large_model_quotes_its_evidence_which_must_stand_in_the_run(
    plan: str, text: str, tmp_path: Path
) -> None:
    asked = asking(plan=plan)
    blamed = await blamed_of(flow(CHAIN, "answer.a"), asked, tmp_path, mode="large")
    assert [each.text for each in blamed.feedback] == [text]
    assert "quote" in asked.prompts[0]


@pytest.mark.parametrize(
    ("right", "value", "stands"),
    [
        ("silver spoon", "The Silver  Spoon!", True),
        ("silver spoon", "silver spoons", False),
        ("yes", "yes", False),
        (True, True, False),
        (3, 3, False),
        (3.0, 3, False),
        (-3, -3, False),
        (37, 37, True),
        (37.0, 37, True),
        (0.5, 0.5, True),
        (37, "37", False),
        (["pen", "cup"], ["pen", "cup"], True),
        ([], [], False),
        (None, None, False),
        ("", "", False),
    ],
)
def test_what_counts_as_the_right_answer(right: Any, value: Any, stands: bool) -> None:
    assert stands_in(right, value) is stands
