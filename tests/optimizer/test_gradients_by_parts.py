"""Gradients by parts: who is asked of what, where the flow stops, and what functional steps pass on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from proposer_help import Roles, task_of
from search_help import searching

from flowbot.optimizer.feedback.backward import Gradients, backward
from flowbot.optimizer.search import Search
from flowbot.runtime.evaluation import Row
from flowbot.testing.fake import ReplyContent
from flowbot.workflow.workflow import Workflow

TASK = task_of([{"q": f"q{n}", "a": "silver"} for n in range(4)])
NOT_HERE = "not here"


def flow(nodes: dict[str, Any], output: str, parameters: dict[str, Any] | None = None) -> Workflow:
    """A workflow from `q` to `a`; every LLM call is told who it is."""
    said = {path: {"instruction": f"You are {path.rpartition('/')[2]}."} for path in _asking(nodes)}
    data = {"inputs": {"q": "str"}, "outputs": {"a": output}, "nodes": nodes, "parameters": said | (parameters or {})}
    return Workflow.from_data({"flowbot": 1, **data})


def _asking(nodes: dict[str, Any], path: str = "") -> list[str]:
    found: list[str] = []
    for name, node in nodes.items():
        asks = node["kind"] == "llm" or (node["kind"] == "branch" and isinstance(node["ways"], list))
        found += [path + name] if asks or node.get("how") == "judge" else []
        found += _asking(node.get("nodes", {}), f"{path}{name}/")
    return found


def llm(out: str = "str", **inputs: str) -> dict[str, Any]:
    return {"kind": "llm", "in": inputs, "out": {"a": out}}


def step_of(prompt: str) -> str:
    return prompt.split("Step `")[1].split("`")[0]


def parts_asked(prompt: str) -> list[str]:
    """Names of the parts that a question offers."""
    listed = prompt.split("Parts:\n")[1].split("\n\n")[0].splitlines()
    return [line.split(":")[0].split(" (")[0].removeprefix("- ") for line in listed if line.startswith("- ")]


def blaming(said: Callable[[str, str, str], str]) -> Roles:
    """A meta model that says of every part of a question what `said` makes of the step, the part and the question."""
    return Roles(
        lambda name, _: name,
        lambda prompt: {part: said(step_of(prompt), part, prompt) for part in parts_asked(prompt)},
    )


def everything(step: str, part: str, _: str) -> str:
    return f"bad {part} of {step}"


async def gradients_of(
    workflow: Workflow, asked: Callable[[Any], ReplyContent], folder: Path, **how: Any
) -> tuple[Gradients, Row]:
    async with searching(TASK, workflow, asked, folder) as search:
        search.meta_mode = how.pop("mode", "large")
        row = await run_of(search)
        found = await backward(search, search.start, row, parts=True, **how)
        assert search.journal.events() == []
    return found, row


async def run_of(search: Search) -> Row:
    await search.run(search.start, search.rows[:1], "train")
    return search.recorded(search.start, search.rows)[0]


def said(gradients: Gradients) -> dict[str, dict[str, str]]:
    return {address: {each.part: each.text for each in call} for address, call in gradients.items()}


CHAIN = {"plan": llm(q="q"), "look": llm(plan="plan.a"), "answer": llm(found="look.a", q="q")}


async def test_a_call_has_feedback_on_what_it_gave_its_parameters_and_the_inputs_that_calls_gave(
    tmp_path: Path,
) -> None:
    asked = blaming(everything)
    gradients, row = await gradients_of(flow(CHAIN, "answer.a"), asked, tmp_path)
    assert list(gradients) == ["answer", "look", "plan"]
    assert [each.part for each in gradients["answer"]] == ["", "instruction", "format_hint", "in.found"]
    assert [each.part for each in gradients["plan"]] == ["", "instruction", "format_hint"]
    assert len(asked.prompts) == 3, "one question a call"
    assert "silver" in gradients["answer"][0].text
    assert said(gradients)["look"][""] == "`answer`, of its input found: bad input_found of answer"
    assert said(gradients)["plan"][""] == "`look`, of its input plan: bad input_plan of look"
    assert all(each.example == row.example.id and each.about for call in gradients.values() for each in call)


async def test_feedback_names_what_it_came_from(tmp_path: Path) -> None:
    gradients, _ = await gradients_of(flow(CHAIN, "answer.a"), blaming(everything), tmp_path)
    by_part = {(each.place, each.part): each for call in gradients.values() for each in call}
    assert by_part["answer", ""].after == ()
    assert by_part["answer", "in.found"].after == (by_part["answer", ""].id,)
    assert by_part["look", ""].after == (by_part["answer", "in.found"].id,)
    assert {each.source for call in gradients.values() for each in call if each.part == ""} == {"rule"}
    assert {each.source for call in gradients.values() for each in call if each.part} == {"meta"}


@pytest.mark.parametrize("words", [NOT_HERE, "Not here.", "", "no change", "none", "not here: the input is fine"])
async def test_where_no_feedback_arrives_nothing_is_asked(words: str, tmp_path: Path) -> None:
    asked = blaming(lambda step, part, _: words if part.startswith("input") else f"bad {part} of {step}")
    gradients, _ = await gradients_of(flow(CHAIN, "answer.a"), asked, tmp_path)
    assert list(gradients) == ["answer"]
    assert len(asked.prompts) == 1


async def test_a_small_model_is_asked_for_one_part_and_one_short_text(tmp_path: Path) -> None:
    asked = Roles(
        lambda name, _: name,
        lambda prompt: {"fault": "too long", "part": "input_found" if step_of(prompt) == "answer" else "instruction"},
    )
    gradients, _ = await gradients_of(flow(CHAIN, "answer.a"), asked, tmp_path, mode="small")
    assert [(address, [each.part for each in call]) for address, call in gradients.items()] == [
        ("answer", ["", "in.found"]),
        ("look", ["", "instruction"]),
    ]
    assert said(gradients)["answer"]["in.found"] == "too long"
    asked = Roles(lambda name, _: name, lambda _: {"fault": "nobody knows", "part": "none"})
    gradients, _ = await gradients_of(flow(CHAIN, "answer.a"), asked, tmp_path / "none", mode="small")
    assert [each.part for each in gradients["answer"]] == [""]


async def test_a_right_run_asks_nothing(tmp_path: Path) -> None:
    asked = Roles(lambda name, _: "silver", lambda _: "?")
    gradients, _ = await gradients_of(flow(CHAIN, "answer.a"), asked, tmp_path)
    assert gradients == {}
    assert asked.prompts == []
