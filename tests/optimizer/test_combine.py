"""Two changes at once: what is put together, in whichever order, what cannot be, and what is believed of it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from proposer_help import Roles, task_of
from search_help import searching

from flowbot.optimizer.belief import Belief
from flowbot.optimizer.parameters.combine import Combine, combined
from flowbot.optimizer.planner import Bandit
from flowbot.optimizer.population import Candidate, Outcome, Population, State
from flowbot.optimizer.seams import Focus
from flowbot.optimizer.search import Search
from flowbot.run.events import Arm
from flowbot.runtime.program import WorkflowProgram
from flowbot.workflow.edits.applying import applied
from flowbot.workflow.edits.patterns import Ensemble
from flowbot.workflow.parameters import Demonstration, LLMParameters
from flowbot.workflow.workflow import Workflow

TASK = task_of([{"q": f"question {n}", "a": "gold"} for n in range(8)])


def chain() -> Workflow:
    nodes: dict[str, Any] = {
        "plan": {"kind": "llm", "in": {"q": "q"}, "out": {"a": "str"}},
        "answer": {"kind": "llm", "in": {"q": "plan.a"}, "out": {"a": "str"}},
    }
    told = {name: {"instruction": f"You are {name}."} for name in nodes}
    return Workflow.from_data(
        {"flowbot": 1, "inputs": {"q": "str"}, "outputs": {"a": "answer.a"}, "nodes": nodes, "parameters": told}
    )


BASE = chain()
CHANGES: dict[str, dict[str, Any]] = {
    "ruled": {"instruction": "You are told.\nA rule."},
    "rewritten": {"instruction": "You are new."},
    "shown": {"demonstrations": (Demonstration(inputs={"q": "x"}, outputs={"a": "y"}),)},
    "hinted": {"format_hint": "In short."},
}


def changed(path: str, change: str, of: Workflow = BASE) -> Workflow:
    told = of.parameter(path)
    assert isinstance(told, LLMParameters)
    return of.with_parameter(path, told.model_copy(update=CHANGES[change]))


@given(*[st.tuples(st.sampled_from(["plan", "answer"]), st.sampled_from(sorted(CHANGES)))] * 2)
def test_both_are_the_two_changes_in_either_order(one: tuple[str, str], other: tuple[str, str]) -> None:
    both, turned = (combined(BASE, changed(*a), changed(*b)) for a, b in ((one, other), (other, one)))
    if one[0] == other[0] and {one[1], other[1]} == {"ruled", "rewritten"}:
        assert both is turned is None, "each says something else in the same place"
        return
    assert both is not None
    assert turned is not None
    assert both.hash == turned.hash == changed(*other, of=changed(*one)).hash


def test_a_structure_takes_a_text_along_and_two_structures_are_none() -> None:
    voted = applied(BASE, [Ensemble(id="answer", samples=3)]).after
    both = combined(BASE, voted, changed("plan", "ruled"))
    assert both is not None
    assert both.hash == changed("plan", "ruled", of=voted).hash
    other = applied(BASE, [Ensemble(id="plan", samples=3)]).after
    assert combined(BASE, voted, other) is None


def candidate(
    search: Search, name: str, change: tuple[str, str], belief: Belief, state: State = "open", score: float = 1.0
) -> None:
    program = WorkflowProgram(changed(*change))
    made = Candidate(
        name, program, search.population.start, Arm(kind=change[1], place=change[0]), belief, state=state, title=name,
        shown=frozenset({name}),
    )  # fmt: skip
    search.population.add(made)
    search.population.record(search.start.hash, search.rows[0], Outcome(0.0))
    search.population.record(program.hash, search.rows[0], Outcome(score))


async def test_until_it_is_measured_its_gain_is_the_sum(tmp_path: Path) -> None:
    async with searching(TASK, BASE, Roles(lambda name, _: name, lambda _: ""), tmp_path) as search:
        candidate(search, "p1", ("answer", "shown"), Belief(0.05, 0.03))
        candidate(search, "p2", ("plan", "ruled"), Belief(0.03, 0.04), "set aside")
        parent, combine = search.population.start, Combine()
        (option,) = combine.options(parent, search)
        assert option.prior == Belief(pytest.approx(0.08), pytest.approx(math.hypot(0.03, 0.04)))  # pyright: ignore[reportArgumentType]
        assert option.title == "p1; and p2"
        bandit = Bandit([combine])
        assert bandit.plain(option).spread == option.prior.spread, "what its kind gained elsewhere says nothing of it"
        (made,) = await combine.propose(parent, Focus(option, 0, option.prior, option.prior), 1, search)
        assert made.program is not None
        assert made.program.hash == changed("plan", "ruled", of=changed("answer", "shown")).hash
        assert set(made.shown) == {"p1", "p2", search.rows[0]}, (
            "no evidence for one is none for both, nor what they were picked by"
        )
        search.population.add(Candidate("p3", made.program, parent, option.arm, option.prior))
        assert combine.options(parent, search) == [], "it is known now"


async def test_where_hardly_a_row_is_left_that_neither_was_picked_by_nothing_is_combined(tmp_path: Path) -> None:
    async with searching(TASK, BASE, Roles(lambda name, _: name, lambda _: ""), tmp_path) as search:
        candidate(search, "p1", ("answer", "shown"), Belief(0.05, 0.03))
        candidate(search, "p2", ("plan", "ruled"), Belief(0.03, 0.04))
        one, other = search.population.members[1:]
        for row in search.rows[:2]:
            search.population.record(one.program.hash, row, Outcome(1.0))
        assert len(Combine().options(search.population.start, search)) == 1
        search.population.record(other.program.hash, search.rows[2], Outcome(1.0))
        assert Combine().options(search.population.start, search) == []


@pytest.mark.parametrize(
    ("change", "belief", "state", "score"),
    [
        (("answer", "ruled"), Belief(-0.01, 0.03), "open", 1.0),
        (("answer", "ruled"), Belief(0.03, 0.03), "open", 0.0),  # it looks better by its prior alone
        (("answer", "ruled"), Belief(0.03, 0.03), "adopted", 1.0),
        (("answer", "shown"), Belief(0.03, 0.03), "open", 1.0),
    ],
)
async def test_what_lost_gained_nothing_was_adopted_or_is_of_the_same_arm_is_not_combined(
    tmp_path: Path, change: tuple[str, str], belief: Belief, state: State, score: float
) -> None:
    async with searching(TASK, BASE, Roles(lambda name, _: name, lambda _: ""), tmp_path) as search:
        candidate(search, "p1", ("answer", "shown"), Belief(0.05, 0.03))
        candidate(search, "p2", change, belief, state, score)
        assert Combine().options(search.population.start, search) == []


async def test_those_that_promise_most_are_offered(tmp_path: Path) -> None:
    async with searching(TASK, BASE, Roles(lambda name, _: name, lambda _: ""), tmp_path) as search:
        for number, (path, change) in enumerate(
            (p, c) for p in ("plan", "answer") for c in ("shown", "hinted", "ruled")
        ):
            candidate(search, f"p{number}", (path, change), Belief(0.01 * (number + 1), 0.03))
        options = Combine().options(search.population.start, search)
    assert [each.title for each in options] == ["p4; and p5", "p3; and p5", "p2; and p5"]


@pytest.mark.parametrize(("charge", "found"), [(0.4, 1), (0.6, 0)])
async def test_what_gained_less_on_its_rows_than_it_is_charged_is_not_combined(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, charge: float, found: int
) -> None:
    monkeypatch.setattr(Population, "charge", lambda *_: charge)
    async with searching(TASK, BASE, Roles(lambda name, _: name, lambda _: ""), tmp_path) as search:
        candidate(search, "p1", ("answer", "shown"), Belief(0.8, 0.03))
        candidate(search, "p2", ("plan", "ruled"), Belief(0.8, 0.03))
        for each in search.population.members:  # half a point a row
            search.population.record(each.program.hash, search.rows[1], Outcome(0.0))
        assert len(Combine().options(search.population.start, search)) == found
