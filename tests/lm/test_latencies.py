"""What is remembered of an endpoint's times, against a version that remembers everything."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowbot.lm.latencies import ENOUGH, GROUPS, RECENT, Latencies

TIMES = st.floats(min_value=0.0, max_value=1e6)


class Naive:
    """Keeps all, sorts each time."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, float]] = []

    def quantile(self, group: str, share: float) -> float | None:
        own = [seconds for name, seconds in self.seen if name == group]
        times = sorted(own[-RECENT:])
        if len(own) < ENOUGH:
            return None
        return next(each for each in times if sum(other <= each for other in times) >= share * len(times))


@given(
    st.lists(st.tuples(st.sampled_from("aaab"), TIMES | st.sampled_from([0.0, 1.0, 2.0])), max_size=300),
    st.sampled_from([0.0, 0.25, 0.5, 0.95, 1.0]),
)
def test_agrees_with_a_naive_version(seen: list[tuple[str, float]], share: float) -> None:
    latencies, naive = Latencies(), Naive()
    for group, seconds in seen:
        latencies.saw(group, seconds)
        naive.seen.append((group, seconds))
    for group in ("a", "b", "never seen"):
        assert latencies.quantile(group, share) == naive.quantile(group, share)
        assert latencies.longest(group) == naive.quantile(group, 1.0)


def test_too_few_calls_say_nothing() -> None:
    latencies = Latencies()
    for n in range(ENOUGH - 1):
        latencies.saw("a", float(n))
    assert latencies.longest("a") is None
    latencies.saw("b", 0.5)
    assert latencies.longest("a") is None  # others' times are not its own
    latencies.saw("a", 0.5)
    assert latencies.longest("a") == ENOUGH - 2


def test_what_was_long_ago_is_forgotten() -> None:
    latencies = Latencies()
    latencies.saw("a", 100.0)
    for _ in range(RECENT - 1):
        latencies.saw("a", 1.0)
    assert latencies.longest("a") == 100.0
    latencies.saw("a", 1.0)
    assert latencies.longest("a") == 1.0


def test_the_group_that_was_seen_longest_ago_goes_first() -> None:
    latencies = Latencies()
    for group, seconds in (("old", 7.0), ("kept", 5.0)):
        for _ in range(ENOUGH):
            latencies.saw(group, seconds)
    for n in range(GROUPS - 2):
        latencies.saw(f"other {n}", 1.0)
    latencies.saw("old", 7.0)
    for _ in range(RECENT):
        latencies.saw("one more", 1.0)
    assert latencies.longest("old") == 7.0
    assert latencies.longest("kept") is None


@pytest.mark.parametrize(("share", "expected"), [(0.0, 1.0), (0.5, 50.0), (0.95, 95.0), (1.0, 100.0)])
def test_a_quantile_is_a_time_that_was_seen(share: float, expected: float) -> None:
    latencies = Latencies()
    for n in range(100, 0, -1):
        latencies.saw("a", float(n))
    assert latencies.quantile("a", share) == expected
