"""One adopted change is taken back, and those after it stay; or there is no such program."""

from __future__ import annotations

from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from flowbot.optimizer.belief import Belief
from flowbot.optimizer.catalogue.catalogue import Catalogue
from flowbot.optimizer.population import Candidate
from flowbot.optimizer.structure.undo import without
from flowbot.run.events import Arm
from flowbot.runtime.program import WorkflowProgram
from flowbot.task import Task
from flowbot.workflow.check import check
from flowbot.workflow.edits.applying import apply
from flowbot.workflow.edits.draft import EditError
from flowbot.workflow.parameters import LLMParameters
from flowbot.workflow.starts import single_call
from flowbot.workflow.workflow import Workflow


def count(text: str) -> int:
    """Counts the words of a text."""
    return len(text.split())


ROWS = [{"note": f"note {n}", "total": n} for n in range(9)]
TASK = Task(
    goal="Count the words.", inputs={"note": "str"}, outputs={"total": "int"}, metric="numeric",
    train=ROWS[:3], val=ROWS[3:6], test=ROWS[6:], tools=[count],
)  # fmt: skip
TOOLS = {"count": TASK.tools[0].signature}
START = single_call(TASK.inputs, TASK.outputs, TASK.goal, reasoning=False)


def lineage(*workflows: Workflow) -> list[Candidate[WorkflowProgram]]:
    chain: list[Candidate[WorkflowProgram]] = []
    for number, workflow in enumerate(workflows):
        parent = chain[-1] if chain else None
        chain.append(Candidate(f"p{number}", WorkflowProgram(workflow), parent, Arm(kind="test"), Belief(0.0, 0.1)))
    return chain


def changed(workflow: Workflow, key: str) -> Workflow:
    (change,) = [each for each in Catalogue().changes(workflow, TASK) if each.key == key]
    return apply(workflow, change.build(change.prior_code), tools=TOOLS)


def told(workflow: Workflow, path: str, **members: Any) -> Workflow:
    was = workflow.parameter(path)
    assert isinstance(was, LLMParameters)
    return workflow.with_parameter(path, was.model_copy(update=members))


def test_the_last_change_taken_back_is_the_program_before_it() -> None:
    for key in ("vote:answer", "review:answer", "think:answer", "compute:answer", "tool:count:answer", "use:answer"):
        chain = lineage(START, changed(START, key))
        found = without(chain, 1, TASK)
        assert found is not None, key
        assert found.hash == chain[0].program.hash, key


def test_a_structure_goes_and_what_was_tuned_after_it_stays() -> None:
    voted = changed(START, "vote:answer")
    tuned = told(voted, "answer", instruction="Count with care.")
    found = without(lineage(START, voted, tuned), 1, TASK)
    assert found is not None
    assert found.hash == WorkflowProgram(told(START, "answer", instruction="Count with care.")).hash


def test_a_step_that_was_added_goes_with_what_it_was_told_since() -> None:
    reviewed = changed(START, "review:answer")
    tuned = told(reviewed, "review", instruction="Look twice.")
    thinking = changed(tuned, "think:answer")
    found = without(lineage(START, reviewed, tuned, thinking), 1, TASK)
    assert found is not None
    assert found.hash == changed(START, "think:answer").hash


def test_a_text_goes_and_the_structure_made_after_it_stays() -> None:
    tuned = told(START, "answer", format_hint="Write a number.")
    voted = changed(tuned, "vote:answer")
    found = without(lineage(START, tuned, voted), 1, TASK)
    assert found is not None
    assert found.hash == changed(START, "vote:answer").hash


def test_what_a_later_change_rests_on_or_wrote_over_is_not_taken_back() -> None:
    first = told(START, "answer", instruction="Count.")
    second = told(first, "answer", instruction="Count again.")
    assert without(lineage(START, first, second), 1, TASK) is None
    planned = changed(START, "plan:answer")
    on_the_plan = changed(planned, "review:answer")
    assert "plan.plan" in on_the_plan.sketch.nodes["review"].references()
    assert without(lineage(START, planned, on_the_plan), 1, TASK) is None


def test_what_is_gone_already_is_not_taken_back() -> None:
    voted = changed(START, "vote:answer")
    assert without(lineage(START, voted, START), 1, TASK) is None


@given(st.lists(st.integers(0, 10**6), min_size=2, max_size=5), st.integers(0, 10**6))
def test_whatever_is_taken_back_the_result_solves_the_task(picks: list[int], which: int) -> None:
    workflows = [START]
    for pick in picks:
        found = Catalogue().changes(workflows[-1], TASK)
        change = found[pick % len(found)]
        try:
            workflows.append(apply(workflows[-1], change.build(change.prior_code), tools=TOOLS))
        except EditError:
            continue
    assume(len(workflows) > 1)
    chain = lineage(*workflows)
    index = 1 + which % (len(chain) - 1)
    program = without(chain, index, TASK)
    if index == len(chain) - 1:
        assert program is not None
        assert program.hash == chain[-2].program.hash
    if program is not None:
        assert check(program.workflow, tools=TOOLS, task_inputs=TASK.inputs, task_outputs=TASK.outputs) == []
