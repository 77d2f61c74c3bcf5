"""The instance front of a population against brute force, and lineages."""

from __future__ import annotations

from collections import Counter
from itertools import combinations, pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from pool_world import START, Named

from flowbot.optimizer.belief import Belief
from flowbot.optimizer.objective import SAME_CALLS
from flowbot.optimizer.population import Candidate, Outcome, Population
from flowbot.run.events import Arm

SCORES = st.lists(
    st.lists(st.integers(0, 3) | st.none(), min_size=4, max_size=4), min_size=1, max_size=6
)  # of each member on four rows; None: it was not run there


def of(table: list[list[int | None]]) -> tuple[Population[Named], list[str]]:
    population = Population(START)
    for place, scores in enumerate(table):
        name = f"c{place}" if place else "start"
        if place:
            population.add(Candidate(name, Named(name), population.start, Arm(kind="k"), Belief(0.0, 0.1)))
        for row, score in enumerate(scores):
            if score is not None:
                population.record(name, str(row), Outcome(score / 3))
    return population, [str(row) for row in range(4)]


def as_published(table: list[list[int | None]]) -> Counter[str]:
    """GEPA's `remove_dominated_programs`, step by step: whoever is best nowhere alone goes, the worst first, until nobody does."""
    names = {f"c{place}" if place else "start": scores for place, scores in enumerate(table)}
    fronts: list[set[str]] = []
    for row in range(4):
        known = {name: score for name, scores in names.items() if (score := scores[row]) is not None}
        if known:
            fronts.append({name for name, score in known.items() if score == max(known.values())})

    def mean(name: str) -> float:
        run = [score for score in names[name] if score is not None]
        return sum(run) / len(run)

    gone: set[str] = set()
    members = sorted(set().union(*fronts), key=lambda name: (mean(name), name))
    again = True
    while again:
        again = False
        for name in members:
            others = set(members) - gone - {name}
            if name not in gone and others and all(others & front for front in fronts if name in front):
                gone.add(name)
                again = True
                break
    return Counter(name for front in fronts for name in front - gone)


@settings(max_examples=300)
@given(SCORES)
def test_the_instance_front_is_the_published_one(table: list[list[int | None]]) -> None:
    population, rows = of(table)
    assert population.instance_front(rows) == as_published(table)


@settings(max_examples=200)
@given(SCORES)
def test_every_row_has_a_winner_on_the_instance_front_and_no_member_of_it_can_be_spared(
    table: list[list[int | None]],
) -> None:
    population, rows = of(table)
    front = population.instance_front(rows)
    best: list[set[str]] = []
    for row in rows:
        seen = {
            each.id: scores[row].score
            for each in population.members
            if row in (scores := population.outcomes(each.program))
        }
        if seen:
            best.append({name for name, score in seen.items() if score == max(seen.values())})
    for winners in best:
        assert winners & set(front)
    for name in front:
        rest = set(front) - {name}
        assert not rest or not all(winners & rest for winners in best), f"{name} is best nowhere alone"


def test_whoever_was_not_run_is_not_on_the_instance_front_and_a_mean_with_an_unknown_price_is_unknown() -> None:
    population, rows = of([[3, 0, 0, 0], [None, None, None, None]])
    assert set(population.instance_front(rows)) == {"start"}
    free = Population(START)
    free.record("start", "0", Outcome(1.0, usd=None))
    assert free.mean(START, "usd") is None
    assert free.takes(START).usd is None


@settings(max_examples=100)
@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), min_size=1, max_size=8))
def test_lineage_is_whom_one_is_compared_with_and_history_what_one_was_made_from(links: list[tuple[int, int]]) -> None:
    population = Population(START)
    members = [population.start]
    for number, (parent, origin) in enumerate(links, start=1):
        against, made_from = members[parent % number], members[origin % number]
        each = Candidate(
            f"c{number}", Named(f"c{number}"), against, Arm(kind="k"), Belief(0.0, 0.1),
            origin=None if made_from is against else made_from,
        )  # fmt: skip
        members.append(each)
    for each in members:
        for chain, before in (
            (each.lineage, lambda one: one.parent),
            (each.history, lambda one: one.origin or one.parent),
        ):
            assert chain[0] is population.start
            assert chain[-1] is each
            assert all(before(later) is earlier for earlier, later in pairwise(chain))
            assert len(set(map(id, chain))) == len(chain)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=12))
def test_extra_calls_are_the_mean_over_common_rows_and_turn_their_sign_when_sides_are_changed(
    calls: list[tuple[int, int]],
) -> None:
    population = Population(START)
    one, other = (
        Candidate(name, Named(name), population.start, Arm(kind="k"), Belief(0.0, 0.1)) for name in ("one", "other")
    )
    for row, (mine, theirs) in enumerate(calls):
        population.record("one", str(row), Outcome(1.0, mine))
        population.record("other", str(row), Outcome(1.0, theirs))
    population.record("one", "alone", Outcome(1.0, 99))
    mean = sum(mine - theirs for mine, theirs in calls) / len(calls)
    assert abs(population.extra_calls(one, other) - (mean if abs(mean) >= SAME_CALLS else 0.0)) < 1e-9
    assert population.extra_calls(one, other) == -population.extra_calls(other, one)


def test_a_population_forgets_in_any_order_to_what_it_was() -> None:
    """What a ceiling cut short is taken back row by row; nothing that is asked afterwards tells that it was there."""
    rows = [("a", "0", 0.2), ("a", "1", 0.9), ("b", "0", 1.0), ("b", "1", 0.0)]
    for taken in combinations(range(4), 2):
        whole, kept = Population(START), Population(START)
        for place, (program, row, score) in enumerate(rows):
            whole.record(program, row, Outcome(score))
            if place not in taken:
                kept.record(program, row, Outcome(score))
        for place in reversed(taken):
            whole.forget(*rows[place][:2])
        assert whole.scale == kept.scale
        for name in "ab":
            assert dict(whole.outcomes(Named(name))) == dict(kept.outcomes(Named(name)))
