"""Layer-wise gradients: who is asked, in which order, with whose feedback; and edits mended from the checker's words."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flowbot.lm.client import Request
from flowbot.lm.lm import LM
from flowbot.lm.session import Session
from flowbot.optimizer.backward import backward, backward_all, feedback_on
from flowbot.optimizer.effort import EFFORTS
from flowbot.optimizer.inner.layerwise import Layerwise
from flowbot.optimizer.outer.paper import PaperOuter
from flowbot.optimizer.search import Search
from flowbot.run.events import Feedback, Proposal
from flowbot.run.journal import Journal
from flowbot.runtime.engine import Engine
from flowbot.store import Store
from flowbot.task import Task
from flowbot.testing.fake import FakeClient
from flowbot.workflow.file import from_data
from flowbot.workflow.parameters import LLMParameters
from flowbot.workflow.workflow import Workflow

FLOW: dict[str, Any] = {
    "flowbot": 1,
    "inputs": {"q": "str"},
    "outputs": {"a": "join.a"},
    "nodes": {
        "plan": {"kind": "llm", "in": {"q": "q"}, "out": {"plan": "str"}},
        "left": {"kind": "llm", "in": {"plan": "plan.plan"}, "out": {"a": "str"}},
        "right": {"kind": "llm", "in": {"plan": "plan.plan"}, "out": {"a": "str"}},
        "join": {"kind": "merge", "how": "first", "in": ["left.a", "right.a"], "out": {"a": "str"}},
    },
    "parameters": {name: {"instruction": f"You are {name}."} for name in ("plan", "left", "right")},
}


class Asked:
    """A pretend model that notes what it was asked; `meta` says what it answers to questions of the optimiser."""

    def __init__(self, meta: Callable[[str], str]) -> None:
        self.prompts: list[str] = []
        self._meta = meta

    def __call__(self, request: Request) -> str:
        prompt = "\n".join(message.content for message in request.messages)
        if prompt.startswith("You are "):
            return prompt.split()[2]
        self.prompts.append(prompt)
        return self._meta(prompt)


@pytest.fixture
async def searching(tmp_path: Path) -> AsyncIterator[Callable[[Asked], Search]]:
    rows = [{"q": f"q{n}", "a": "gold"} for n in range(3)]
    task = Task(
        goal="Answer.",
        inputs={"q": "str"},
        outputs={"a": "str"},
        metric="exact",
        train=rows[:1],
        val=rows[1:2],
        test=rows[2:],
    )
    session = Session(store=Store.memory())
    journal = Journal.open(tmp_path / "journal.jsonl")
    engines: list[Engine] = []

    def make(asked: Asked) -> Search:
        lm = LM(FakeClient(reply=asked), session)
        engines.append(Engine(lm, session))
        return Search(
            task=task, engine=engines[-1], meta=lm, session=session, journal=journal, seed=0, effort=EFFORTS["low"],
            model="fake",
        )  # fmt: skip

    yield make
    for engine in engines:
        await engine.close()
    await session.store.close()
    journal.close()


def step_of(prompt: str) -> str:
    return prompt.split("Step `")[1].split("`")[0]


async def test_gradients_go_backward_layer_by_layer_and_join_all_successors(
    searching: Callable[[Asked], Search],
) -> None:
    asked = Asked(lambda prompt: f"feedback on {step_of(prompt)}")
    search = searching(asked)
    workflow = from_data(FLOW)
    (row,) = await search.score(workflow, search.order("train"), "train")
    gradients = await backward(search, workflow, row)
    assert list(gradients) == ["join", "right", "left", "plan"]
    assert {step_of(prompt) for prompt in asked.prompts} == {"plan", "left", "right"}, "a merge costs no call"
    (plan,) = [prompt for prompt in asked.prompts if step_of(prompt) == "plan"]
    assert plan.index("feedback on left") < plan.index("feedback on right")
    (left,) = [prompt for prompt in asked.prompts if step_of(prompt) == "left"]
    assert "gold" in left, "what was expected reaches the steps before a last step that nothing tunes"


async def test_an_inner_step_rewrites_each_step_from_its_own_gradient(searching: Callable[[Asked], Search]) -> None:
    def meta(prompt: str) -> str:
        return f"New words for {step_of(prompt)}." if prompt.startswith("Improve") else f"feedback on {step_of(prompt)}"

    search = searching(Asked(meta))
    workflow = from_data(FLOW)
    after = await Layerwise().step(search, workflow, search.order("train"), 0)
    for name in ("plan", "left", "right"):
        parameters = after.parameter(name)
        assert isinstance(parameters, LLMParameters)
        assert parameters.instruction == f"New words for {name}."
    assert after.sketch == workflow.sketch


async def test_an_instruction_that_copies_an_answer_is_not_taken(searching: Callable[[Asked], Search]) -> None:
    def meta(prompt: str) -> str:
        return "Always say: the golden answer of them all." if prompt.startswith("Improve") else "wrong"

    rows = [{"q": f"q{n}", "a": answer} for n, answer in enumerate(("the golden answer of them all", "iron", "lead"))]
    task = Task(
        goal="Answer.",
        inputs={"q": "str"},
        outputs={"a": "str"},
        metric="exact",
        train=rows[:1],
        val=rows[1:2],
        test=rows[2:],
    )
    search = replace(searching(Asked(meta)), task=task)
    workflow = from_data(FLOW)
    after = await Layerwise().step(search, workflow, search.order("train"), 0)
    assert after.hash == workflow.hash


async def test_a_wrong_edit_is_mended_from_the_checkers_words_and_parameters_stay(
    searching: Callable[[Asked], Search],
) -> None:
    def meta(prompt: str) -> str:
        if not prompt.startswith("Change the structure"):
            return "remove the step right"
        if "were refused" not in prompt:
            return json.dumps({"edits": [{"op": "remove", "id": "nobody", "bypass": []}]})
        mended = [
            {"op": "remove", "id": "right", "bypass": [{"from": "right.a", "to": "left.a"}]},
            {"op": "remove", "id": "join", "bypass": [{"from": "join.a", "to": "left.a"}]},
        ]
        return json.dumps({"edits": mended})

    asked = Asked(meta)
    search = searching(asked)
    workflow: Workflow = from_data(FLOW)
    after = await PaperOuter().step(search, workflow, search.order("train"), 0)
    refused = [prompt for prompt in asked.prompts if "were refused" in prompt]
    assert "nobody" in refused[0]
    assert set(after.sketch.nodes) == {"plan", "left"}
    assert after.parameter("left") == workflow.parameter("left")


async def test_edits_that_stay_wrong_leave_the_workflow_and_say_why(searching: Callable[[Asked], Search]) -> None:
    def meta(prompt: str) -> str:
        return "not JSON at all" if prompt.startswith("Change the structure") else "add a step"

    asked = Asked(meta)
    search = searching(asked)
    workflow = from_data(FLOW)
    after = await PaperOuter().step(search, workflow, search.order("train"), 0)
    assert after.hash == workflow.hash
    (proposal,) = [event for event in search.journal.events() if isinstance(event, Proposal)]
    assert proposal.program is None
    assert len(proposal.faults) == 3


def looping() -> Workflow:
    body = {
        "better": {"kind": "llm", "in": {"draft": "draft"}, "out": {"text": "str"}},
        "each": {
            "kind": "map", "over": "words.all", "limit": 9, "out": {"said": "say.a"},
            "nodes": {"say": {"kind": "llm", "in": {"word": "item", "text": "better.text"}, "out": {"a": "str"}}},
        },
        "glue": {"kind": "code", "in": {"said": "each.said"}, "out": {"text": "str"}},
    }  # fmt: skip
    data: dict[str, Any] = {
        "flowbot": 1,
        "inputs": {"q": "str"},
        "outputs": {"a": "refine.draft"},
        "nodes": {
            "words": {"kind": "code", "in": {"q": "q"}, "out": {"all": "list[str]"}},
            "refine": {
                "kind": "loop", "max": 2, "carry": {"draft": {"type": "str", "start": "q", "next": "glue.text"}},
                "nodes": body,
            },
        },
        "parameters": {
            "words": {"code": "def run(q):\n    return {'all': ['x', 'y']}"},
            "refine/better": {"instruction": "You are better."},
            "refine/each/say": {"instruction": "You are say."},
            "refine/glue": {"code": "def run(said):\n    return {'text': ' '.join(said)}"},
        },
    }  # fmt: skip
    return from_data(data)


async def test_gradients_unroll_loops_and_fan_out_over_maps(searching: Callable[[Asked], Search]) -> None:
    asked = Asked(lambda prompt: f"feedback on {step_of(prompt)}")
    search = searching(asked)
    workflow = looping()
    (row,) = await search.score(workflow, search.order("train"), "train")
    assert row.trace.outputs is not None
    gradients = await backward(search, workflow, row)
    assert list(gradients) == [
        "refine/glue[2]", "refine/each[2]/say[2]", "refine/each[2]/say[1]", "refine/better[2]",
        "refine/glue[1]", "refine/each[1]/say[2]", "refine/each[1]/say[1]", "refine/better[1]", "words",
    ]  # fmt: skip
    (second,) = [prompt for prompt in asked.prompts if step_of(prompt) == "refine/better[2]"]
    (glue,) = [prompt for prompt in asked.prompts if step_of(prompt) == "refine/glue[1]"]
    assert second.index("feedback on refine/each[2]/say[1]") < second.index("feedback on refine/each[2]/say[2]")
    assert "feedback on refine/better[2]" in glue, "what a step carries over links it to the next step"
    [journalled] = await backward_all(search, workflow, [row])
    said = feedback_on("refine/each/say", [journalled])
    assert [each.text for each in said] == [gradients[each.place] for each in said]
    assert len(said) == 4
    by_id = {each.id: each.place for each in journalled.values()}
    after = {address: [by_id[name] for name in each.after] for address, each in journalled.items()}
    assert after["refine/better[2]"] == ["refine/each[2]/say[1]", "refine/each[2]/say[2]"]
    assert after["refine/glue[1]"] == ["refine/better[2]"]
    assert after["refine/glue[2]"] == []
    assert [event.id for event in search.journal.events() if isinstance(event, Feedback)] == list(by_id)


async def test_an_inner_step_tunes_the_nodes_of_a_body(searching: Callable[[Asked], Search]) -> None:
    def meta(prompt: str) -> str:
        return f"New words for {step_of(prompt)}." if prompt.startswith("Improve") else "feedback"

    search = searching(Asked(meta))
    after = await Layerwise().step(search, looping(), search.order("train"), 0)
    told = after.parameter("refine/each/say")
    assert isinstance(told, LLMParameters)
    assert told.instruction == "New words for refine/each/say."


async def test_of_a_long_loop_the_last_steps_are_asked_about(searching: Callable[[Asked], Search]) -> None:
    data: dict[str, Any] = {
        "flowbot": 1,
        "inputs": {"q": "str"},
        "outputs": {"a": "end.a"},
        "nodes": {
            "refine": {
                "kind": "loop", "max": 6, "carry": {"draft": {"type": "str", "start": "q", "next": "better.text"}},
                "nodes": {"better": {"kind": "llm", "in": {"draft": "draft"}, "out": {"text": "str"}}},
            },
            "end": {"kind": "llm", "in": {"draft": "refine.draft"}, "out": {"a": "str"}},
        },
        "parameters": {"refine/better": {"instruction": "You are better."}, "end": {"instruction": "You are end."}},
    }  # fmt: skip
    asked = Asked(lambda prompt: f"feedback on {step_of(prompt)}")
    search = searching(asked)
    workflow = from_data(data)
    (row,) = await search.score(workflow, search.order("train"), "train")
    gradients = await backward(search, workflow, row)
    assert list(gradients) == ["end", *(f"refine/better[{step}]" for step in (6, 5, 4, 3))]
    (last,) = [prompt for prompt in asked.prompts if step_of(prompt) == "refine/better[6]"]
    assert "feedback on end" in last
