"""Where the planner goes when nothing more comes of a parent: to another kind of change, to another parent, to an honest stop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pool_world import Lookup, Named
from search_help import searching

from flowbot.optimizer.belief import Belief
from flowbot.optimizer.judge import PRIOR_SPREAD
from flowbot.optimizer.planner import DEAR, LEAST_WEIGHT, PATIENCE, VOTE_WORTH, Bandit, VoteWeight
from flowbot.optimizer.population import Candidate, Outcome
from flowbot.optimizer.seams import Ballots, Context, Focus, Option, Pick, Proposal
from flowbot.optimizer.structure.catalogue_changes import CatalogueChanges
from flowbot.run.events import Arm, Verdict
from flowbot.runtime.program import WorkflowProgram
from flowbot.task import Task
from flowbot.workflow.starts import single_call


class OfParent:
    """Offers changes by the program they are about."""

    def __init__(self, options: Callable[[str], Sequence[Option]]) -> None:
        self._options = options

    def options(self, parent: Candidate[Named], context: Lookup) -> Sequence[Option]:
        return self._options(parent.program.hash)

    async def propose(
        self, parent: Candidate[Named], focus: Focus, want: int, context: Lookup
    ) -> Sequence[Proposal[Named]]:
        raise AssertionError("a planner proposes nothing")


def options(parent: str, number: int, most: int = 1) -> list[Option]:
    return [
        Option(Arm(kind=f"k{each}"), f"{parent}/{each}", f"k{each}", Belief(0.0, 0.1), most=most)
        for each in range(number)
    ]


async def all_picks(bandit: Bandit[WorkflowProgram], search: Context[WorkflowProgram]) -> list[Pick[WorkflowProgram]]:
    """What is drawn until nothing is left."""
    found: list[Pick[WorkflowProgram]] = []
    while picks := await bandit.picks(50, search):
        found += picks
    return found


def populated(*members: tuple[str, str]) -> Lookup:
    """A context with members and how they did on ten rows: `1` right, `0` wrong, a blank not run."""
    context = Lookup(lambda program, row: 0.0, 10, 10_000)
    population = context.population
    for name, scores in members:
        if name != "start":
            member = Candidate(
                name, Named(name), population.start, Arm(kind="k"), Belief(0.0, 0.1), title=f"make {name}"
            )
            population.add(member)
            population.close(member, "set aside")
        for row, score in zip(context.rows, scores, strict=False):
            if score != " ":
                population.record(name, row, Outcome(float(score)))
    return context


DRAWS = count()


def closed(origin: Candidate[Named] | None = None, decision: str = "drop") -> tuple[Candidate[Named], Verdict]:
    candidate = Candidate(
        "p", Named("p"), None, Arm(kind="k"), Belief(0.0, 0.1), draw=next(DRAWS), origin=origin, title="k"
    )
    return candidate, Verdict(
        proposal="p", incumbent="start", decision=decision, rule="posterior", n=12, mine=0.5, theirs=0.5,
        gain=0.0, spread=0.05, p=0.5, spent=24,
    )  # fmt: skip


def plateaus(context: Lookup) -> list[str]:
    return [each.text for each in context.events if each.event == "noted" and each.about == "plateau"]


async def test_after_patience_is_over_the_next_best_on_rows_of_its_own_is_the_parent() -> None:
    context = populated(("start", "1111000000"), ("a", "0000110000"), ("b", "0000001110"), ("c", "1000000000"))
    bandit = Bandit([OfParent(lambda parent: options(parent, 30))])
    parents = [(await bandit.picks(1, context))[0].parent.program.hash]
    for _ in range(3):
        for _ in range(PATIENCE):
            bandit.learn([closed()])
        parents.append((await bandit.picks(1, context))[0].parent.program.hash)
    assert parents == ["start", "b", "a", "start"], (
        "c is best nowhere alone; after all of them it is the incumbent's turn again"
    )
    assert plateaus(context) == [
        f"{PATIENCE} candidates in a row were not better: now from make b",
        f"{PATIENCE} candidates in a row were not better: now from make a",
        f"{PATIENCE} candidates in a row were not better: now from start",
    ]


async def test_one_candidate_less_is_no_plateau_and_an_adoption_begins_the_count_anew() -> None:
    context = populated(("start", "1111000000"), ("a", "0000110000"))
    bandit = Bandit([OfParent(lambda parent: options(parent, 40))])
    for _ in range(3):
        for _ in range(PATIENCE - 1):
            bandit.learn([closed()])
        bandit.learn([closed(decision="adopt")])
    for _ in range(PATIENCE - 1):
        bandit.learn([closed()] * 2)  # two programs came of one draw
    assert (await bandit.picks(1, context))[0].parent is context.population.start
    assert plateaus(context) == []


async def test_where_nothing_is_left_on_any_parent_it_offers_nothing() -> None:
    context = populated(("start", "1100000000"), ("a", "0011000000"))
    bandit = Bandit([OfParent(lambda parent: options(parent, 2 if parent == "start" else 1))])
    picked = [
        [(each.parent.program.hash, each.focus.option.title) for each in await bandit.picks(5, context)]
        for _ in range(4)
    ]
    assert [sorted(each) for each in picked] == [[("start", "k0"), ("start", "k1")], [("a", "k0")], [], []]
    assert plateaus(context) == [
        "nothing is left to try on the incumbent: now from make a",
        "nothing is left to try on this parent: now from start",
    ]


async def test_who_may_not_wander_stays_with_the_incumbent() -> None:
    context = populated(("start", "1100000000"), ("a", "0011000000"))
    bandit = Bandit([OfParent(lambda parent: options(parent, 1))], wanders=False)
    assert [each.parent.program.hash for each in await bandit.picks(5, context)] == ["start"]
    assert list(await bandit.picks(5, context)) == []
    assert plateaus(context) == []


async def test_what_is_made_from_another_parent_is_believed_to_be_behind_as_far_as_that_is() -> None:
    context = populated(("start", "1111111100"), ("a", "0000000011"))
    bandit = Bandit([OfParent(lambda parent: options(parent, 1))])
    (first,) = await bandit.picks(1, context)
    (second,) = await bandit.picks(1, context)
    assert (first.parent.program.hash, second.parent.program.hash) == ("start", "a")
    assert first.focus.belief.mean == 0.0
    assert second.focus.belief.mean < -0.1
    assert second.focus.belief.spread > first.focus.belief.spread, "how far it is behind is not known for certain"


def test_the_gain_of_what_was_made_from_another_parent_says_nothing_of_its_kind() -> None:
    bandit: Bandit[Named] = Bandit([])
    option = options("start", 1)[0]
    other = Candidate("o", Named("o"), None, Arm(kind="k"), Belief(0.0, 0.1))
    far, _ = closed(origin=other)
    far.arm, far.belief = option.arm, Belief(-0.5, 0.05)
    before = bandit.plain(option)
    bandit.learn([(far, closed()[1])])
    assert bandit.plain(option) == before


# What votes are worth.


@given(st.lists(st.booleans(), max_size=60))
def test_a_weight_is_between_nothing_and_the_first_belief_and_grows_with_what_was_right(outcomes: list[bool]) -> None:
    weight = VoteWeight()
    for draw, better in enumerate(outcomes):
        before = weight.value
        weight.learn(("a", draw), better=better)
        assert 0.0 <= weight.value <= VOTE_WORTH
        assert weight.value >= before if better else weight.value <= before
    right = sum(outcomes)
    assert (weight.value == 0.0) == (weight.right + right <= weight.wrong + len(outcomes) - right)


@pytest.mark.parametrize(("right", "asked_again"), [(0.5, (0.0, 0.1)), (0.3, (0.0, 0.0)), (0.85, (0.99, 1.0))])
def test_a_critic_at_chance_fades_and_one_that_is_right_does_not(
    right: float, asked_again: tuple[float, float]
) -> None:
    """After 300 changes that it named, right with that probability: the share of a hundred runs in which it is still asked."""
    still = 0
    for seed in range(100):
        rng, weight = Random(seed), VoteWeight()
        for draw in range(300):
            weight.learn(("a", draw), better=rng.random() < right)
        still += weight.value >= LEAST_WEIGHT
    assert asked_again[0] <= still / 100 <= asked_again[1]


class Wrong:
    """A critic that always names the change that does harm."""

    cost = 2

    async def vote(self, parent: Candidate[Named], options: Sequence[Option], context: Lookup) -> Ballots:
        return Ballots(2, {options[0].key: 2}, {}, {})


async def test_what_a_critic_names_in_vain_is_soon_no_likelier_than_without_it() -> None:
    context = populated(("start", "1111000000"))
    bandit = Bandit([OfParent(lambda parent: options(parent, 30))], Wrong())
    (pick,) = await bandit.picks(1, context)
    named = pick.focus.option if pick.focus.votes else options("start", 1)[0]
    lifts: list[float] = []
    for number in range(12):
        ballots = await Wrong().vote(context.population.start, [named], context)
        lifts.append(bandit.belief(named, ballots).mean - bandit.plain(named).mean)
        harmed = Candidate(
            f"p{number}", Named(f"p{number}"), context.population.start, Arm(kind="other"), Belief(-0.2, 0.05),
            plain=Belief(0.0, 0.1), votes=1.0, title="other", draw=number,
        )  # fmt: skip
        _, verdict = closed()
        bandit.learn([(harmed, verdict.model_copy(update={"mine": 0.3}))])
    assert lifts == sorted(lifts, reverse=True)
    assert lifts[0] == pytest.approx(VOTE_WORTH)
    assert lifts[-1] == 0.0


# A change of structure after the parameters have changed.


async def test_a_structural_change_is_tried_again_once_the_step_was_told_something_else(
    orders: Task, tmp_path: Path
) -> None:
    start = single_call(orders.inputs, orders.outputs, orders.goal, reasoning=True)
    async with searching(orders, start, lambda request: "", tmp_path) as search:
        bandit: Bandit[WorkflowProgram] = Bandit([CatalogueChanges(asks=False)])
        first = await all_picks(bandit, search)
        assert len(first) == len({each.focus.option.title for each in first}) > 5, "each was tried once"
        late = [each.focus.option.extra >= DEAR for each in first]
        assert late == sorted(late), "what takes more calls comes last"
        assert any(late)
        told = start.parameter("answer").model_copy(update={"instruction": "Count what is ordered, item by item."})
        tuned = Candidate(
            "p1", search.start.with_slot("answer", told), search.population.start, Arm(kind="rewrite"),
            Belief(0.1, PRIOR_SPREAD), level="parameters",
        )  # fmt: skip
        search.population.add(tuned)
        search.population.close(tuned, "adopted")
        search.population.incumbent = tuned
        bandit.learn([(tuned, closed(decision="adopt")[1])])
        again = await all_picks(bandit, search)
        titles = [sorted(each.focus.option.title for each in picks) for picks in (first, again)]
        assert titles[0] == titles[1]
        assert {each.parent.id for each in again} == {"p1"}
        assert all(each.focus.draw == 0 for each in again), "it is another try, not another draw"
