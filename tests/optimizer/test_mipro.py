"""MIPROv2, of the package DSPy: what it reads of our steps, what becomes of what it chooses, and that no ceiling is passed."""

from __future__ import annotations

import logging
import os
import re
from contextvars import copy_context
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from package_world import KNOWN, Model, flow, journal, of, offer, run, searched, task_of
from search_help import searching

import flowbot as fb
from flowbot.fields import InfrastructureError
from flowbot.lm.client import Request
from flowbot.optimizer.admission import Admissions
from flowbot.optimizer.belief import Belief
from flowbot.optimizer.method import Sizes
from flowbot.optimizer.packages.bridge import Bridge
from flowbot.optimizer.packages.dspy_quiet import quiet_dspy
from flowbot.optimizer.packages.mipro import Mipro, setting
from flowbot.optimizer.packages.steps import ROW, steps, with_demonstrations
from flowbot.optimizer.packages.trials import Trials
from flowbot.optimizer.packages.tuning import PackageProposer
from flowbot.optimizer.seams import Focus, Pick
from flowbot.optimizer.search import Search
from flowbot.run.events import Proposal, Verdict
from flowbot.run.journal import read_events
from flowbot.runtime.program import WorkflowProgram
from flowbot.runtime.together import all_of
from flowbot.testing.fake import ReplyContent
from flowbot.workflow.parameters import Demonstration, LLMParameters
from flowbot.workflow.workflow import Workflow

NONE = Belief(0.0, 0.0)


# what needs no package


def test_the_highest_level_is_taken_whose_calls_fit() -> None:
    assert setting(5000, 40, 40, 1, 1).auto == "heavy"
    assert setting(500, 40, 40, 1, 1).auto == "light"
    assert setting(500, 40, 40, 1, 4).auto is None, "four steps take more trials"
    assert setting(20, 40, 40, 1, 1).rows < 40
    assert setting(0, 1, 1, 5, 3).rows == 1


@given(
    calls=st.integers(0, 3000),
    train=st.integers(1, 200),
    val=st.integers(1, 300),
    row=st.integers(1, 9),
    of_step=st.integers(1, 5),
)
def test_whatever_fits_is_a_setting(calls: int, train: int, val: int, row: int, of_step: int) -> None:
    chosen = setting(calls, train, val, row, of_step)
    assert 1 <= chosen.rows <= val
    assert chosen.trials >= 1
    assert chosen.candidates >= 2


@pytest.mark.parametrize(("names", "samples"), [(["answer"], 5), (["plan", "answer"], 1), (["plan", "answer"], 3)])
def test_its_trials_follow_the_steps_that_it_tunes_and_not_the_calls_of_a_row(names: list[str], samples: int) -> None:
    program = WorkflowProgram(flow(*names, answer={"samples": samples, "temperature": 0.7}))
    sizes = Sizes(40, 40, 0, len(names) - 1 + samples, 600)
    expected = setting(600, 40, 40, sizes.start_calls, len(names))
    assert Mipro().validates(program, sizes) == expected.rows
    assert samples == 1 or expected != setting(600, 40, 40, sizes.start_calls, sizes.start_calls)


def test_steps_have_fields_that_are_told_apart_and_know_which_are_the_tasks() -> None:
    data = flow("plan", "answer").dump()
    data["nodes"]["answer"] = {"kind": "llm", "in": {"a": "plan.a", "q": "q"}, "out": {"a": "str"}}
    plan, answer = steps(WorkflowProgram(Workflow.from_data(data)))
    assert (dict(plan.inputs), dict(plan.outputs)) == ({"q": "q"}, {"a": ("a", "")})
    assert (dict(answer.inputs), dict(answer.outputs)) == ({"a": "", "q": "q"}, {"new_a": ("a", "a")})
    assert answer.demonstration({"augmented": True, "a": "1", "q": "2", "new_a": "3", ROW: "r"}) == Demonstration(
        inputs={"a": "1", "q": "2"}, outputs={"a": "3"}, example="r"
    )
    assert answer.demonstration({"q": "2", "a": "3", ROW: "r"}) is None, (
        "a row of the task does not tell what the plan was"
    )


