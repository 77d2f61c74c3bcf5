"""Votes of the meta model on mistakes: what it is shown, what is counted, and what it costs."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from search_help import searching

from flowbot.lm.client import Request
from flowbot.optimizer.belief import Belief
from flowbot.optimizer.feedback.ballots import LETTERS, LIKED, UNSEEN, BallotCritic
from flowbot.optimizer.population import Candidate
from flowbot.optimizer.seams import Option
from flowbot.optimizer.search import Search
from flowbot.run.events import Arm
from flowbot.task import Task
from flowbot.workflow.parameters import LLMParameters
from flowbot.workflow.starts import single_call
from flowbot.workflow.workflow import Workflow

ROWS = 12


def option(name: str, mean: float = 0.0, place: str = "answer") -> Option:
    return Option(Arm(kind=name, place=place), key=f"key of {name}", title=f"Do {name}.", prior=Belief(mean, 0.1))


class Voter:
    """Answers the task wrongly, but for notes it knows; as the meta model it chooses by title, and keeps the questions. What it would
    choose without a mistake is `blind`: a title, or a letter."""

    def __init__(self, *choices: str, right: int = 0, blind: str = "?") -> None:
        self.choices = list(choices)
        self.right = right
        self.blind = blind
        self.questions: list[str] = []
        self.unseen: list[str] = []

    def __call__(self, request: Request) -> dict[str, Any] | str:
        system, said = request.messages[0].content, request.messages[-1].content
        if not system.startswith("You improve"):
            number = int(re.findall(r"note (\d+)", said)[-1])
            return {"total": number if number < self.right else -1}
        question = f"{system}\n{request.messages[1].content}"
        if UNSEEN in question:
            self.unseen.append(question)
            letter = re.search(rf"(\w)\) .*Do {self.blind}\.", system)
            return json.dumps({"fault": "any", "choice": letter[1] if letter else self.blind})
        if question not in self.questions:  # a reply that is no choice is asked for again
            self.questions.append(question)
        choice = self.choices[self.questions.index(question)]
        letter = re.search(rf"(\w)\) .*Do {choice}\.", system)
        return json.dumps({"fault": f"no {choice}", "choice": letter[1] if letter else "?"})

    def listed(self, ballot: int) -> list[str]:
        """The options in the order in which a ballot showed them."""
        return re.findall(r"^\w\) .*Do (\w+)\.", self.questions[ballot], re.MULTILINE)


@pytest.fixture
def counting() -> Task:
    rows = [{"note": f"note {n}", "total": n} for n in range(ROWS + 2)]
    return Task(
        goal="Count.", inputs={"note": "str"}, outputs={"total": "int"}, metric="numeric",
        train=rows[:ROWS], val=rows[ROWS : ROWS + 1], test=rows[ROWS + 1 :],
    )  # fmt: skip


@pytest.fixture
def start(counting: Task) -> Workflow:
    return single_call(counting.inputs, counting.outputs, counting.goal, reasoning=False)


Opened = Callable[[Callable[[Request], Any]], AbstractAsyncContextManager[Search]]


@pytest.fixture
def opened(counting: Task, start: Workflow, tmp_path: Path) -> Opened:
    return lambda voter: searching(counting, start, voter, tmp_path)


async def test_ballots_are_counted_with_their_faults_and_the_examples_they_saw(opened: Opened) -> None:
    options = [option("plan"), option("vote"), option("think")]
    voter = Voter("vote", "think", "vote")
    async with opened(voter) as search:
        await search.run(search.start, search.rows, "train")
        ballots = await BallotCritic(3).vote(search.population.start, options, search)
    assert (ballots.asked, ballots.won) == (3, {"key of vote": 2, "key of think": 1})
    assert ballots.reasons == {"key of vote": "no vote", "key of think": "no think"}
    said = {each.id: each for each in ballots.feedback}
    assert {said[each].text for each in ballots.because["key of vote"]} == {"no vote"}
    assert {each.place for each in ballots.feedback} == {""}
    assert {each.example for each in ballots.feedback} <= set(search.rows)
    assert {each.about for each in ballots.feedback} == {search.start.hash}
    assert [each.text for each in ballots.feedback] == ["no vote"] * 2 + ["no think"] * 2 + ["no vote"] * 2
    assert search.session.ledger.calls["gradients"] == 3 + len(voter.unseen)


async def test_the_second_ballot_shows_the_options_in_reverse_and_each_two_mistakes(opened: Opened) -> None:
    options = [option(f"x{number}") for number in range(9)]
    voter = Voter("x1", "x1")
    async with opened(voter) as search:
        await search.run(search.start, search.rows, "train")
        await BallotCritic(2).vote(search.population.start, options, search)
    assert sorted(voter.listed(0)) == sorted(voter.listed(1)) == [f"x{number}" for number in range(9)]
    assert voter.listed(0) == voter.listed(1)[::-1]
    assert all(len(re.findall(r"^Mistake \d", each, re.MULTILINE)) == 2 for each in voter.questions)


async def test_of_many_options_the_likely_ones_and_some_by_lot_are_shown(opened: Opened) -> None:
    options = [option(f"x{number}", mean=number / 100) for number in range(40)]
    voter = Voter("x39", "x39")
    async with opened(voter) as search:
        await search.run(search.start, search.rows, "train")
        await BallotCritic(2).vote(search.population.start, options, search)
    shown = set(voter.listed(0))
    assert shown == set(voter.listed(1)), "shares of ballots compare options that all ballots showed"
    assert len(shown) == len(LETTERS)
    assert {f"x{number}" for number in range(40 - LIKED, 40)} < shown


@pytest.mark.parametrize("places", [("answer", "answer"), ("answer", "check")])
async def test_the_step_is_named_where_there_are_several(opened: Opened, places: tuple[str, str]) -> None:
    voter = Voter("plan")
    async with opened(voter) as search:
        await search.run(search.start, search.rows, "train")
        await BallotCritic(1).vote(
            search.population.start, [option("plan", place=places[0]), option("vote", place=places[1])], search
        )
    assert ("At step `answer`: Do plan." in voter.questions[0]) == (len(set(places)) > 1)


async def test_only_mistakes_are_shown(opened: Opened) -> None:
    voter = Voter("plan", right=ROWS - 1)
    async with opened(voter) as search:
        await search.run(search.start, search.rows, "train")
        ballots = await BallotCritic(1).vote(search.population.start, [option("plan")], search)
        (wrong,) = [each for each in search.rows if search.population.scores(search.start, [each]) == [0.0]]
    assert [each.example for each in ballots.feedback] == [wrong]


async def test_where_nothing_is_wrong_or_was_run_nobody_is_asked(opened: Opened) -> None:
    voter = Voter(right=ROWS)
    async with opened(voter) as search:
        before = await BallotCritic().vote(search.population.start, [option("plan")], search)
        await search.run(search.start, search.rows, "train")
        after = await BallotCritic().vote(search.population.start, [option("plan")], search)
    assert before.asked == after.asked == 0
    assert voter.questions == []


async def test_a_ballot_that_is_none_counts_as_asked_and_names_nothing(opened: Opened) -> None:
    async with opened(Voter("what is not there", "plan")) as search:
        await search.run(search.start, search.rows, "train")
        ballots = await BallotCritic(2).vote(search.population.start, [option("plan"), option("vote")], search)
    assert (ballots.asked, ballots.won) == (2, {"key of plan": 1})


async def test_a_vote_counts_only_where_it_differs_from_the_answer_without_the_mistakes(opened: Opened) -> None:
    options = [option("plan"), option("vote"), option("think")]
    voter = Voter("vote", "think", blind="vote")
    critic = BallotCritic()
    async with opened(voter) as search:
        await search.run(search.start, search.rows, "train")
        ballots = await critic.vote(search.population.start, options, search)
        other = search.start.with_slot("answer", LLMParameters(instruction="Count better."))
        await search.run(other, search.rows, "train")
        member = Candidate("p1", other, search.population.start, Arm(kind="instruct"), Belief(0.0, 0.1))
        voter.choices += ["plan", "vote"]
        again = await critic.vote(member, options, search)
    assert (ballots.asked, ballots.won) == (2, {"key of think": 1})
    assert "key of vote" not in {**ballots.reasons, **ballots.because}
    assert [each.text for each in ballots.feedback] == ["no vote"] * 2 + ["no think"] * 2, "what was said stands"
    assert again.won == {"key of plan": 1}
    assert len(voter.unseen) == 1, "of one sketch it is asked once, whatever its parameters"
    assert critic.cost == 3
    assert "Mistake 1" not in voter.unseen[0]


@pytest.mark.parametrize("letter", ["A", "B"])
async def test_a_model_that_always_names_one_letter_has_no_vote(opened: Opened, letter: str) -> None:
    options = [option(f"x{number}") for number in range(4)]

    def stubborn(request: Request) -> dict[str, Any] | str:
        if request.messages[0].content.startswith("You improve"):
            return {"fault": "it is wrong", "choice": letter}
        return {"total": -1}

    async with opened(stubborn) as search:
        await search.run(search.start, search.rows, "train")
        ballots = await BallotCritic().vote(search.population.start, options, search)
    assert (ballots.asked, ballots.won) == (2, {})


@pytest.mark.parametrize(("letter", "mends"), [("A", "yes"), ("B", "no"), ("C", "unsure"), ("?", None)])
async def test_a_small_model_says_by_letter_whether_a_prompt_could_mend_it(
    opened: Opened, letter: str, mends: str | None
) -> None:
    options, voter = [option("plan"), option("vote")], Voter("vote", "vote", blind="plan")
    asked: list[str] = []

    def meta(request: Request) -> dict[str, Any] | str:
        if "Could the workflow be right" in request.messages[0].content:
            asked.append(request.messages[-1].content)
            return {"choice": letter}
        return voter(request)

    critic = BallotCritic(asks_mends=True)
    async with opened(meta) as search:
        await search.run(search.start, search.rows, "train")
        ballots = await critic.vote(search.population.start, options, search)
    assert [each.mends for each in ballots.feedback if each.mends] == ([mends] if mends else [])
    assert set(ballots.beyond) == ({"key of plan", "key of vote"} if mends == "no" else set())
    assert ballots.won == {"key of vote": 1}, "by another letter than without the mistakes"
    assert "Mistake 2" in asked[0]
    assert critic.cost == BallotCritic().cost + 1


async def test_the_controls_hold_for_ballots(opened: Opened) -> None:
    """Nothing that was expected stands in a question of `blind`; in one of `shuffled` stands what was expected elsewhere."""
    for told in ("real", "shuffled", "blind"):
        voter = Voter("plan")
        async with opened(voter) as search:
            search.feedback_mode = told
            await search.run(search.start, search.rows, "train")
            await BallotCritic(1).vote(search.population.start, [option("plan"), option("vote")], search)
        question = voter.questions[0]
        pairs = [
            (int(note), right)
            for note, right in re.findall(r"note: note (\d+)\n(?:.*\n)*?(right total: \d+|\(no right)", question)
        ]
        assert pairs
        assert all((told == "blind") == right.startswith("(no right") for _, right in pairs)
        if told != "blind":
            assert all((told == "real") == (right == f"right total: {note}") for note, right in pairs)
