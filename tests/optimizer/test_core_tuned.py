"""A program in words is tuned like any text: gradients reach its steps and what stands before it, and a rewrite with a defect is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from gradients_help import TASK, everything, flow, llm, parts_asked, run_of, step_of
from proposer_help import Roles
from search_help import searching

from flowbot.optimizer.feedback.backward import backward, feedback_on
from flowbot.optimizer.parameters.accept import accepted
from flowbot.optimizer.parameters.step_change import text_steps
from flowbot.optimizer.parameters.update import update_all
from flowbot.optimizer.parameters.wording import Wording
from flowbot.optimizer.search import Search
from flowbot.optimizer.step_view import call_view
from flowbot.workflow.parameters import CoreParameters
from flowbot.workflow.workflow import Workflow

PROGRAM = "Find:::process:::Find the metal:::next::Say\nSay:::terminal:::Say it alone:::\n"
BETTER = "Find:::process:::Find the metal that is asked for:::next::Say\nSay:::terminal:::Say its name alone:::"


def program(text: str = PROGRAM) -> Workflow:
    nodes = {
        "first": llm(q="q"),
        "plan": {"kind": "core", "in": {"x": "first.a", "q": "q"}, "out": {"a": "str"}},
        "last": llm(x="plan.a"),
    }
    return flow(nodes, "last.a", {"plan": {"program": text}})


def named(name: str, _: Any) -> str:
    return name


async def test_feedback_goes_from_the_reader_through_the_steps_to_what_the_program_was_handed(tmp_path: Path) -> None:
    def meta(prompt: str) -> Any:
        if prompt.startswith("The user carries out"):
            return "copper"
        return {part: everything(step_of(prompt), part, "") for part in parts_asked(prompt)}

    asked = Roles(named, meta)
    async with searching(TASK, program(), asked, tmp_path) as search:
        search.meta_mode = "large"
        row = await run_of(search)
        gradients = await backward(search, search.start, row, parts=True)
        calls = [step for step in row.trace.steps if step.kind == "model"]
        assert [call_view(program(), each).tuned for each in calls] == [True, True]
        assert feedback_on("plan", [row], [gradients])
    assert list(gradients) == ["last", "plan/say[1]", "plan/find[1]", "first"]
    assert [each.part for each in gradients["plan/say[1]"]] == ["", "plan", "in.first", "in.find"]
    assert "Find the metal" in next(each for each in asked.asked("One call") if step_of(each) == "plan/say")


async def test_a_program_is_a_slot_whose_rewrite_is_taken_only_without_a_defect(tmp_path: Path) -> None:
    async with searching(TASK, program(), Roles(named, lambda _: {}), tmp_path) as search:
        assert [(each.path, each.kind) for each in search.start.slots()] == [
            ("first", "llm"),
            ("plan", "core"),
            ("last", "llm"),
        ]
        assert Wording.of(program(), "plan").what == "program"
        assert take(search, f"```\n{BETTER}\n```") == (BETTER, "")
        assert take(search, PROGRAM) == (PROGRAM, "")
        assert take(search, BETTER.replace("::Say", "::Tell")) == (
            None,
            "parameters.plan.program, line 1: there is no step 'Tell'",
        )
        assert take(search, "Do it well.")[1].startswith("parameters.plan.program, line 1: 'Do it well.' is no step")
        assert take(search, BETTER + "x" * 8000)[1].startswith("parameters.plan.program: 8,")


def take(search: Search, reply: str) -> tuple[str | None, str]:
    new, fault = accepted(search, program(), "plan", reply, question="Improve it.", limit=80)
    assert new is None or isinstance(new, CoreParameters)
    return None if new is None else new.program, fault


@pytest.mark.parametrize("reply", [BETTER, "Say it well."])
async def test_all_steps_are_told_something_new_from_the_gradients_of_a_run(reply: str, tmp_path: Path) -> None:
    asked = Roles(named, lambda prompt: reply if prompt.startswith("Improve the program") else "Say the metal.")
    async with searching(TASK, program(), asked, tmp_path) as search:
        row = await run_of(search)
        assert text_steps(search.start, [row]) == ["first", "last"]
        assert text_steps(search.start, [row], whole=True) == ["first", "plan", "last"]
        found = await update_all(search, search.start, [row], "new texts")
    assert found.program is not None
    told = found.program.workflow.parameter("plan")
    assert isinstance(told, CoreParameters)
    assert told.program == (BETTER if reply is BETTER else PROGRAM)
    assert ("plan: new program" in found.edits) is (reply is BETTER)
    assert [each.partition(",")[0] for each in found.faults] == (
        [] if reply is BETTER else ["plan: parameters.plan.program"]
    )
