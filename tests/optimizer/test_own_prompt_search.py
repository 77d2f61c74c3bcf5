"""A search that starts from a prompt of the user's own: what is tried keeps its places."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from proposer_help import drawn, told
from search_help import searching

from flowbot.lm.client import Request
from flowbot.optimizer.parameters.demonstrations import Demonstrations
from flowbot.optimizer.parameters.rewrite import Rewrite
from flowbot.optimizer.parameters.wording import Wording
from flowbot.optimizer.prompts import fill
from flowbot.optimizer.search import Search
from flowbot.task import Task
from flowbot.testing.fake import ReplyContent
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


class Model:
    """A pretend model that is never right; as the meta model it rewrites whatever it is shown, and its questions are kept."""

    def __init__(self) -> None:
        self.rewrites: list[str] = []

    def __call__(self, request: Request) -> ReplyContent:
        prompt = request.messages[0].content
        if prompt.startswith("You improve"):
            self.rewrites.append(prompt)
            return {"hypotheses": [{"claim": "too old", "text": "Words that are new.\n"}] * 4}
        return "It says too little." if "Score" in prompt else "none"


def small(task: Task) -> Task:
    return replace(task, splits={split: rows[:4] for split, rows in task.splits.items()})


async def begun(search: Search) -> LLMParameters:
    """What the step is told at first; runs of it are recorded."""
    await search.run(search.start, search.rows, "train")
    parameters = search.start.workflow.parameter("answer")
    assert isinstance(parameters, LLMParameters)
    return parameters


async def test_one_text_is_rewritten_at_a_time_each_in_its_turn(orders: Task, tmp_path: Path) -> None:
    model = Model()
    async with searching(small(orders), start(orders), model, tmp_path, meta_mode="large") as search:
        before = await begun(search)
        made = [told(await drawn(Rewrite(), search, "instruct", draw), "answer") for draw in (0, 1)]
    was = [message.model_dump()["parts"] for message in before.messages]
    longest, other = ([message.model_dump()["parts"] for message in each.messages] for each in made)
    assert longest == [*was[:3], ("Words that are new.\n\nOrder: ", {"ref": "note"}, "\nTotal:")]
    assert other == [("Words that are new.",), *was[1:]]
    assert [places(each.messages) for each in made] == [places(before.messages)] * 2
    first, second = model.rewrites
    assert "text now:\nAdd up how many items are ordered in all of it.\n" in first
    assert "[user]\n[PART]\n\nOrder: {note}\nTotal:" in first
    assert "text now:\nYou are a clerk who reads orders with care.\n" in second


async def test_where_a_prompt_has_many_texts_each_has_a_draw(orders: Task, tmp_path: Path) -> None:
    async with searching(small(orders), start(orders), Model(), tmp_path, meta_mode="large") as search:
        await begun(search)
        (few,) = Rewrite(replies=1).options(search.population.start, search)
        (more,) = Rewrite(replies=4).options(search.population.start, search)
    assert (few.most, more.most) == (8, 16)


async def test_demonstrations_leave_the_prompt_as_it_is(orders: Task, tmp_path: Path) -> None:
    async with searching(small(orders), start(orders), Model(), tmp_path) as search:
        before = await begun(search)
        made = told(await drawn(Demonstrations(), search, "demonstrate"), "answer")
    assert made.messages == before.messages
    assert len(made.demonstrations) == 4


def test_the_question_for_an_instruction_is_what_it_was() -> None:
    """Its stored answers would be worth nothing otherwise."""
    asked = fill("optim_call", goal="g", step="s", now=Wording("llm", "a -> b", "Do.", None, "", 80), instruction="Do.", feedback=["f"])  # fmt: skip
    assert asked == (
        "Improve the instruction of one step of an LLM workflow. Reply with the new instruction alone, at most 80 words, "
        "general, without answers to single examples.\nTask: g\n\nStep `s`: a -> b\nNow:\nDo.\n\nFeedback:\n- f"
    )
