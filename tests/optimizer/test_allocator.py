"""Who gets rows: new candidates first and side by side, then those that may be the best."""

from __future__ import annotations

from collections import Counter

from pool_world import Lookup, Named

from flowbot.optimizer.allocator import BLOCK, FIRST, Thompson
from flowbot.optimizer.belief import Belief
from flowbot.optimizer.population import Candidate, Outcome
from flowbot.run.events import Arm


def challengers(
    *means: float, seed: int = 0, shown: frozenset[str] = frozenset()
) -> tuple[list[Candidate[Named]], Lookup]:
    context = Lookup(lambda program, row: 0.0, 20, 1000, seed=seed)
    population = context.population
    for mean in means:
        name = f"c{len(population.members)}"
        population.add(Candidate(name, Named(name), population.start, Arm(kind="k"), Belief(mean, 0.05), shown=shown))
    return population.open, context


def run(context: Lookup, name: str, rows: int) -> None:
    for row in context.rows[:rows]:
        context.population.record(name, row, Outcome(0.0))
        context.population.record("start", row, Outcome(0.0))


def test_all_new_candidates_come_first_with_a_block_each() -> None:
    candidates, context = challengers(0.0, 0.0, 0.9)
    run(context, "c3", 6)
    blocks = Thompson[Named]().blocks(candidates, context)
    assert [(each.id, len(rows)) for each, rows in blocks] == [("c1", FIRST), ("c2", FIRST)]


def test_then_as_many_as_it_is_wide_the_likeliest_most_often_on_their_next_rows() -> None:
    drawn: Counter[str] = Counter()
    for seed in range(40):
        candidates, context = challengers(0.0, 0.0, 0.08, seed=seed)
        for name, rows in (("c1", 6), ("c2", 6), ("c3", 12)):
            run(context, name, rows)
        blocks = dict(Thompson[Named](width=2).blocks(candidates, context))
        assert len(blocks) == 2
        assert blocks.get(candidates[2], context.rows[12:18]) == context.rows[12 : 12 + BLOCK]
        drawn.update(each.id for each in blocks)
    assert drawn["c3"] > max(drawn["c1"], drawn["c2"]) > 0


def test_rows_that_the_author_was_shown_and_rows_that_were_run_are_left_out() -> None:
    candidates, context = challengers(0.0, shown=frozenset({"6", "7"}))
    run(context, "c1", 6)
    ((_, rows),) = Thompson[Named]().blocks(candidates, context)
    assert rows == ["8", "9", "10", "11", "12", "13"]
