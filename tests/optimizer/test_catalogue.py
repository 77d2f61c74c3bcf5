"""The catalogue of changes: every change, on every workflow it can lead to, is a valid edit or is refused."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from random_workflows import TOOLS, workflow_data

from flowbot.fields import UserError
from flowbot.optimizer.catalogue.catalogue import PATTERNS, Catalogue
from flowbot.optimizer.catalogue.change import Call, Change, Place
from flowbot.optimizer.step_models import StepModels
from flowbot.optimizer.structure.catalogue_changes import stand_in
from flowbot.task import Task, tool_of
from flowbot.workflow.check import check
from flowbot.workflow.edits.applying import applied
from flowbot.workflow.edits.draft import EditError
from flowbot.workflow.edits.patterns import Ensemble
from flowbot.workflow.nodes import LLMNode, is_frozen, walk
from flowbot.workflow.parameters import LLMParameters
from flowbot.workflow.starts import find_start, fit, single_call
from flowbot.workflow.workflow import Workflow


def count(text: str) -> int:
    """Counts the words of a text."""
    return len(text.split())


@pytest.fixture
def counting() -> Task:
    rows = [{"note": f"note {n}", "place": "here", "total": n} for n in range(9)]
    return Task(
        goal="Count the words.", inputs={"note": "str", "place": "str"}, outputs={"total": "int"}, metric="numeric",
        train=rows[:3], val=rows[3:6], test=rows[6:], tools=[count],
    )  # fmt: skip


def made(task: Task, workflow: Workflow) -> Iterator[tuple[Change, Workflow]]:
    """The changes that lead to a valid workflow, each with it."""
    for change in Catalogue().changes(workflow, task):
        with suppress(EditError):
            yield change, applied(workflow, change.build(stand_in(change)), tools=task.signatures).after


def after(task: Task, workflow: Workflow) -> dict[str, Workflow]:
    return {change.key: changed for change, changed in made(task, workflow)}


def titles(task: Task, workflow: Workflow) -> list[str]:
    return [change.title for change, _ in made(task, workflow)]


@pytest.mark.parametrize("reasoning", [True, False])
def test_every_change_of_every_change_is_valid(counting: Task, reasoning: bool) -> None:
    start = single_call(counting.inputs, counting.outputs, counting.goal, reasoning=reasoning)
    first = after(counting, start)
    assert {key.split(":")[0] for key in first} >= {"compute", "review", "vote", "rewrite", "plan", "tool"}
    assert ("think:answer" in first) != reasoning
    assert ("answer:answer" in first) == reasoning
    for workflow in first.values():
        for key, changed in after(counting, workflow).items():
            assert (
                check(changed, tools=counting.signatures, task_inputs=counting.inputs, task_outputs=counting.outputs)
                == []
            ), key


def test_a_step_that_was_added_can_be_removed_again(counting: Task) -> None:
    start = single_call(counting.inputs, counting.outputs, counting.goal, reasoning=True)
    for added in ("review:answer", "plan:answer"):
        workflow = after(counting, start)[added]
        name = added.split(":")[0]
        assert after(counting, workflow)[f"remove:{name}"].sketch == start.sketch


def test_frozen_steps_are_left_alone(counting: Task) -> None:
    start = single_call(counting.inputs, counting.outputs, counting.goal, reasoning=True)
    reviewed = after(counting, start)["review:answer"]
    assert {change.place for change, _ in made(counting, reviewed)} == {"answer", "review"}
    frozen = reviewed.sketch.nodes["answer"].model_copy(update={"frozen": True})
    nodes = {**reviewed.sketch.nodes, "answer": frozen}
    held = Workflow(sketch=reviewed.sketch.model_copy(update={"nodes": nodes}), parameters=reviewed.parameters)
    assert {change.place for change, _ in made(counting, held)} == {"review"}


def test_thinking_and_answering_at_once_undo_each_other(counting: Task) -> None:
    start = single_call(counting.inputs, counting.outputs, counting.goal, reasoning=True)
    assert after(counting, after(counting, start)["answer:answer"])["think:answer"].hash == start.hash


def test_parts_are_listed_as_what_is_wanted_is_typed() -> None:
    rows = [{"q": f"q{n}", "fits": True} for n in range(3)]
    task = Task(
        goal="Does it fit?", inputs={"q": "str"}, outputs={"fits": "bool"}, metric="exact",
        train=rows[:1], val=rows[1:2], test=rows[2:],
    )  # fmt: skip
    start = single_call(task.inputs, task.outputs, task.goal, reasoning=False)
    computed = after(task, start)["compute:answer"]
    assert dict(computed.sketch.nodes["answer"].out) == {"items": "list[{what: str, fits: bool}]"}


def test_a_task_of_a_number_has_these_changes() -> None:
    rows = [{"note": f"note {n}", "total": n} for n in range(3)]
    task = Task(
        goal="Count.", inputs={"note": "str"}, outputs={"total": "int"}, metric="numeric",
        train=rows[:1], val=rows[1:2], test=rows[2:],
    )  # fmt: skip
    start = single_call(task.inputs, task.outputs, task.goal, reasoning=True)
    assert titles(task, start) == [
        "Make the LLM call return the parts as a typed list, and compute the answer in Python.",
        "Make the LLM call write an arithmetic expression, and let a calculator work it out.",
        "Make the LLM call write a short Python program, and run it: what it prints is the answer.",
        "Add a second LLM call that reads the first answer and writes the answer again.",
        "Run the same LLM call three times and return the answer that occurs most often.",
        "Make the LLM call write the answer at once, without reasoning.",
        "Add an LLM call that first rewrites the input in plain words, then answer from that.",
        "Split the LLM call into two calls: one writes a plan, the other answers by the plan.",
    ]


@pytest.fixture
def writing() -> Task:
    rows = [{"facts": [f"fact {n}"], "tone": "dry", "brief": True, "text": "a"} for n in range(3)]
    inputs = {"facts": "list[str]", "tone": "Literal['dry', 'warm']", "brief": "bool"}
    return Task(
        goal="Write.", inputs=inputs, outputs={"text": "str"}, metric="exact",
        train=rows[:1], val=rows[1:2], test=rows[2:], tools=[count],
    )  # fmt: skip


def test_free_text_lists_choices_and_tools_call_for_changes_of_their_own(writing: Task) -> None:
    start = single_call(writing.inputs, writing.outputs, writing.goal, reasoning=True)
    first = after(writing, start)
    new = [key for key in first if key.split(":")[0] in ("refine", "best", "each", "apart", "use")]
    assert new == [
        "refine:answer",
        "best:answer",
        "each:facts:answer",
        "apart:tone=dry:answer",
        "apart:tone=warm:answer",
        "apart:brief=True:answer",
        "use:answer",
    ]
    assert first["use:answer"].dump()["parameters"]["answer"]["tools"] == ["count"]
    assert first["each:facts:answer"].dump()["nodes"]["each"]["over"] == "facts"


def test_changes_of_steps_in_bodies_are_valid_and_a_loop_can_be_removed_again(writing: Task) -> None:
    start = single_call(writing.inputs, writing.outputs, writing.goal, reasoning=False)
    refined = after(writing, start)["refine:answer"]
    inside = after(writing, refined)
    assert {"vote:review/critic", "plan:review/critic", "remove:review"} <= set(inside)
    for key, changed in inside.items():
        assert check(changed, tools=writing.signatures) == [], key
    assert inside["remove:review"].hash == start.hash


def test_a_vote_that_is_removed_leaves_a_call_that_answers_once(counting: Task) -> None:
    start = single_call(counting.inputs, counting.outputs, counting.goal, reasoning=False)
    voted = after(counting, start)["vote:answer"]
    once = after(counting, voted)["remove:vote_total"]
    assert once.sketch == start.sketch
    assert once.dump()["parameters"]["answer"].get("samples", 1) == 1


def asking(goal: str) -> Task:
    rows = [{"question": f"q{n}", "answer": "a"} for n in range(3)]
    return Task(
        goal=goal, inputs={"question": "str"}, outputs={"answer": "str"}, metric="exact",
        train=rows[:1], val=rows[1:2], test=rows[2:],
    )  # fmt: skip


def test_a_review_asks_the_model_of_the_step_with_its_tools_and_bounds(counting: Task) -> None:
    data = single_call(counting.inputs, counting.outputs, counting.goal, reasoning=False).dump()
    data["nodes"]["answer"] |= {"model": "pinned", "rounds": 9}
    data["parameters"]["answer"] |= {"model": "openai/local", "max_tokens": 99, "tools": ["count"]}
    reviewed = after(counting, Workflow.from_data(data))["review:answer"]
    node, told = reviewed.sketch.nodes["review"], reviewed.parameter("review")
    assert isinstance(node, LLMNode)
    assert isinstance(told, LLMParameters)
    assert (node.model, node.rounds) == ("pinned", 9)
    assert (told.model, told.max_tokens, told.tools) == ("openai/local", 99, ("count",))


def test_no_change_takes_a_pinned_step_away_or_asks_another_model_in_its_stead() -> None:
    task = asking("Reply.")
    start = fit(find_start("papillon"), task.inputs, task.outputs, task.goal)
    first = after(task, start)
    assert [key for key in first if key.startswith("remove:")] == []
    for key, workflow in first.items():
        calls = [path for path, node in walk(workflow.sketch) if isinstance(node, LLMNode)]
        for path in calls:
            told = workflow.parameter(path)
            assert isinstance(told, LLMParameters)
            assert told.model is not None, f"{key}: {path}"
    refined = first["refine:respond"]
    assert "remove:review" not in after(task, refined)


def test_a_step_of_whose_outputs_several_are_extra_inputs_of_one_reader_can_be_removed() -> None:
    task = asking("Answer.")
    start = fit(find_start("debate"), task.inputs, task.outputs, task.goal)
    removed = after(task, start)["remove:one"]
    assert "one" not in removed.sketch.nodes
    left = ("question", "two.answer", "three.answer", "three.reasoning")
    assert removed.sketch.nodes["two_again"].references() == left


def test_a_step_is_offered_those_tools_alone_that_change_nothing(writing: Task) -> None:
    def send(text: str) -> str:
        """Sends a text."""
        return text

    def post(text: str) -> str:
        """Posts a text."""
        return text

    writers = [tool_of(send, effects="writes"), tool_of(post, effects="writes", simulate=post)]
    both = replace(writing, tools=(*writing.tools, *writers))
    start = single_call(both.inputs, both.outputs, both.goal, reasoning=True)
    used = after(both, start)["use:answer"].parameter("answer")
    assert isinstance(used, LLMParameters)
    assert used.tools == ("count", "post")
    alone = replace(writing, tools=tuple(writers[:1]))
    assert "use:answer" not in after(alone, start)
    assert "tool:send:answer" not in after(alone, start), "a tool that writes for real is not called while searching"


PROMPT = [
    {"role": "system", "content": "You are a clerk who reads orders with care."},
    {"role": "user", "content": "Add up how many items are ordered in all of it.\n\nOrder: {note}\nTotal:"},
]


def test_every_change_can_be_made_of_a_step_with_a_prompt_of_the_users_own(orders: Task) -> None:
    first = after(orders, Workflow.from_prompt(PROMPT, orders))
    assert {"think:answer", "vote:answer", "review:answer", "compute:answer"} <= set(first)
    for key, workflow in first.items():
        assert check(workflow) == [], key


def test_thinking_in_a_prompt_of_ones_own_adds_one_last_part_and_answering_at_once_takes_it_away(orders: Task) -> None:
    start = Workflow.from_prompt(PROMPT, orders)
    thinking = after(orders, start)["think:answer"]
    told, was = thinking.parameter("answer"), start.parameter("answer")
    assert isinstance(told, LLMParameters)
    assert isinstance(was, LLMParameters)
    assert (told.messages, bool(told.format_hint)) == (was.messages, True)
    assert after(orders, thinking)["answer:answer"].parameter("answer") == was


def twice(place: Place) -> Iterator[Change]:
    if isinstance(place, Call):
        edit = Ensemble(id=place.path, samples=2, temperature=0.5, how="judge")
        yield Change("twice", place.path, "Ask twice.", lambda _: [edit])


def test_a_pattern_of_ones_own_stands_beside_or_in_place_of_ours(counting: Task) -> None:
    start = single_call(counting.inputs, counting.outputs, counting.goal, reasoning=True)
    ours = [change.key for change in Catalogue().changes(start, counting)]
    both = [change.key for change in Catalogue((*PATTERNS, twice)).changes(start, counting)]
    assert both == [*ours, "twice:answer"]
    assert [change.key for change in Catalogue((twice,)).changes(start, counting)] == ["twice:answer"]


def test_two_changes_of_one_key_are_the_users_error(counting: Task) -> None:
    start = single_call(counting.inputs, counting.outputs, counting.goal, reasoning=True)
    with pytest.raises(UserError, match="two changes 'twice:answer'"):
        Catalogue((twice, twice)).changes(start, counting)


@given(workflow_data())
def test_changes_of_any_workflow_are_valid_or_refused_and_about_steps_that_are_not_frozen(data: dict[str, Any]) -> None:
    workflow, task = Workflow.from_data(data), asking("Answer.")
    steps = {path for path, _ in walk(workflow.sketch) if not is_frozen(workflow.sketch, path)}
    for change in Catalogue().changes(workflow, task, StepModels("fake/a", {"fake/a": 1.0, "fake/b": 2.0})):
        assert change.place in steps
        assert change.key.startswith(f"{change.kind}:")
        try:
            changed = applied(workflow, change.build(stand_in(change)), tools=TOOLS).after
        except EditError:
            continue
        assert changed.sketch.outputs.keys() == workflow.sketch.outputs.keys()
