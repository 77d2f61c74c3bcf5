"""Structural gradients of a large meta model: a question a failing run, one that sums them, and votes that are counts of runs."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from proposer_help import task_of
from search_help import searching

from flowbot.lm.client import Request
from flowbot.optimizer.belief import Belief
from flowbot.optimizer.feedback.ballots import BallotCritic
from flowbot.optimizer.feedback.question import SEEN_TOKENS
from flowbot.optimizer.feedback.structure import DIAGNOSES, NO_STEP, RUNS
from flowbot.optimizer.population import Candidate, Outcome
from flowbot.optimizer.rendering import LETTERS_PER_TOKEN
from flowbot.optimizer.seams import Ballots, FeedbackMode, Option
from flowbot.optimizer.search import Search
from flowbot.run.events import Arm
from flowbot.task import Task
from flowbot.workflow.parameters import LLMParameters
from flowbot.workflow.workflow import Workflow

TASK = task_of([{"q": f"question {n}", "a": f"answer {n}"} for n in range(9)])
FLOW = Workflow.from_data(
    {
        "flowbot": 1,
        "inputs": {"q": "str"},
        "outputs": {"a": "write.a"},
        "nodes": {
            "read": {"kind": "llm", "in": {"q": "q"}, "out": {"note": "str"}},
            "write": {"kind": "llm", "in": {"note": "read.note"}, "out": {"a": "str"}},
        },
        "parameters": {name: {"instruction": f"You are {name}."} for name in ("read", "write")},
    }
)
ONE, SUM = "You improve the structure", "You improve LLM workflows. Several"


def option(name: str, place: str = "write") -> Option:
    return Option(Arm(kind=name, place=place), key=f"key of {name}", title=f"Do {name}.", prior=Belief(0.0, 0.1))


def diagnosis(runs: list[int], *changes: str, prompt: str = "unsure", steps: tuple[str, ...] = ("write",)) -> Any:
    return {
        "label": "lost note", "fault": "the note is not passed on", "runs": runs, "steps": list(steps), "prompt": prompt,
        "changes": list(changes),
    }  # fmt: skip


class Doctor:
    """Answers the task wrongly, finds one fault a run and gives these diagnoses; changes are named by title. It keeps what it was asked."""

    def __init__(self, *diagnoses: Any, fault: str = "the note is lost", step: str = "write") -> None:
        self.diagnoses, self.fault, self.step = diagnoses, fault, step
        self.asked: list[str] = []

    def __call__(self, request: Request) -> Any:
        system, user = request.messages[0].content, request.messages[-1].content
        if system.startswith("You are "):
            return "nothing"
        self.asked.append(f"{system}\n{user}")
        if system.startswith(ONE):
            return {"fault": self.fault, "step": self.step}
        assert system.startswith(SUM)
        listed = re.findall(r"^(\w)\) .*Do (\w+)\.", system, re.MULTILINE)
        letters = {title: letter for letter, title in listed}
        return {
            "diagnoses": [{**each, "changes": [letters.get(x, x) for x in each["changes"]]} for each in self.diagnoses]
        }

    def of(self, start: str) -> list[str]:
        return [each for each in self.asked if each.startswith(start)]


Opened = Callable[..., AbstractAsyncContextManager[Search]]


@pytest.fixture
def opened(tmp_path: Path) -> Opened:
    def search(meta: Callable[[Request], Any], task: Task = TASK, flow: Workflow = FLOW, **more: Any) -> Any:
        return searching(task, flow, meta, tmp_path, meta_mode="large", **more)

    return search


async def voted(search: Search, *options: Option) -> Ballots:
    await search.run(search.start, search.rows, "train")
    return await BallotCritic().vote(search.population.start, options or (option("plan"), option("vote")), search)


async def test_a_change_has_the_votes_of_the_runs_whose_diagnoses_name_it(opened: Opened) -> None:
    doctor = Doctor(diagnosis([1, 2, 3], "plan", "vote"), diagnosis([3, 4], "plan"), diagnosis([5], prompt="yes"))
    async with opened(doctor) as search:
        ballots = await voted(search)
    assert (ballots.asked, ballots.won) == (RUNS, {"key of plan": 4, "key of vote": 3})
    runs, diagnoses = ballots.feedback[:RUNS], ballots.feedback[RUNS:]
    assert {(each.place, each.text) for each in runs} == {("write", "the note is lost")}
    assert len({each.example for each in runs}) == RUNS
    assert [(each.example, each.place, each.mends, len(each.after)) for each in diagnoses] == [
        ("", "write", "unsure", 3), ("", "write", "unsure", 2), ("", "write", "yes", 1),
    ]  # fmt: skip
    assert "(3 of 6 runs, at write; another prompt could mend it: unsure)" in diagnoses[0].text
    assert ballots.reasons["key of plan"] == diagnoses[0].text
    assert set(ballots.because["key of vote"]) == {diagnoses[0].id, *diagnoses[0].after}
    assert (ballots.steps, set(ballots.beyond)) == (("write",), set())
    assert len(doctor.of(ONE)) == RUNS
    assert len(doctor.of(SUM)) == 1


async def test_what_no_prompt_mends_asks_for_what_is_named_and_for_changes_of_its_steps(opened: Opened) -> None:
    options = (option("plan"), option("vote", "read"), option("think", "read"), option("else", ""))
    doctor = Doctor(diagnosis([1], "plan", prompt="no", steps=("read",)), diagnosis([2], "else", prompt="yes"))
    async with opened(doctor) as search:
        ballots = await voted(search, *options)
    assert set(ballots.beyond) == {"key of plan", "key of vote", "key of think"}


async def test_a_run_is_shown_whole_with_its_loss_and_what_was_said_of_its_steps(opened: Opened) -> None:
    doctor = Doctor(step=NO_STEP)
    async with opened(doctor) as search:
        await search.run(search.start, search.rows, "train")
        for row in search.rows:
            search.record(search.feedback(search.start.hash, row, "read", f"too short for {row}"))
            search.record(search.feedback(search.start.hash, row, "write", "not here"))
        ballots = await voted(search)
    question = doctor.of(ONE)[0]
    for part in (
        "[read]",
        "[write]",
        "score 0.00",
        "right a: answer",
        "- read: too short for",
        "- read: You are read.",
    ):
        assert part in question
    assert "write: not here" not in question
    assert {each.place for each in ballots.feedback} == {""}


async def test_the_sum_is_told_what_was_tried_and_measured(opened: Opened) -> None:
    doctor = Doctor(diagnosis([1], "plan"))
    async with opened(doctor) as search:
        other = search.start.with_slot("write", LLMParameters(instruction="Write more."))
        arm = Arm(kind="instruct", place="write")
        member = Candidate("p1", other, search.population.start, arm, Belief(-0.1, 0.05), title="Tell it more.")
        search.population.add(member)
        search.population.record(other.hash, search.rows[0], Outcome(0.0))
        await voted(search)
    assert "- instruct: Tell it more (-0.10 ± 0.05, n 1)" in doctor.of(SUM)[0]
    assert "1) [write] the note is lost" in doctor.of(SUM)[0]


async def test_long_values_share_the_room_of_one_question(opened: Opened) -> None:
    rows = [{"q": f"question {n} " + "word " * 20_000, "a": "a"} for n in range(3)]
    doctor = Doctor()
    async with opened(doctor, task_of(rows)) as search:
        await search.run(search.start, search.rows, "train")
        for row in search.rows:
            search.record(search.feedback(search.start.hash, row, "read", "gone " * 20_000))
        await voted(search)
    most = 1.25 * LETTERS_PER_TOKEN * SEEN_TOKENS["large"]
    assert all(len(each) < most for each in doctor.asked)


async def test_as_many_runs_are_asked_about_as_planned_calls_are_left(opened: Opened) -> None:
    for left, runs in ((3, 2), (1, 0)):
        doctor = Doctor(diagnosis([1], "plan"))
        async with opened(doctor, planned=10 + left) as search:  # nine calls of a step, one of the other
            ballots = await voted(search)
        assert (len(doctor.of(ONE)), ballots.asked) == (runs, runs)


async def test_where_nothing_is_wrong_or_was_run_nobody_is_asked(opened: Opened) -> None:
    doctor = Doctor()
    async with opened(doctor, task_of([{"q": "question 1", "a": "nothing"}] * 2)) as search:
        before = await BallotCritic().vote(search.population.start, [option("plan")], search)
        after = await voted(search)
    assert (before.asked, after.asked, doctor.asked) == (0, 0, [])


@pytest.mark.parametrize("mode", ["real", "shuffled", "blind"])
async def test_the_controls_hold(opened: Opened, mode: FeedbackMode) -> None:
    doctor = Doctor(diagnosis([1], "plan"))
    async with opened(doctor, feedback_mode=mode) as search:
        await voted(search)
    questions = doctor.of(ONE)
    assert len(questions) == RUNS
    for each in questions:
        (asked,), right = (
            re.findall(r"^q: question (\d)", each, re.MULTILINE),
            re.findall(r"right a: answer (\d)", each),
        )
        if mode == "blind":
            assert right == []
        else:
            assert (right == [asked]) == (mode == "real")


REPLIES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 99) | st.text(max_size=12) | st.sampled_from(["no", "write", "A", "B"]),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.sampled_from(["fault", "step", "diagnoses", "label", "runs", "steps", "prompt", "changes"]), inner, max_size=8),
    max_leaves=20,
)  # fmt: skip


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    replies=st.lists(
        REPLIES | st.builds(diagnosis, st.lists(st.integers(-3, 12)), st.sampled_from("ABZ")), min_size=1, max_size=6
    ),
    heard=st.booleans(),
)
async def test_whatever_comes_back_ballots_are_of_runs_and_of_options_that_there_are(
    tmp_path: Path, replies: list[Any], heard: bool
) -> None:  # fmt: skip
    count = iter(range(10_000))

    def meta(request: Request) -> Any:
        if request.messages[0].content.startswith("You are "):
            return "nothing"
        if heard and request.messages[0].content.startswith(ONE):
            return {"fault": "the note is lost", "step": "write"}
        each = replies[next(count) % len(replies)]
        return (
            {"diagnoses": [each]}
            if isinstance(each, dict) and "runs" in each
            else each
            if isinstance(each, (dict, str))
            else str(each)
        )

    (tmp_path / "journal.jsonl").unlink(missing_ok=True)
    async with searching(TASK, FLOW, meta, tmp_path, meta_mode="large") as search:
        ballots = await voted(search)
    keys = {"key of plan", "key of vote"}
    assert set(ballots.won) <= keys
    assert set(ballots.beyond) <= keys
    assert all(0 < won <= ballots.asked <= RUNS for won in ballots.won.values())
    diagnoses = [each for each in ballots.feedback if each.mends]
    assert len(diagnoses) <= DIAGNOSES
    ids = {each.id for each in ballots.feedback}
    assert all(each.after and set(each.after) <= ids for each in diagnoses)
