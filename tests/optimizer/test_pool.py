"""The loop: it replays, who answers first does not matter, no call goes past what was planned, and it says why it stops."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random

import pytest
from pool_world import Lookup, Named

from flowbot.optimizer.admission import admitted
from flowbot.optimizer.allocator import Thompson
from flowbot.optimizer.belief import Belief
from flowbot.optimizer.judge import PosteriorJudge
from flowbot.optimizer.planner import Bandit
from flowbot.optimizer.pool import Pool
from flowbot.optimizer.population import Candidate, Population
from flowbot.optimizer.seams import Focus, Option, Pick, Proposal
from flowbot.run.events import Arm, Event, Verdict

EFFECTS = {"a": 0.25, "b": -0.2, "c": 0.0, "d": 0.1, "e!": 0.02, "f": -0.05}
"""What each change adds to the accuracy of a program; `!` is a further call an example."""


def score(program: str, row: int) -> float:
    """Right where a row's difficulty lies below the accuracy; each change shuffles a little."""
    changes = program.split("+")[1:]
    accuracy = 0.4 + sum(EFFECTS[change.rstrip("1234567890")] for change in changes)
    return float(Random(f"row/{row}").random() + 0.1 * Random(f"{program}/{row}").gauss(0, 1) < accuracy)


class Changes:
    """Offers every change once; `empty` ones come to nothing, and of `costly` ones a proposal costs five calls."""

    def __init__(self, *, most: int = 1, at_once: int = 1, cost: int = 0, empty: bool = False) -> None:
        self.most, self.at_once, self.cost, self.empty = most, at_once, cost, empty

    def options(self, parent: Candidate[Named], context: Lookup) -> list[Option]:
        return [
            Option(
                Arm(kind=change),
                f"{parent.program.hash}/{change}",
                change,
                Belief(0.0, 0.12),
                cost=self.cost,
                most=self.most,
                at_once=self.at_once,
            )
            for change in EFFECTS
            if f"+{change}" not in parent.program.hash
        ]

    async def propose(
        self, parent: Candidate[Named], focus: Focus, want: int, context: Lookup
    ) -> list[Proposal[Named]]:
        context.spent += self.cost
        if self.empty:
            return [Proposal(None, focus.option.title, "meta", faults=("no program",))]
        name = f"{parent.program.hash}+{focus.option.title}" + (str(focus.draw) if focus.draw else "")
        return [
            Proposal(Named(name + "9" * more), focus.option.title, "prior", shown=tuple(context.rows[:2]))
            for more in range(want)
        ]


async def searched(
    planned: float, *, rows: int = 40, late: int | None = None, changes: Changes | None = None, seed: int = 0
) -> tuple[Lookup, str]:
    context = Lookup(score, rows, planned, seed=seed, late=None if late is None else Random(late))
    why = await Pool(Bandit([changes or Changes()]), Thompson(), PosteriorJudge()).search(context)
    return context, why


def verdicts(events: Sequence[Event]) -> list[Verdict]:
    return [event for event in events if event.event == "verdict"]


async def test_it_finds_the_change_that_helps() -> None:
    context, _ = await searched(600)
    assert "+a" in context.population.incumbent.program.hash
    assert "+b" not in context.population.incumbent.program.hash


async def test_the_same_seed_is_the_same_search_and_another_is_not() -> None:
    first, again, other = [(await searched(300, seed=seed))[0] for seed in (1, 1, 2)]
    assert first.events == again.events
    assert first.events != other.events


@pytest.mark.parametrize("late", range(5))
async def test_who_answers_first_does_not_matter(late: int) -> None:
    in_order, _ = await searched(400)
    shuffled, _ = await searched(400, late=late)
    assert shuffled.events == in_order.events
    assert shuffled.together > 1


@pytest.mark.parametrize("planned", [-30, -3, 0, 1, 5, 17, 40, 101, 250])
@pytest.mark.parametrize("cost", [0, 5])
async def test_no_call_goes_past_what_was_planned(planned: int, cost: int) -> None:
    context, _ = await searched(planned, changes=Changes(cost=cost))
    assert context.spent <= max(0, planned)


async def test_first_blocks_are_run_side_by_side() -> None:
    context, _ = await searched(16 + 6 * 6)
    assert context.together == 5


async def test_verdicts_come_in_the_order_of_the_draws_and_shown_rows_do_not_count() -> None:
    context, _ = await searched(600)
    assert all(verdict.n <= 38 for verdict in verdicts(context.events))
    closed = [verdict for verdict in verdicts(context.events) if verdict.decision == "adopt"]
    assert closed
    order = {event.id: place for place, event in enumerate(context.events) if event.event == "proposal"}
    assert all(order[verdict.proposal] < context.events.index(verdict) for verdict in closed)


async def test_it_stops_where_nothing_is_left_to_try_and_says_so() -> None:
    context, why = await searched(10_000, rows=12)
    assert why == "nothing is left to try"
    assert context.spent < 10_000
    assert (await searched(60))[1] == "the planned calls are used"


