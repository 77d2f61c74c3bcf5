"""The front of what a run found: none of it is beaten, and whatever else was run is covered by one of it."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from flowbot.run.events import Arm, Ended, Event, Measure, Measured, Proposal, Started
from flowbot.run.front import FEWEST, SAME_SHARE, Ran, covers, front_of, ran

POINTS = st.lists(
    st.tuples(st.integers(0, 3), *(st.floats(0, 3) for _ in range(3)), st.floats(0, 3) | st.none()),
    min_size=1,
    max_size=8,
)
START = "0" * 16


def measured(program: int, point: tuple[float | None, ...], n: int = FEWEST, split: str = "train") -> Measured:
    score, calls, tokens, seconds, usd = point
    assert score is not None
    measure = Measure(mean=score / 3, low=0.0, high=1.0, n=n)
    values = {"calls": calls, "tokens": tokens, "seconds": seconds, "usd": usd}
    return Measured.model_validate(
        {"program": f"{program:016x}", "split": split, "score": measure, "spent": 0, **values}
    )


def proposal(program: int, title: str) -> Proposal:
    return Proposal(
        id=f"p{program}", level="parameters", arm=Arm(kind="k"), parents=(START,), program=f"{program:016x}", title=title,
        source="prior",
    )  # fmt: skip


def started() -> Started:
    return Started(run="r", task="t", goal="g", method="m", seed=0, effort=1, models={}, start=START, program={})


def beats(one: Ran, other: Ran) -> bool:
    mine, theirs = ((-each.score.mean, *each.costs) for each in (one, other))
    return (
        (one.usd is None) == (other.usd is None)
        and mine != theirs
        and all(a <= b for a, b in zip(mine, theirs, strict=True))
    )


@settings(max_examples=300)
@given(POINTS)
def test_none_of_the_front_is_beaten_and_each_other_workflow_is_covered_by_one_of_it(
    points: list[tuple[float | None, ...]],
) -> None:
    tried = ran([started(), *(measured(place, point) for place, point in enumerate(points))])
    front = front_of(tried)
    assert len(tried) == len(points)
    assert not [one for one in front for other in tried if beats(other, one)]
    assert all(any(covers(one, each) for one in front) for each in tried)


def test_what_two_runs_of_one_program_differ_by_is_no_advantage() -> None:
    best, like, cheap = (
        (3, 1.0, 100.0, 1.0, 0.0),
        (2, 1.0, 95.0, 0.96, 0.0),
        (2, 1.0, 100 * (0.9 - SAME_SHARE), 1.0, 0.0),
    )
    events = [started(), *(measured(place, point) for place, point in enumerate((best, like, cheap)))]
    assert [each.tokens for each in front_of(ran(events))] == [100.0, 80.0]


def test_an_unknown_price_is_neither_less_nor_more_than_a_known_one() -> None:
    unknown, known = (3, 1.0, 100.0, 1.0, None), (2, 1.0, 100.0, 1.0, 0.5)
    events = [started(), *(measured(place, point) for place, point in enumerate((known, unknown)))]
    assert [each.usd for each in front_of(ran(events))] == [None, 0.5]


def test_what_has_no_hash_for_a_name_is_not_told_of() -> None:
    point = (3, 1.0, 1.0, 1.0, 0.0)
    odd = measured(1, point).model_copy(update={"program": "../x"})
    assert [each.program for each in ran([started(), measured(0, point), odd])] == [START]


def test_what_was_run_on_few_rows_is_not_told_of_where_others_were_run_on_more() -> None:
    lucky, whole = (3, 1.0, 1.0, 1.0, None), (1, 1.0, 1.0, 1.0, None)
    events: list[Event] = [started(), measured(0, whole, n=3 * FEWEST), measured(1, lucky, n=FEWEST - 1)]
    assert [each.program for each in ran(events)] == [START]
    few = [started(), measured(0, whole, n=8), measured(1, lucky, n=4), measured(2, lucky, n=3)]
    assert [each.program for each in ran(few)] == [f"{1:016x}", START]
    ended = Ended(program=f"{2:016x}", title="", source="prior", stopped_by="finished", difference={})
    assert len(ran([*few, ended])) == 3, "what was found is always told of"


def test_each_has_the_title_of_the_change_that_made_it_and_its_part_in_the_run() -> None:
    points = [(each, 1.0, 1.0, 1.0, 0.0) for each in (1, 2, 3)]
    ended = Ended(program=f"{1:016x}", title="one", source="prior", stopped_by="finished", difference={})
    events: list[Event] = [
        started(),
        proposal(1, "one"),
        proposal(2, "two"),
        proposal(2, "two again"),
        *(measured(place, point) for place, point in enumerate(points)),
        measured(0, points[2], split="val"),
    ]
    told = [(each.title, each.role) for each in ran([*events, ended])]
    assert told == [("two", "tried"), ("one", "found"), ("start", "start")]
    unchanged = ended.model_copy(update={"program": START})
    assert {each.role for each in ran([*events, unchanged])} == {"start", "tried"}
