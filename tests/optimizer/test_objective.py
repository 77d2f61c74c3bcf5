"""What is better, by the user's words: how they are read, what a difference is worth in score, and what a judge makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pool_world import START, Lookup, Named, judged
from proposer_help import task_of
from search_help import searching
from test_combine import BASE, changed

from flowbot.fields import UserError
from flowbot.optimizer.aflow.tree import Tree
from flowbot.optimizer.allocator import Thompson
from flowbot.optimizer.belief import Belief
from flowbot.optimizer.bilevel import Bilevel
from flowbot.optimizer.confirm import Confirm
from flowbot.optimizer.judge import PosteriorJudge, weighed
from flowbot.optimizer.objective import AXES, CALL_WORTH, SAME_SHARE, TOLERATED, Axis, Limits, Objective, Takes
from flowbot.optimizer.parameters.combine import Combine
from flowbot.optimizer.planner import Bandit
from flowbot.optimizer.pool import Pool
from flowbot.optimizer.population import Candidate, Outcome, Population
from flowbot.optimizer.seams import Option, Proposal
from flowbot.run.events import Arm
from flowbot.runtime.program import WorkflowProgram

SCORE, COST, LATENCY = Objective(), Objective("cost"), Objective("latency")
WEIGHT = st.floats(0, 5)
TAKES = st.builds(
    Takes, calls=st.floats(1, 9), tokens=st.floats(10, 5000), usd=st.floats(1e-6, 0.1), seconds=st.floats(0.1, 60)
)
BELIEFS = st.builds(Belief, st.floats(-0.3, 0.3), st.floats(0.001, 0.2))


def less(one: Takes, other: Takes) -> Takes:
    return Takes(*(getattr(one, axis) - getattr(other, axis) for axis in AXES))


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("score", "score"),
        ("cost", "cost"),
        ("latency", "latency"),
        ("score=1,usd=0.2", "score=1,usd=0.2"),
        (" usd = 0.4 , score=2 ", "score=1,usd=0.2"),
        ("seconds=0.5", "score=1,seconds=0.5"),
        ("score=1", "score=1"),
        ({"tokens": 0.01, "calls": 0}, "score=1,tokens=0.01"),
    ],
)
def test_objectives_are_names_or_weights_that_are_told_in_one_way(given: object, name: str) -> None:
    found = Objective.parse(given)
    assert found.name == name
    assert Objective.parse(name) == found


@given(st.dictionaries(st.sampled_from(AXES), st.floats(1e-6, 1e4)))
def test_weights_that_were_written_down_are_read_as_they_were(weights: dict[Axis, float]) -> None:
    found = Objective.parse(weights)
    assert Objective.parse(found.name).name == found.name


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("costs", "'costs'; expected one of score, cost, latency .*or weights"),
        ("score=1,dollars=2", "'dollars'; expected one of score, calls, tokens, usd, seconds"),
        ("score=1,usd", "'usd'; expected"),
        ("usd=1,usd=2", "usd twice; expected each weight once"),
        ("score=0,usd=1", "score=0.0; expected a number of at least 0, of score above 0"),
        ("usd=nan", "usd=nan; expected a number"),
        ({"usd": True}, "usd=True; expected a number"),
        ({"usd": -1}, "usd=-1; expected a number"),
        (3, "3; expected score, cost"),
        (None, "None; expected score, cost"),
    ],
)
def test_what_is_no_objective_is_refused_with_what_would_be(given: object, said: str) -> None:
    with pytest.raises(UserError, match=f"^objective: found {said}"):
        Objective.parse(given)


@settings(max_examples=300)
@given(
    TAKES, TAKES, BELIEFS, st.dictionaries(st.sampled_from(AXES), WEIGHT), st.floats(0, 5), st.sampled_from((0.8, 0.92))
)
def test_a_larger_weight_of_dollars_never_prefers_the_dearer_program(
    mine: Takes, theirs: Takes, belief: Belief, weights: dict[Axis, float], more: float, bar: float
) -> None:
    before, after = (Objective.parse({**weights, "usd": weight}) for weight in (0.1, 0.1 + more))
    dear, cheap = sorted((mine, theirs), key=lambda each: cast("float", each.usd), reverse=True)
    took_before, took_after = (
        weighed(belief, each.price(less(dear, cheap), cheap, 1.0), bar).replaces for each in (before, after)
    )
    assert took_before or not took_after, "the dearer one is taken for dollars' sake"
    took_before, took_after = (
        weighed(belief, each.price(less(cheap, dear), dear, 1.0), bar).replaces for each in (before, after)
    )
    assert took_after or not took_before, "the cheaper one is left for dollars' sake"


@given(TAKES, TAKES, st.dictionaries(st.sampled_from(AXES), WEIGHT))
def test_by_weights_what_one_must_gain_the_other_may_lose(one: Takes, other: Takes, weights: dict[Axis, float]) -> None:
    objective = Objective.parse(weights)
    there, back = objective.price(less(one, other), other, 1.0), objective.price(less(other, one), one, 1.0)
    assert there == pytest.approx(-back)


def test_a_weight_is_of_what_the_page_says() -> None:
    for text, more in (
        ("usd=0.2", Takes(usd=0.001)),  # a dollar a thousand examples
        ("tokens=0.2", Takes(tokens=1000)),
        ("calls=0.2", Takes(calls=1)),
        ("seconds=0.2", Takes(seconds=1)),
    ):
        assert Objective.parse(text).price(more, Takes(1, 1, 1, 1), 0.5) == pytest.approx(0.2)


@settings(max_examples=200)
@given(TAKES, TAKES, st.floats(0.1, 1), st.floats(0, 0.1))
def test_cost_and_latency_let_the_cheaper_lose_what_is_tolerated_and_the_dearer_gain_more(
    mine: Takes, theirs: Takes, scale: float, lost: float
) -> None:
    for objective, axis in ((COST, "usd"), (LATENCY, "seconds")):
        more = less(mine, theirs)
        price = objective.price(more, theirs, scale, lost)
        share = getattr(more, axis) / getattr(theirs, axis)
        if share > SAME_SHARE:
            assert price >= TOLERATED * scale
        elif share < -SAME_SHARE:
            assert price == pytest.approx(-max(0.0, TOLERATED * scale - lost))
        else:
            assert price == pytest.approx(SCORE.price(more, theirs, scale)) or (price <= 0 and more.calls < 0)
        assert objective.price(more, theirs, scale) >= SCORE.price(more, theirs, scale) or share < -SAME_SHARE


def test_cost_is_in_dollars_and_in_tokens_where_no_price_is_known_or_none_is_to_pay() -> None:
    longer = Takes(tokens=50)
    for usd, priced in ((None, True), (0.0, True), (0.01, False)):
        other = Takes(1, 100, usd, 1)
        more = replace(longer, usd=None if usd is None else 0.0)
        assert (COST.price(more, other, 1.0) > 0) is priced


def tried(objective: Objective, takes: Outcome, limits: Limits | None = None, scores: int = 20) -> tuple[Any, ...]:
    """A candidate that scores as its parent does on all rows, and takes something else."""
    both = [1.0, 0.0] * scores
    candidate, population, rows = judged(both, both, Belief(0.0, 0.02))
    population.objective, population.limits = objective, limits or Limits()
    for row, score in zip(rows, both, strict=True):
        population.record("start", row, Outcome(score, 2, 100, 0.01, 2.0))
        population.record("changed", row, replace(takes, score=score))
    return candidate, population, rows


@pytest.mark.parametrize(
    ("objective", "takes", "decision"),
    [
        ("score", Outcome(0, 2, 50, 0.005, 1.0), "set aside"),
        ("score", Outcome(0, 1, 100, 0.01, 2.0), "adopt"),
        ("cost", Outcome(0, 2, 50, 0.005, 2.0), "adopt"),
        ("cost", Outcome(0, 2, 50, 0.0095, 1.0), "set aside"),
        ("latency", Outcome(0, 2, 100, 0.01, 1.0), "adopt"),
        ("latency", Outcome(0, 2, 50, 0.005, 1.9), "set aside"),
        ("score=1,usd=0.01", Outcome(0, 2, 50, 0.005, 2.0), "adopt"),
        ("score=1,usd=0.01", Outcome(0, 1, 50, 0.01, 1.0), "set aside"),
        ("score=1,tokens=0.5", Outcome(0, 2, 50, 0.01, 2.0), "adopt"),
        ("score=1,seconds=0.05", Outcome(0, 2, 100, 0.01, 1.0), "adopt"),
    ],
)
def test_among_equals_in_score_that_is_adopted_which_the_objective_prefers(
    objective: str, takes: Outcome, decision: str
) -> None:
    candidate, population, rows = tried(Objective.parse(objective), takes)
    found = PosteriorJudge[Named]().ruling(candidate, population, rows, population.extra_calls(candidate))
    assert found.decision == decision
    assert found.rule == ("cheaper" if decision == "adopt" else "posterior")


def test_a_chain_of_cheaper_programs_loses_no_more_than_one_may() -> None:
    candidate, population, rows = tried(COST, Outcome(0, 2, 50, 0.005, 2.0))
    assert population.price(candidate) == -TOLERATED
    population.start.belief = Belief(0.1, 0.0)  # of the first nothing is believed over another
    assert population.price(candidate) == -TOLERATED
    child = Candidate("p2", Named("child"), candidate, Arm(kind="k"), Belief(0.0, 0.02))
    for row in rows:
        population.record("child", row, Outcome(0.0, 2, 20, 0.001, 2.0))
    for loss, left in ((0.0, TOLERATED), (0.02, 0.01), (0.05, 0.0), (-0.05, TOLERATED)):
        candidate.belief = Belief(-loss, 0.01)
        assert population.price(child) == pytest.approx(-left)


def test_a_price_is_of_rows_that_both_were_run_on() -> None:
    candidate, population, _ = tried(Objective.parse("seconds=1"), Outcome(0, 2, 100, 0.01, 3.0))
    population.record("changed", "further", Outcome(0.0, seconds=1000.0))
    assert population.price(candidate) == pytest.approx(1.0)
    assert population.price(population.start) == 0.0


def test_what_is_slower_than_it_may_be_is_dropped_with_a_rule_of_its_own_once_enough_rows_show_it() -> None:
    limits = Limits(max_latency=2.5)
    better = ([1.0] * 40, [1.0, 0.0] * 20)
    for seconds, decision, rule in ((2.4, "adopt", "posterior"), (2.6, "drop", "latency")):
        candidate, population, rows = judged(*better, Belief(0.1, 0.1))
        population.limits = limits
        for row in rows:
            population.record("start", row, replace(population.outcomes(START)[row], seconds=2.0))
            population.record("changed", row, replace(population.outcomes(Named("changed"))[row], seconds=seconds))
        found = PosteriorJudge[Named]().ruling(candidate, population, rows, 0.0)
        assert (found.decision, found.rule) == (decision, rule)
        few = PosteriorJudge[Named]().ruling(candidate, population, [*rows[:6], "further"], 0.0)
        assert few.rule != "latency"


def test_a_start_that_is_too_slow_gives_way_to_what_is_not_though_that_loses_a_little() -> None:
    quick, slow = Outcome(0, 2, 100, 0.01, 1.9), Outcome(0, 2, 100, 0.01, 1.99)
    for limit, takes, price in ((1.95, quick, -TOLERATED), (1.95, slow, 0.0), (3.0, quick, 0.0)):
        candidate, population, rows = tried(SCORE, takes, Limits(max_latency=limit))
        assert population.price(candidate) == price
        assert PosteriorJudge[Named]().ruling(candidate, population, rows, 0.0).rule != "latency"


def test_an_option_is_charged_by_the_objective_before_it_is_run() -> None:
    option = Option(Arm(kind="k"), "k", "t", Belief(0.1, 0.1), extra=1.0, tokens=200.0)
    shorter = replace(option, extra=-1.0, tokens=0.0)
    world = Lookup(lambda name, row: 0.0, rows=10, planned=100)
    for row in world.rows:
        world.population.record("start", row, Outcome(float(row == "1"), 2, 400, 0.01, 4.0))

    async def asked(objective: Objective, of: Option) -> float:
        world.population.objective = objective
        bandit = Bandit[Named]([cast("Any", Offering([of]))])
        await bandit.picks(1, cast("Any", world))
        return 0.1 - bandit.plain(of).mean

    import asyncio

    def charged(text: str, of: Option) -> float:
        return asyncio.run(asked(Objective.parse(text), of))

    assert charged("score", option) == pytest.approx(CALL_WORTH * 1.1)
    assert charged("seconds=0.1", option) == pytest.approx(0.2), "a call takes two of its four seconds"
    assert charged("usd=0.1", option) == pytest.approx(1.0), (
        "half of its tokens by the call, half by the prompt: as dear again"
    )
    assert charged("tokens=0.1", option) == pytest.approx(0.04)
    assert charged("cost", option) == pytest.approx(TOLERATED)
    assert charged("cost", shorter) == charged("latency", shorter) == pytest.approx(-TOLERATED)


class Offering:
    def __init__(self, options: list[Option]) -> None:
        self._options = options

    def options(self, parent: object, context: object) -> list[Option]:
        return self._options

    async def propose(self, *given: object) -> list[Any]:
        return []

    def learn(self, outcomes: object) -> None:
        """Nothing."""


def test_the_allocator_runs_first_what_the_objective_prefers() -> None:
    candidate, population, rows = tried(Objective.parse("tokens=100"), Outcome(0, 2, 50, 0.01, 2.0), scores=5)
    dear = Candidate("p2", Named("dear"), population.start, Arm(kind="k"), Belief(0.0, 0.02))
    population.add(dear)
    for row in rows:
        population.record("dear", row, Outcome(0.0, 2, 500, 0.01, 2.0))
    world = Lookup(lambda name, row: 0.0, rows=20, planned=100)
    world.population = population
    first = [Thompson[Named]().blocks([dear, candidate], cast("Any", world))[0][0].id for _ in range(5)]
    assert set(first) == {"p1"}


def test_populations_that_nobody_gave_an_objective_have_that_of_score_and_no_limit() -> None:
    population = Population(START)
    assert population.objective.usual
    assert population.limits.dump() == {}
    assert population.charge(population.start) == 0.0


class Taking(Lookup):
    """A world in which every program but the start, `dear` and what is made of them takes a third of the tokens."""

    async def run(self, program: Named, rows: Sequence[str], why: str) -> None:
        await super().run(program, rows, why)
        for row in rows:
            known = self.population.outcomes(program)[row]
            tokens = 300.0 if program.hash in ("start", "dear") else 100.0
            self.population.record(program.hash, row, replace(known, tokens=tokens))


def candidate_in(world: Lookup, name: str, belief: Belief) -> Candidate[Named]:
    made = Candidate(name, Named(name), world.population.start, Arm(kind=name), belief)
    world.population.add(made)
    return made


def alike(program: str, row: int) -> float:
    return float(row % 2)


@pytest.mark.parametrize(("objective", "found"), [("score", "start"), ("cost", "cheap"), ("score=1,tokens=1", "cheap")])
async def test_unseen_rows_confirm_what_is_cheaper_and_scores_alike_where_the_objective_says_so(
    objective: str, found: str
) -> None:
    world = Taking(alike, 40, planned=400)
    world.population.objective = Objective.parse(objective)
    world.population.incumbent = candidate_in(world, "cheap", Belief(0.0, 0.02))
    chosen = await Confirm[Named]().choose(cast("Any", world))
    assert chosen.program.hash == found


@pytest.mark.parametrize("objective", ["cost", "score=1,tokens=1", "score=1,calls=0.1"])
def test_calls_and_tokens_of_another_model_count_as_what_it_costs(objective: str) -> None:
    for counted, better in ((0.2, True), (20.0, False)):
        candidate, population, _ = tried(Objective.parse(objective), Outcome(0, 2, 100, None, 2.0, counted))
        assert (population.price(candidate) < 0) is better


@pytest.mark.parametrize(
    ("objective", "found"), [("score", "best"), ("latency", "fast"), ("score=1,seconds=0.001", "near")]
)
def test_the_best_of_scores_is_the_fastest_within_what_may_be_lost_of_the_highest_however_many_replaced_another(
    objective: str, found: str
) -> None:
    world = Lookup(alike, 10, planned=400)
    population = world.population
    population.objective, population.limits = Objective.parse(objective), Limits(max_latency=30.0)
    ran = {"best": (0.8, 20.0), "near": (0.79, 9.0), "fast": (0.775, 7.0), "far": (0.76, 5.0), "slow": (0.9, 40.0)}
    members = [population.start, *(candidate_in(world, name, Belief(0.0, 0.02)) for name in ran)]
    scores = {"start": 0.5, **{name: score for name, (score, _) in ran.items()}}
    for each in members:
        seconds = ran.get(each.program.hash, (0.0, 25.0))[1]
        population.record(each.program.hash, "row", Outcome(scores[each.program.hash], seconds=seconds))
    population.record("start", "low", Outcome(0.0, seconds=25.0))
    population.record("start", "high", Outcome(1.0, seconds=25.0))
    assert population.best_of(members, lambda each: scores[each.program.hash]).program.hash == found


def test_what_is_within_the_limit_of_latency_may_lose_to_a_start_beyond_it_in_every_comparison_of_scores() -> None:
    world = Lookup(alike, 10, planned=400)
    world.population.limits = Limits(max_latency=2.0)
    member = candidate_in(world, "fast", Belief(0.0, 0.02))
    for name, seconds in (("start", 3.0), ("fast", 1.0)):
        world.population.record(name, "low", Outcome(0.0, seconds=seconds))
        world.population.record(name, "high", Outcome(1.0, seconds=seconds))
    scores = {"start": 0.5, "fast": 0.48}
    members = [world.population.start, member]
    assert world.population.best_of(members, lambda each: scores[each.program.hash]) is member
    world.population.limits = Limits()
    assert world.population.best_of(members, lambda each: scores[each.program.hash]) is members[0]


@pytest.mark.parametrize(("objective", "found"), [("score", "dear"), ("score=1,tokens=2", "cheap")])
async def test_the_best_on_validation_is_so_by_the_objective(objective: str, found: str) -> None:
    scores = {"start": 0.5, "dear": 0.7, "cheap": 0.6}
    world = Taking(lambda program, row: scores[program], 10, planned=400)
    world.population.objective = Objective.parse(objective)
    tried = [candidate_in(world, name, Belief(0.0, 0.02)) for name in ("dear", "cheap")]
    for each in (world.population.start, *tried):
        await world.run(each.program, world.validation, "val")
    loop, tree = Bilevel(), Tree(author=cast("Any", None))
    loop._validated = cast("Any", tried)  # pyright: ignore[reportPrivateUsage]
    tree.ranking.nodes = cast("Any", [world.population.start, *tried])
    world.rows = world.validation
    assert (await loop.choose(cast("Any", world))).program.hash == found
    assert tree.ranking.best(cast("Any", world)).program.hash == found


class Trying:
    """Offers the programs of these names, once each."""

    def __init__(self, *names: str) -> None:
        self._names = names

    def options(self, parent: Any, context: Any) -> list[Option]:
        return [Option(Arm(kind=name), name, name, Belief(0.0, 0.1)) for name in self._names]

    async def propose(self, parent: Any, focus: Any, want: int, context: Any) -> list[Any]:
        return [Proposal(Named(focus.option.key), focus.option.title, "prior")]

    def learn(self, outcomes: object) -> None:
        """Nothing."""


@pytest.mark.parametrize(("objective", "found"), [("score", "start"), ("cost", "cheap")])
async def test_a_search_ends_with_the_cheaper_of_two_that_score_alike_where_cost_is_what_counts(
    objective: str, found: str
) -> None:
    world = Taking(alike, 60, planned=600)
    world.population.objective = Objective.parse(objective)
    pool = Pool[Named](Bandit([cast("Any", Trying("cheap", "dear"))]), Thompson(), PosteriorJudge())
    await pool.search(cast("Any", world))
    assert world.population.incumbent.program.hash == found


async def test_what_is_better_and_dearer_is_put_together_with_nothing_where_it_is_not_worth_its_price(
    tmp_path: Path,
) -> None:
    task = task_of([{"q": f"q{row}", "a": "x"} for row in range(40)])
    for objective, offered in (("score", 1), ("score=1,tokens=1", 0)):
        folder = tmp_path / objective[:6]
        folder.mkdir(exist_ok=True)
        async with searching(task, BASE, lambda request: "x", folder, objective=Objective.parse(objective)) as search:
            population = search.population
            for row in search.rows[:6]:
                population.record(population.start.program.hash, row, Outcome(0.0, tokens=100))
            for name, path in (("one", "plan"), ("two", "answer")):
                program = WorkflowProgram(changed(path, "ruled"))
                made = Candidate(name, program, population.start, Arm(kind="rule", place=path), Belief(0.1, 0.05))
                population.add(made)
                for row in search.rows[:6]:
                    population.record(program.hash, row, Outcome(0.1, tokens=500))
            assert len(Combine().options(population.start, search)) == offered
