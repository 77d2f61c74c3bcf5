"""What is tried next: beliefs of changes, votes that must earn their weight, and what is known after the incumbent has changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import count, permutations

import pytest
from pool_world import Lookup, Named

from flowbot.optimizer.belief import Belief
from flowbot.optimizer.judge import PRIOR_SPREAD
from flowbot.optimizer.objective import CALL_WORTH, TOKENS_OF_A_CALL
from flowbot.optimizer.planner import CARRIED, LEAST_WEIGHT, PATIENCE, VOTE_WORTH, Bandit, VoteWeight
from flowbot.optimizer.population import Candidate
from flowbot.optimizer.seams import Ballots, Focus, Option, Proposal
from flowbot.run.events import Arm, Noted, Verdict


class Offers:
    """A proposer with these options, whatever the parent."""

    def __init__(self, *options: Option) -> None:
        self.given = options

    def options(self, parent: Candidate[Named], context: Lookup) -> Sequence[Option]:
        return self.given

    async def propose(
        self, parent: Candidate[Named], focus: Focus, want: int, context: Lookup
    ) -> Sequence[Proposal[Named]]:
        raise AssertionError("a planner proposes nothing")


class Voice:
    """A critic that always names the same."""

    cost = 2

    def __init__(self, key: str) -> None:
        self.key, self.asked = key, 0

    async def vote(self, parent: Candidate[Named], options: Sequence[Option], context: Lookup) -> Ballots:
        self.asked += 1
        return Ballots(2, {self.key: 2}, {self.key: "because"}, {self.key: ("f1",)})


def option(
    kind: str, mean: float = 0.0, spread: float = 1e-6, *, extra: float = 0.0, cost: int = 0, most: int = 1
) -> Option:
    return Option(Arm(kind=kind), kind, kind, Belief(mean, spread), extra=extra, cost=cost, most=most)


def late(kind: str, mean: float = 0.0) -> Option:
    return replace(option(kind, mean), late=True)


def context(planned: float = 100.0) -> Lookup:
    return Lookup(lambda program, row: 0.0, 10, planned)


DRAWS = count()


def closed(
    kind: str, gain: float, decision: str = "drop", *, votes: float = 0.0, draw: int | None = None
) -> tuple[Candidate[Named], Verdict]:
    """What came of a draw of its own, or of the one that is named."""
    candidate = Candidate(
        "p1", Named(kind), None, Arm(kind=kind), Belief(gain, 0.05), plain=Belief(0.0, 0.1), votes=votes, title=kind,
        key=kind, draw=next(DRAWS) if draw is None else draw,
    )  # fmt: skip
    return candidate, Verdict(
        proposal="p1", incumbent="start", decision=decision, rule="posterior", n=12, mine=0.5 + gain, theirs=0.5,
        gain=gain, spread=0.05, p=0.5, spent=24,
    )  # fmt: skip


async def kinds(bandit: Bandit[Named], want: int, where: Lookup) -> list[str]:
    return [pick.focus.option.title for pick in await bandit.picks(want, where)]


async def test_what_is_believed_to_gain_most_is_tried_first_and_no_more_often_than_it_is_worth() -> None:
    bandit = Bandit([Offers(option("a", 0.1), option("b", 0.2, most=2)), Offers(option("c", -0.1))])
    picks = await bandit.picks(5, context())
    assert [(pick.focus.option.title, pick.focus.draw) for pick in picks] == [("b", 0), ("b", 1), ("a", 0), ("c", 0)]
    assert await kinds(bandit, 5, context()) == []


async def test_further_calls_must_be_gained_back() -> None:
    cheap, dear = option("cheap", 0.1), option("dear", 0.1 + 2.5 * CALL_WORTH, extra=3.0)
    assert await kinds(Bandit([Offers(dear, cheap)]), 1, context()) == ["cheap"]


async def test_among_equals_the_shorter_prompt_is_tried() -> None:
    short, long = option("short", 0.1, 1e-9), replace(option("long", 0.1, 1e-9), tokens=200)
    assert await kinds(Bandit([Offers(long, short)]), 1, context()) == ["short"]
    assert Bandit([]).plain(long).mean == pytest.approx(0.1 - CALL_WORTH * 200 / TOKENS_OF_A_CALL)


async def test_proposals_are_asked_for_as_far_as_the_planned_calls_reach() -> None:
    offers = Offers(*(option(kind, cost=4) for kind in "abc"))
    assert len(await kinds(Bandit([offers]), 3, context(9))) == 2
    assert await kinds(Bandit([offers]), 3, context(3)) == []


async def test_drawn_evenly_beliefs_do_not_matter() -> None:
    offers = Offers(option("good", 0.5), option("bad", -0.5))
    first: Counter[str] = Counter()
    for seed in range(60):
        where = Lookup(lambda program, row: 0.0, 10, 100, seed=seed)
        first.update(await kinds(Bandit([offers], even=True), 1, where))
    assert 15 <= first["bad"] <= 45


async def test_votes_lift_what_they_name_and_are_asked_for_once_a_parent() -> None:
    voice = Voice("b")
    bandit = Bandit([Offers(option("a", 0.05), option("b"), option("c", 0.04))], voice)
    where = context()
    (pick,) = await bandit.picks(1, where)
    assert (pick.focus.option.title, pick.focus.votes, pick.focus.reason, pick.focus.because) == (
        "b",
        1.0,
        "because",
        ("f1",),
    )
    assert pick.focus.belief.mean == pytest.approx(VOTE_WORTH)
    assert pick.focus.plain.mean == 0.0
    await bandit.picks(1, where)
    assert voice.asked == 1


async def test_a_bold_belief_is_tried_first_and_does_not_judge_its_pairs() -> None:
    """What a kind gained elsewhere is no evidence of this candidate: its prior, and what a vote for it must surpass, stay small."""
    bandit = Bandit([Offers(option("bold", 0.5, 0.12), option("usual", 0.1, 1e-9))], Voice("bold"))
    (pick,) = await bandit.picks(1, context())
    assert pick.focus.option.title == "bold"
    assert pick.focus.plain == Belief(PRIOR_SPREAD, PRIOR_SPREAD)
    assert pick.focus.belief == Belief(PRIOR_SPREAD + VOTE_WORTH, PRIOR_SPREAD)
    assert bandit.plain(option("bold", 0.5, 0.12)) == Belief(0.5, 0.12)
    known = replace(option("bold", 0.5, 0.1), measured=True)
    assert bandit.plain(known, bold=False) == Belief(0.5, 0.1), "of this very change it is known"


async def test_a_critic_that_is_right_half_of_the_time_is_asked_no_more() -> None:
    voice = Voice("a")
    bandit = Bandit([Offers(option("a"), option("b"))], voice)
    for gain in (0.2, -0.2) * 40:
        bandit.learn([closed("a", gain, votes=1.0)])
    assert bandit.weight.value < LEAST_WEIGHT
    await bandit.picks(1, context())
    assert voice.asked == 0


def test_the_weight_of_votes_follows_what_they_were_worth() -> None:
    weight = VoteWeight()
    assert weight.value == VOTE_WORTH
    weight.learn(("a", 0), better=False)
    assert 0 < weight.value < VOTE_WORTH
    for draw in range(1, 10):
        weight.learn(("a", draw), better=False)
    assert weight.value == 0.0


def test_gains_of_a_kind_tell_of_its_other_places() -> None:
    bandit: Bandit[Named] = Bandit([])
    before = bandit.plain(option("a", 0.0, 0.1))
    bandit.learn([closed("a", 0.3), closed("a", 0.3)])
    after = bandit.plain(option("a", 0.0, 0.1))
    assert after.mean == pytest.approx(0.15)
    assert after.spread < before.spread
    assert bandit.plain(option("b", 0.0, 0.1)) == before


@pytest.mark.parametrize("gains", list(permutations((-0.3, 0.3, -0.1))))
def test_of_what_came_of_one_draw_the_best_tells_what_the_kind_and_the_votes_are_worth(
    gains: tuple[float, ...],
) -> None:
    alone: Bandit[Named] = Bandit([])
    together: Bandit[Named] = Bandit([])
    alone.learn([closed("a", 0.3, votes=1.0)])
    together.learn([closed("a", gain, votes=1.0, draw=-1) for gain in gains])
    assert together.plain(option("a", 0.0, 0.1)) == alone.plain(option("a", 0.0, 0.1))
    assert together.weight.value == alone.weight.value
    together.carry([closed("a", gain, draw=-1)[0] for gain in gains])
    assert together.plain(option("a")).mean == pytest.approx(CARRIED * 0.3)
    together.learn([closed("a", gain, draw=-2) for gain in gains])
    assert together.plain(option("a")).mean == pytest.approx(CARRIED * 0.3)
    together.learn([closed("a", -0.3, draw=-3)])
    assert together.plain(option("a")).mean < 0, "another draw that lost"


def test_what_an_open_candidate_showed_is_the_prior_of_its_change_on_the_next_incumbent_until_it_is_tried_there() -> (
    None
):
    bandit: Bandit[Named] = Bandit([])
    candidate, _ = closed("a", 0.2)
    bandit.carry([candidate])
    assert bandit.plain(option("a")).mean == pytest.approx(CARRIED * 0.2)
    bandit.learn([closed("a", -0.1)])
    assert bandit.plain(option("a")).mean == pytest.approx(CARRIED * -0.1)


def test_of_texts_nothing_is_carried() -> None:
    bandit: Bandit[Named] = Bandit([])
    candidate, _ = closed("a", 0.2)
    candidate.level = "parameters"
    bandit.carry([candidate])
    assert bandit.plain(option("a")).mean == 0.0


async def test_what_is_for_a_settled_structure_waits_for_few_calls_a_plateau_or_nothing_else() -> None:
    offers = Offers(option("a", most=99), late("model", 0.5))
    world = context()
    assert await kinds(Bandit([offers]), 1, world) == ["a"]
    world.spent = 70
    assert await kinds(Bandit([offers]), 1, world) == ["model"], "a third of the calls is left"
    world.spent = 0
    planner: Bandit[Named] = Bandit([offers])
    planner.learn([closed("a", -0.1) for _ in range(PATIENCE)])
    assert await kinds(planner, 1, world) == ["model"], "a plateau"
    assert any(isinstance(each, Noted) and "other models" in each.text for each in world.events)
    planner.learn([closed("b", 0.1, "adopt")])
    assert await kinds(planner, 1, world) == ["a"], "the structure is another"
    assert await kinds(Bandit([Offers(late("model"))]), 1, world) == ["model"], "nothing else is left"