async def test_before_it_stops_the_incumbent_is_run_on_more_rows_for_mistakes_to_propose_from() -> None:
    class FromMistakes(Changes):
        def options(self, parent: Candidate[Named], context: Lookup) -> list[Option]:
            wrong = [each for each in context.population.outcomes(parent.program).values() if not each.score]
            return super().options(parent, context) if wrong else []

    def rare(program: str, row: int) -> float:
        return float(row != 29 or "+a" in program)

    context = Lookup(rare, 40, 1000)
    await Pool(Bandit([FromMistakes()]), Thompson(), PosteriorJudge()).search(context)
    assert len(context.population.members) == 1 + len(EFFECTS)
    noted = [event.text for event in context.events if event.event == "noted" and "more row" in event.text]
    assert noted[0] == "nothing is left to try: the incumbent is run on 16 more rows"
    for planned in (0, 9, 20, 39, 1000):
        context = Lookup(lambda program, row: 1.0, 40, planned)
        why = await Pool(Bandit([FromMistakes()]), Thompson(), PosteriorJudge()).search(context)
        assert (why, context.spent) == ("nothing is left to try", min(40, planned)), (
            "a row once, and no more than planned"
        )


async def test_what_no_row_is_evidence_for_is_set_aside_and_does_not_end_the_search() -> None:
    class ShownAll(Changes):
        async def propose(
            self, parent: Candidate[Named], focus: Focus, want: int, context: Lookup
        ) -> list[Proposal[Named]]:
            (made,) = await super().propose(parent, focus, want, context)
            return [replace(made, shown=tuple(context.rows)) if focus.option.title == "b" else made]

    context, why = await searched(10_000, changes=ShownAll())
    assert why == "nothing is left to try"
    assert not context.population.open
    assert "+a" in context.population.incumbent.program.hash
    unseen = [each for each in verdicts(context.events) if each.n == 0]
    assert unseen
    assert {each.decision for each in unseen} == {"set aside"}


async def test_all_that_one_draw_is_asked_for_are_candidates() -> None:
    context, _ = await searched(60, changes=Changes(at_once=2))
    names = {each.program.hash for each in context.population.members[1:]}
    assert names
    assert {f"{name.rstrip('9')}9" for name in names} | {name.rstrip("9") for name in names} == names


async def test_proposals_without_a_program_are_journaled_and_end() -> None:
    context, why = await searched(300, changes=Changes(empty=True))
    proposals = [event for event in context.events if event.event == "proposal"]
    assert len(proposals) == len(EFFECTS)
    assert all(event.program is None and event.faults for event in proposals)
    assert (why, verdicts(context.events)) == ("nothing is left to try", [])


async def test_on_a_plateau_another_parent_is_tried_and_compared_with_the_incumbent() -> None:
    context, _ = await searched(3000, changes=Changes(most=3))
    moved = [event.text for event in context.events if event.event == "noted" and "now from" in event.text]
    assert moved
    grown = [each for each in context.population.members if each.origin is not None]
    assert grown
    assert all(each.parent is not each.origin for each in grown)
    assert all(each.origin.program.hash in each.program.hash for each in grown if each.origin)


def test_rows_that_the_author_of_another_parent_was_shown_are_no_evidence_over_the_incumbent() -> None:
    population = Population(Named("start"))
    arm, belief = Arm(kind="k"), Belief(0.0, 0.1)
    incumbent = Candidate("p1", Named("a"), population.start, arm, belief, shown=frozenset({"1"}))
    other = Candidate("p2", Named("b"), population.start, arm, belief, shown=frozenset({"2"}))
    proposal = Proposal(Named("b+c"), "c", "meta", shown=("3",))
    focus = Focus(Option(arm, "c", "c", belief), 0, belief, belief, shown=("4",))
    made = [
        admitted("p3", Pick(parent, Changes(), focus), proposal, Named("b+c"), incumbent)
        for parent in (other, incumbent)
    ]
    assert [sorted(each.shown) for each in made] == [["2", "3", "4"], ["3", "4"]]


@pytest.mark.parametrize("planned", [60, 150, 220, 400])
async def test_of_every_valid_proposal_a_verdict_is_given_when_the_calls_are_used(planned: int) -> None:
    context, _ = await searched(planned)
    made = [each.id for each in context.population.members[1:]]
    assert len(made) >= 5
    assert sorted(each.proposal for each in verdicts(context.events)) == sorted(made), "each once"
    assert not context.population.open


class Switches:
    """Changes of the incumbent that each other change may make needless: `a` is enough, `b!` is half as good and takes a call more."""

    def options(self, parent: Candidate[Named], context: Lookup) -> list[Option]:
        if parent is not context.population.incumbent:
            return []
        priors = {"b!": 0.12, "a": -0.1}
        return [
            Option(Arm(kind=name), f"{parent.program.hash}/{name}", name, Belief(prior, 0.12), late=True)
            for name, prior in priors.items()
        ]

    async def propose(
        self, parent: Candidate[Named], focus: Focus, want: int, context: Lookup
    ) -> list[Proposal[Named]]:
        on = {*parent.program.hash.split("+")[1:]} ^ {focus.option.title}
        return [Proposal(Named("+".join(["start", *sorted(on)])), focus.option.title, "prior")]

    def learn(self, outcomes: Sequence[tuple[Candidate[Named], Verdict]]) -> None:
        """Nothing."""


@pytest.mark.parametrize("seed", range(3))
async def test_what_was_set_aside_beside_another_incumbent_is_a_candidate_again_for_a_settled_structure(
    seed: int,
) -> None:
    def better(program: str, row: int) -> float:
        accuracy = 0.95 if "+a" in program else 0.65 if "+b" in program else 0.1
        return float(Random(f"row/{row}").random() < accuracy)

    context = Lookup(better, 40, 2000, seed=seed)
    await Pool(Bandit([Switches()]), Thompson(), PosteriorJudge()).search(context)
    assert context.population.incumbent.program.hash == "start+a"
    assert sum(each.program.hash == "start+a" for each in context.population.members) > 1
