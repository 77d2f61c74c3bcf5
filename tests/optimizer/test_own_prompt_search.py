"""A search that starts from a prompt of the user's own: its start is theirs, what is tried keeps its places."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flowbot.lm.client import Request
from flowbot.lm.lm import LM
from flowbot.lm.session import Session
from flowbot.optimizer.effort import EFFORTS
from flowbot.optimizer.inner.blame import Blame
from flowbot.optimizer.outer.catalogue import changes, prior_code
from flowbot.optimizer.prompts import fill
from flowbot.optimizer.run import optimize_async
from flowbot.optimizer.search import Search
from flowbot.run.journal import Journal
from flowbot.runtime.engine import Engine
from flowbot.store import Store
from flowbot.task import Task
from flowbot.testing.fake import FakeClient
from flowbot.workflow.check import check
from flowbot.workflow.edits import apply
from flowbot.workflow.parameters import LLMParameters
from flowbot.workflow.prompt import places
from flowbot.workflow.workflow import Workflow

PROMPT = json.dumps(
    [
        {"role": "system", "content": "You are a clerk who reads orders with care."},
        {"role": "user", "content": "Order: one pen\nTotal:"},
        {"role": "assistant", "content": "1"},
        {"role": "user", "content": "Add up how many items are ordered in all of it.\n\nOrder: {note}\nTotal:"},
    ]
)


def start(task: Task) -> Workflow:
    return Workflow.from_prompt(json.loads(PROMPT), task)


async def journal(task: Task, folder: Path, **more: Any) -> list[dict[str, Any]]:
    small = replace(task, splits={split: rows[:12] for split, rows in task.splits.items()})
    await optimize_async(
        small,
        lm="fake/echo",
        start=start(task),
        effort="low",
        run_dir=folder / "run",
        cache_dir=folder / "cache",
        **more,
    )
    return [json.loads(line) for line in (folder / "run" / "journal.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("method", ["flowbot", "paper", "random"])
async def test_what_is_tried_keeps_the_places_of_the_prompt(orders: Task, tmp_path: Path, method: str) -> None:
    events = await journal(orders, tmp_path, method=method)
    before = start(orders).parameter("answer")
    assert isinstance(before, LLMParameters)
    dumps = [Workflow.from_data(each["dump"]) for each in events if each["event"] == "proposal" and each["dump"]]
    assert dumps
    for workflow in dumps:
        for told in workflow.parameters.values():
            if isinstance(told, LLMParameters) and told.messages:
                kept = [(role, tuple(ref for ref in refs if ref == "note")) for role, refs in places(told.messages)]
                assert kept == list(places(before.messages))


class Model:
    """A pretend model that is never right; as the meta model it rewrites whatever it is shown, and its questions are kept."""

    def __init__(self) -> None:
        self.rewrites: list[str] = []

    def __call__(self, request: Request) -> str:
        prompt = request.messages[0].content
        if prompt.startswith("Improve"):
            self.rewrites.append(prompt)
            return "Words that are new.\n"
        return "It says too little." if "Score" in prompt else "none"


async def test_one_text_is_rewritten_at_a_time_each_in_its_turn(orders: Task, tmp_path: Path) -> None:
    small = replace(orders, splits={split: rows[:2] for split, rows in orders.splits.items()})
    session, model = Session(store=Store.memory()), Model()
    lm = LM(FakeClient(reply=model), session)
    engine, log = Engine(lm, session), Journal.open(tmp_path / "journal.jsonl")
    search = Search(
        task=small, engine=engine, meta=lm, session=session, journal=log, seed=0, effort=EFFORTS["low"], model="fake"
    )  # fmt: skip
    workflow, blame = start(orders), Blame()
    for number in range(4):
        assert await blame.step(search, workflow, small.splits["train"], number) is workflow
    await engine.close()
    await session.store.close()
    log.close()
    events = [json.loads(line) for line in (tmp_path / "journal.jsonl").read_text().splitlines()]
    made = [each["dump"] for each in events if each["event"] == "proposal" and "rewrite" in each["title"]]
    parts = [each["parameters"]["answer"]["messages"] for each in made]
    before = workflow.dump()["parameters"]["answer"]["messages"]
    assert [each[0]["parts"] for each in parts] == [before[0]["parts"], ["Words that are new."]]
    assert [each[3]["parts"] for each in parts] == [
        ["Words that are new.\n\nOrder: ", {"ref": "note"}, "\nTotal:"],
        before[3]["parts"],
    ]
    assert [each[1:3] for each in parts] == [before[1:3]] * 2
    first, second = model.rewrites
    assert "Now:\nAdd up how many items are ordered in all of it.\n" in first
    assert "[user]\n[PART]\n\nOrder: {note}\nTotal:" in first
    assert "Now:\nYou are a clerk who reads orders with care.\n" in second


def test_every_change_of_the_catalogue_can_be_made_of_such_a_step(orders: Task) -> None:
    before = start(orders)
    found = changes(before, orders, "answer")
    assert {"think", "vote", "review", "compute"} <= {change.key.partition(":")[0] for change in found}
    for change in found:
        after = apply(before, change.build(prior_code(*change.computes) if change.computes else ""))
        assert check(after) == []


def test_thinking_before_the_answer_adds_one_last_part_and_taking_it_back_leaves_none(orders: Task) -> None:
    before = start(orders)
    (think,) = [change for change in changes(before, orders, "answer") if change.key.startswith("think:")]
    after = apply(before, think.build(""))
    told, was = after.parameter("answer"), before.parameter("answer")
    assert isinstance(told, LLMParameters)
    assert isinstance(was, LLMParameters)
    assert (told.messages, bool(told.format_hint)) == (was.messages, True)
    (back,) = [change for change in changes(after, orders, "answer") if change.key.startswith("answer:")]
    assert apply(after, back.build("")).parameter("answer") == was


def test_the_question_for_an_instruction_is_what_it_was() -> None:
    """Its stored answers would be worth nothing otherwise."""
    asked = fill("optim_call", goal="g", step="s", kind="llm", instruction="Do.", around="", signature="a -> b", feedback=["f"], limit=80)  # fmt: skip
    assert asked == (
        "Improve the instruction of one step of an LLM workflow. Reply with the new instruction alone, at most 80 words, "
        "general, without answers to single examples.\nTask: g\n\nStep `s`: a -> b\nNow:\nDo.\n\nFeedback:\n- f"
    )
