"""Layer-wise gradients: who is asked, in which order, with whose feedback."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from proposer_help import Roles, drawn, task_of
from search_help import searching

from flowbot.optimizer.feedback.backward import backward, backward_all, feedback_on, most_questions
from flowbot.optimizer.paper.layerwise import Layerwise
from flowbot.optimizer.search import Search
from flowbot.optimizer.textgrad.proposer import TextGrad
from flowbot.runtime.evaluation import Row
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
TASK = task_of([{"q": f"q{n}", "a": "silver"} for n in range(2)])


def step_of(prompt: str) -> str:
    return prompt.replace("of step `", "Step `").split("Step `")[1].split("`")[0]


def scripted() -> Roles:
    return Roles(lambda name, _: name, lambda prompt: f"feedback on {step_of(prompt)}")


async def run_of(search: Search) -> Row:
    await search.run(search.start, search.rows[:1], "train")
    return search.recorded(search.start, search.rows)[0]


async def test_gradients_go_backward_layer_by_layer_and_join_all_successors(tmp_path: Path) -> None:
    asked = scripted()
    async with searching(TASK, Workflow.from_data(FLOW), asked, tmp_path) as search:
        gradients = await backward(search, search.start, await run_of(search))
    assert list(gradients) == ["join", "right", "left", "plan"]
    assert {step_of(prompt) for prompt in asked.prompts} == {"plan", "left", "right"}, "a merge costs no call"
    (plan,) = [prompt for prompt in asked.prompts if step_of(prompt) == "plan"]
    assert plan.index("feedback on left") < plan.index("feedback on right")
    (left,) = [prompt for prompt in asked.prompts if step_of(prompt) == "left"]
    assert "silver" in left, "what was expected reaches the steps before a last step that nothing tunes"


async def test_feedback_names_what_it_came_from_and_who_said_it_and_is_not_journalled_yet(tmp_path: Path) -> None:
    async with searching(TASK, Workflow.from_data(FLOW), scripted(), tmp_path) as search:
        row = await run_of(search)
        said = await backward(search, search.start, row)
        again = await backward(search, search.start, row)
        assert search.journal.events() == []
    assert said["plan"][0].after == (said["left"][0].id, said["right"][0].id)
    assert said["left"][0].after == (said["join"][0].id,)
    assert (said["join"][0].source, said["left"][0].source) == ("rule", "meta")
    assert {each.example for call in said.values() for each in call} == {row.example.id}
    assert again == said, "the same is said under the same id"


async def test_for_one_step_only_the_calls_from_it_to_the_end_are_asked_about(tmp_path: Path) -> None:
    asked = scripted()
    async with searching(TASK, Workflow.from_data(FLOW), asked, tmp_path) as search:
        row = await run_of(search)
        gradients = await backward(search, search.start, row, until="left")
        assert most_questions(search.start, row) == 3
    assert list(gradients) == ["join", "left"]
    assert [step_of(prompt) for prompt in asked.prompts] == ["left"]


async def test_the_question_about_a_step_does_not_depend_on_how_far_back_one_goes(tmp_path: Path) -> None:
    whole, part = scripted(), scripted()
    for asked, until in ((whole, None), (part, "right")):
        async with searching(TASK, Workflow.from_data(FLOW), asked, tmp_path) as search:
            await backward(search, search.start, await run_of(search), until=until)
    assert part.prompts == [each for each in whole.prompts if step_of(each) == "right"]


async def test_what_the_meta_model_failed_to_say_is_left_out(tmp_path: Path) -> None:
    asked = Roles(lambda name, _: name, lambda prompt: "" if step_of(prompt) == "left" else "wrong")
    async with searching(TASK, Workflow.from_data(FLOW), asked, tmp_path) as search:
        gradients = await backward(search, search.start, await run_of(search))
    assert list(gradients) == ["join", "right", "plan"]
    assert gradients["plan"][0].after == (gradients["right"][0].id,)


async def test_where_nobody_said_anything_of_what_a_call_gave_it_is_not_asked_about(tmp_path: Path) -> None:
    asked = Roles(lambda name, _: name, lambda _: "")
    async with searching(TASK, Workflow.from_data(FLOW), asked, tmp_path) as search:
        gradients = await backward(search, search.start, await run_of(search))
    assert list(gradients) == ["join"]
    assert {step_of(prompt) for prompt in asked.prompts} == {"left", "right"}


CHAIN: dict[str, Any] = {
    **FLOW,
    "outputs": {"a": "answer.a"},
    "nodes": {
        "plan": {"kind": "llm", "in": {"q": "q"}, "out": {"plan": "str"}},
        "copy": {"kind": "llm", "in": {"plan": "plan.plan"}, "out": {"copy": "str"}},
        "answer": {"kind": "llm", "in": {"copy": "copy.copy"}, "out": {"a": "str"}},
    },
    "parameters": {name: {"instruction": f"You are {name}."} for name in ("plan", "copy", "answer")},
}


def asking(silent: tuple[str, ...]) -> Roles:
    def meta(prompt: str) -> str:
        return "No change." if step_of(prompt) in silent else f"feedback on {step_of(prompt)}"

    return Roles(lambda name, _: name, meta)


@pytest.mark.parametrize(
    ("silent", "shown"),
    [
        (("copy",), "Feedback on `copy`: No change.\nOf `answer`: feedback on answer"),
        (("copy", "answer"), "Feedback on `copy`: No change.\nExpected of the workflow: a: silver. Score: 0.00"),
        (("answer",), "Feedback on `copy`: feedback on copy"),
    ],
)
async def test_the_loss_reaches_the_step_before_one_that_only_carried_a_fault_on(
    tmp_path: Path, silent: tuple[str, ...], shown: str
) -> None:
    asked = asking(silent)
    async with searching(TASK, Workflow.from_data(CHAIN), asked, tmp_path) as search:
        gradients = await backward(search, search.start, await run_of(search))
    (plan,) = [prompt for prompt in asked.prompts if step_of(prompt) == "plan"]
    assert shown in plan
    (copy,) = [prompt for prompt in asked.prompts if step_of(prompt) == "copy"]
    assert ("silver" in copy) == ("answer" in silent), "who is told something by a later step is told that alone"
    assert [each.text for each in gradients["copy"]] == ["No change." if "copy" in silent else "feedback on copy"]


async def test_of_a_right_run_nothing_is_carried_on(tmp_path: Path) -> None:
    asked = asking(("answer", "copy", "plan"))
    asked.step = lambda name, _: "silver" if name == "answer" else name
    async with searching(TASK, Workflow.from_data(CHAIN), asked, tmp_path) as search:
        await backward(search, search.start, await run_of(search))
    assert sum("silver" in prompt for prompt in asked.prompts if step_of(prompt) == "copy") == 1, "as what it gave"
    assert not any("Expected" in prompt for prompt in asked.prompts if step_of(prompt) != "answer")


@pytest.mark.parametrize("parts", [False, True])
@pytest.mark.parametrize(
    ("frozen", "asked_about"),
    [
        (["plan"], {"copy", "answer"}),
        (["plan", "copy"], {"answer"}),
        (["copy"], {"plan", "copy", "answer"}),
        (["answer"], {"plan", "copy", "answer"}),
        (["plan", "copy", "answer"], set[str]()),
    ],
)
async def test_what_nothing_that_may_be_changed_goes_into_is_not_asked_about(
    tmp_path: Path, frozen: list[str], asked_about: set[str], parts: bool
) -> None:
    nodes = {name: node | {"frozen": name in frozen} for name, node in CHAIN["nodes"].items()}

    def meta(prompt: str) -> Any:
        names = [name for name in ("instruction", "format_hint", "input_copy", "input_plan") if f"- {name}" in prompt]
        return dict.fromkeys(names, "wrong") if parts else "wrong"

    asked = Roles(lambda name, _: name, meta)
    async with searching(TASK, Workflow.from_data({**CHAIN, "nodes": nodes}), asked, tmp_path) as search:
        search.meta_mode, row = "large", await run_of(search)
        gradients = await backward(search, search.start, row, parts=parts)
        assert most_questions(search.start, row, parts=parts) == len(asked.prompts)
    assert {step_of(prompt) for prompt in asked.prompts} == asked_about
    assert set(gradients) == asked_about


async def test_gradients_of_several_runs_come_in_the_order_of_the_rows(tmp_path: Path) -> None:
    async with searching(TASK, Workflow.from_data(FLOW), scripted(), tmp_path) as search:
        await search.run(search.start, search.rows, "train")
        rows = search.recorded(search.start, search.rows)
        found = await backward_all(search, search.start, rows)
    assert [each["plan"][0].example for each in found] == [row.example.id for row in rows]
    assert [each.example for each in feedback_on("plan", rows, found)] == [row.example.id for row in rows]


@pytest.mark.parametrize(("kind", "proposer"), [("layerwise", Layerwise()), ("textgrad", TextGrad())])
async def test_no_new_text_is_asked_for_where_all_feedback_says_that_the_fault_lies_elsewhere(
    tmp_path: Path, kind: str, proposer: Layerwise | TextGrad
) -> None:
    def meta(prompt: str) -> str:
        if not prompt.startswith("A step of an LLM workflow"):
            return f"You are {step_of(prompt)}. Say silver."
        if step_of(prompt) == "plan":
            return "No change."
        return "say silver" if "q: q0" in prompt or step_of(prompt) == "right" else "no change"

    asked = Roles(lambda name, _: name, meta)
    async with searching(TASK, Workflow.from_data(FLOW), asked, tmp_path) as search:
        await search.run(search.start, search.rows, "train")
        made = await drawn(proposer, search, kind)
    texts = [prompt for prompt in asked.prompts if not prompt.startswith("A step of an LLM workflow")]
    assert [step_of(prompt) for prompt in texts] == ["right"]
    assert made.edits == ("right: new instruction",)
    assert {each.text for each in made.feedback if each.id in made.because} == {"say silver"}
    assert "No change." in {each.text for each in made.feedback}, "it is journalled all the same"


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
    return Workflow.from_data(data)


async def test_gradients_unroll_loops_and_fan_out_over_maps(tmp_path: Path) -> None:
    asked = scripted()
    async with searching(TASK, looping(), asked, tmp_path) as search:
        row = await run_of(search)
        assert row.trace.outputs is not None
        gradients = await backward(search, search.start, row)
    assert list(gradients) == [
        "refine/glue[2]", "refine/each[2]/say[2]", "refine/each[2]/say[1]", "refine/better[2]",
        "refine/glue[1]", "refine/each[1]/say[2]", "refine/each[1]/say[1]", "refine/better[1]", "words",
    ]  # fmt: skip
    (second,) = [prompt for prompt in asked.prompts if step_of(prompt) == "refine/better[2]"]
    (glue,) = [prompt for prompt in asked.prompts if step_of(prompt) == "refine/glue[1]"]
    assert second.index("feedback on refine/each[2]/say[1]") < second.index("feedback on refine/each[2]/say[2]")
    assert "feedback on refine/better[2]" in glue, "what a step carries over links it to the next step"
    assert len(feedback_on("refine/each/say", [row], [gradients])) == 4


async def test_for_a_step_in_a_loop_the_later_rounds_are_asked_about_too(tmp_path: Path) -> None:
    async with searching(TASK, looping(), scripted(), tmp_path) as search:
        gradients = await backward(search, search.start, await run_of(search), until="refine/glue")
    assert list(gradients) == [
        "refine/glue[2]", "refine/each[2]/say[2]", "refine/each[2]/say[1]", "refine/better[2]", "refine/glue[1]",
    ]  # fmt: skip


async def test_of_a_long_loop_the_last_steps_are_asked_about(tmp_path: Path) -> None:
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
    asked = scripted()
    async with searching(TASK, Workflow.from_data(data), asked, tmp_path) as search:
        gradients = await backward(search, search.start, await run_of(search))
    assert list(gradients) == ["end", *(f"refine/better[{step}]" for step in (6, 5, 4, 3))]
    (last,) = [prompt for prompt in asked.prompts if step_of(prompt) == "refine/better[6]"]
    assert "feedback on end" in last