def test_a_row_of_the_task_is_a_demonstration_of_a_lone_step() -> None:
    (step,) = steps(WorkflowProgram(flow("answer")))
    assert step.demonstration({"q": "2", "a": "3", ROW: "r"}) == Demonstration(
        inputs={"q": "2"}, outputs={"a": "3"}, example="r"
    )


# the package

needs_dspy = pytest.mark.skipif(
    any(find_spec(each) is None for each in ("dspy", "optuna")), reason="the extra dspy is not installed"
)


@pytest.fixture(autouse=True)
def told_how(monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch)


class Writer(Model):
    """A meta model that answers every question of DSPy with the same text."""

    def __init__(self, text: str = f"You are answer. {KNOWN}") -> None:
        super().__init__("-")
        self.text = text

    def __call__(self, request: Request) -> ReplyContent:
        said = super().__call__(request)
        return said if request.schema is None else dict.fromkeys(request.schema["properties"], self.text)


async def tuned(search: Search, **more: Any) -> tuple[Trials, str | None]:
    start, bridge = search.population.start, Bridge()
    proposer = PackageProposer(Mipro())
    pick = Pick(start, proposer, Focus(proposer.change(start.program), 0, NONE, NONE))
    options: dict[str, Any] = {"train": search.training, "val": search.validation, "seed": 1, "journal": Admissions()}
    trials = Trials(bridge, search, start, pick=pick, **(options | more))
    return trials, await bridge.run(lambda: Mipro().tune(trials))


def told(program: WorkflowProgram, path: str = "answer") -> LLMParameters:
    parameters = program.workflow.parameter(path)
    assert isinstance(parameters, LLMParameters)
    return parameters


@needs_dspy
async def test_it_chooses_the_instruction_that_validation_is_better_with(tmp_path: Path) -> None:
    async with searching(task_of(), flow("answer"), Writer(), tmp_path, planned=150) as search:
        trials, _ = await tuned(search)
    assert trials.best is not None
    assert told(trials.best.program).instruction == f"You are answer. {KNOWN}"
    assert trials.mean(trials.best) == 1.0


@needs_dspy
async def test_its_demonstrations_are_of_training_rows_and_name_them(tmp_path: Path) -> None:
    async with searching(task_of(), flow("answer"), Writer(), tmp_path, planned=150) as search:
        await tuned(search)
        shown = [each for one in search.population.members for each in told(one.program).demonstrations]
        assert shown
        assert {each.example for each in shown} <= set(search.training)
        rows = {each.id: each for each in search.examples(search.training)}
    assert all(each.inputs == rows[each.example].inputs for each in shown)


@needs_dspy
async def test_of_several_steps_each_has_demonstrations_of_its_own_calls(tmp_path: Path) -> None:
    async with searching(task_of(), flow("plan", "answer"), Writer(), tmp_path, planned=400) as search:
        await tuned(search)
        members = [one.program for one in search.population.members]
    assert any(told(each, "plan").demonstrations for each in members)
    for each in members:
        assert all(set(one.inputs) == {"q"} for one in told(each, "plan").demonstrations)
        assert all(set(one.inputs) == {"q", "before"} for one in told(each, "answer").demonstrations)


@needs_dspy
@pytest.mark.parametrize("mode", ["real", "blind"])
async def test_the_meta_model_reads_what_the_controls_leave(tmp_path: Path, mode: Any) -> None:
    model = Writer("You are answer. Hm.")
    async with searching(task_of(), flow("answer"), model, tmp_path, planned=60) as search:
        search.feedback_mode = mode
        await tuned(search)
    assert "number 3" in model.prompts[0]
    assert ("silver" in "\n".join(model.prompts)) == (mode == "real")
    assert ROW not in "\n".join(model.prompts)


@needs_dspy
@pytest.mark.parametrize("mode", ["real", "shuffled"])
async def test_shuffled_tells_of_each_row_what_was_expected_of_another(tmp_path: Path, mode: Any) -> None:
    model = Writer("You are answer. Hm.")
    async with searching(task_of(), flow("answer"), model, tmp_path, planned=60) as search:
        search.feedback_mode = mode
        await tuned(search)
    told_of = re.findall(r"'number (\d+)', 'a': '(\w+)'", "\n".join(model.prompts))
    assert told_of
    assert {(metal == "silver") == (int(number) % 2 == 1) for number, metal in told_of} == {mode == "real"}


