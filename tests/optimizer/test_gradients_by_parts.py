"""Gradients by parts: who is asked of what, in one question a call, and where the flow stops."""

from __future__ import annotations

from pathlib import Path

import pytest
from gradients_help import NOT_HERE, blaming, everything, flow, gradients_of, llm, said, step_of
from proposer_help import Roles

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