@needs_dspy
async def test_an_instruction_that_cannot_stand_scores_nothing_and_is_journalled_with_its_defect(
    tmp_path: Path,
) -> None:
    async with searching(task_of(), flow("answer"), Writer("  "), tmp_path, planned=150) as search:
        trials, _ = await tuned(search)
        ran = {each.hash for each in (one.program for one in search.population.members)}
    proposals = of(read_events(tmp_path / "journal.jsonl"), Proposal)
    assert any(each.faults for each in proposals)
    assert {each.program for each in proposals if each.program} <= ran
    assert trials.best is None or not told(trials.best.program).instruction.isspace()


@needs_dspy
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(planned=st.integers(1, 90), train=st.integers(1, 9), val=st.integers(1, 9), count=st.integers(1, 2))
async def test_no_plan_is_passed(tmp_path_factory: Any, planned: int, train: int, val: int, count: int) -> None:
    names = ("plan", "answer")[-count:]
    async with searching(
        task_of(train, val), flow(*names), Writer(), tmp_path_factory.mktemp("r"), planned=planned
    ) as search:
        await tuned(search)
        assert sum(search.session.ledger.calls.values()) <= planned


@needs_dspy
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(most=st.integers(0, 60), rows=st.integers(1, 6))
async def test_inside_an_outer_loop_no_more_is_taken_than_was_allowed_and_validation_is_not_seen(
    tmp_path_factory: Any, most: int, rows: int
) -> None:
    async with searching(task_of(), flow("answer"), Writer(), tmp_path_factory.mktemp("run")) as search:
        ids = search.training[:rows]
        await tuned(search, train=ids, val=ids, most=most, journal=None)
        assert sum(search.session.ledger.calls.values()) <= most
        assert set(search.session.ledger.calls) <= {"train", "proposals"}


@needs_dspy
@pytest.mark.parametrize("effort", [1, 7, 60])
async def test_the_run_as_a_whole_keeps_to_its_effort(tmp_path: Path, effort: int) -> None:
    result = await run(task_of(), tmp_path, method="none+mipro", effort=effort)
    assert result.status == "done"
    assert searched(result) <= effort


@needs_dspy
async def test_a_ceiling_of_the_users_ends_the_search(tmp_path: Path) -> None:
    result = await run(task_of(), tmp_path, method="none+mipro", effort=200, budget=fb.Budget(calls=40))
    assert (result.status, result.stopped_by) == ("done", "budget")
    assert sum(result.calls.values()) <= 40


@needs_dspy
async def test_a_replay_is_the_same_run_without_a_call(tmp_path: Path) -> None:
    first, again = [await run(task_of(), tmp_path, method="none+mipro", effort=150) for _ in range(2)]
    assert first.workflow.hash != flow("answer").hash, "it found something"
    assert again.now.calls == 0
    assert again.replayed_events == len(journal(first))
    assert again.to_json()["workflow"] == first.to_json()["workflow"]


@needs_dspy
@pytest.mark.parametrize("method", ["none+mipro", "paper+mipro"])
async def test_a_fault_of_the_endpoint_pauses_the_run_and_is_no_score(tmp_path: Path, method: str) -> None:
    result = await run(task_of(), tmp_path, method=method, effort=150, lm="fake/told_how?latency=1&dies=3-9000000")
    assert (result.status, result.stopped_by) == ("paused", "infrastructure")


@needs_dspy
async def test_a_fault_of_the_meta_model_is_raised_as_it_came(tmp_path: Path) -> None:
    fault = InfrastructureError("gone", kind="server", fatal=True)

    def reply(request: Request) -> ReplyContent:
        if request.messages[0].content.startswith("You are "):
            return "gold"
        raise fault

    async with searching(task_of(), flow("answer"), reply, tmp_path, planned=60) as search:
        with pytest.raises(InfrastructureError, match="gone"):
            await tuned(search)


@needs_dspy
async def test_a_reply_that_cannot_be_read_ends_it_and_is_no_fault(tmp_path: Path) -> None:
    async with searching(task_of(), flow("answer"), Model("I would rather not say."), tmp_path, planned=60) as search:
        _, why = await tuned(search)
    assert why == "a reply of the meta model could not be read"


@needs_dspy
async def test_trials_are_journalled_as_proposals_with_verdicts(tmp_path: Path) -> None:
    async with searching(task_of(), flow("answer"), Writer(), tmp_path, planned=150) as search:
        await tuned(search)
    events = read_events(tmp_path / "journal.jsonl")
    proposals, verdicts = of(events, Proposal), of(events, Verdict)
    assert [each.proposal for each in verdicts] == [each.id for each in proposals if each.program]
    assert all(each.rule == "validation" and each.n == 8 for each in verdicts)
    assert "adopt" in {each.decision for each in verdicts}


@needs_dspy
async def test_inside_an_outer_loop_it_hands_in_its_best_with_the_rows_that_chose_it(tmp_path: Path) -> None:
    proposer = PackageProposer(Mipro())
    async with searching(task_of(train=30), flow("answer"), Writer(), tmp_path) as search:
        start = search.population.start
        (option,) = proposer.options(start, search)
        (made,) = await proposer.propose(start, Focus(option, 0, NONE, NONE), 1, search)
        assert sum(search.session.ledger.calls.values()) <= option.cost
        assert "val" not in search.session.ledger.calls
    assert made.program is not None
    assert KNOWN in told(made.program).instruction
    assert len(made.shown) == 10


def made_folder(folder: Path, number: int) -> Path:
    (folder / str(number)).mkdir()
    return folder / str(number)


@needs_dspy
async def test_what_is_tuned_side_by_side_is_what_it_would_be_alone(tmp_path: Path) -> None:
    found: list[list[Any]] = []
    for number, at_once in enumerate((1, 3)):
        proposer = PackageProposer(Mipro())
        async with searching(task_of(train=30), flow("answer"), Writer(), made_folder(tmp_path, number)) as search:
            start = search.population.start
            (option,) = proposer.options(start, search)
            made: list[Any] = []
            for first in range(0, 3, at_once):
                draws = [Focus(option, draw, NONE, NONE) for draw in range(first, first + at_once)]
                made += await all_of(proposer.propose(start, each, 1, search) for each in draws)
            found.append([each.program for (each,) in made])
    assert found[0] == found[1]


@needs_dspy
async def test_it_is_quiet_for_us_alone_and_leaves_no_file(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    before = (logging.getLogger().level, list(logging.getLogger().handlers))
    async with searching(task_of(), flow("answer"), Writer(), tmp_path, planned=150) as search:
        await tuned(search)
    assert capfd.readouterr() == ("", "")
    assert (logging.getLogger().level, list(logging.getLogger().handlers)) == before
    assert os.listdir() == ["journal.jsonl"]
    from dspy.teleprompt import bootstrap  # pyright: ignore[reportMissingImports]

    bootstrap.print("others are heard")
    assert capfd.readouterr().out == "others are heard\n"


@needs_dspy
def test_side_by_side_leaves_the_verbosity_that_was_there() -> None:
    import optuna  # pyright: ignore[reportMissingImports]

    before, both = optuna.logging.get_verbosity(), [copy_context(), copy_context()]
    quiet = [quiet_dspy(), quiet_dspy()]
    for here, each in zip(both, quiet, strict=True):
        here.run(each.__enter__)
        optuna.logging.set_verbosity(optuna.logging.WARNING)  # as DSPy does
    for here, each in zip(both, quiet, strict=True):
        here.run(each.__exit__, None, None, None)
    assert optuna.logging.get_verbosity() == before != optuna.logging.WARNING


def test_demonstrations_are_put_into_their_steps() -> None:
    shown = Demonstration(inputs={"q": "1"}, outputs={"a": "2"}, example="r")
    changed = with_demonstrations(WorkflowProgram(flow("plan", "answer")), {"answer": [shown]})
    assert (told(changed, "plan").demonstrations, told(changed).demonstrations) == ((), (shown,))
