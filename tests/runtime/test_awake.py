"""A result that was made while the process stood still is made again; a busy machine and a slow function are no such case."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowbot.runtime.awake import TRIES, Watch, undisturbed


def _watch(*looks: tuple[float, float]) -> Watch:
    """One whose clocks show these times (passed, worked), one pair a look."""
    passed: Iterator[float] = iter([each for each, _ in looks])
    worked: Iterator[float] = iter([each for _, each in looks])
    watch = Watch(lambda: next(passed), lambda: next(worked))
    watch.look()
    watch.stops = 0
    for _ in looks[1:]:
        watch.look()
    return watch


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 1)), max_size=8))
def test_each_long_gap_without_work_counts_once(steps: list[tuple[float, float]]) -> None:
    looks = [(0.0, 0.0)]
    for gap, share in steps:
        looks.append((looks[-1][0] + gap, looks[-1][1] + gap * share))
    still = sum(gap > 2 and share < 0.1 for gap, share in steps)
    busy = sum(gap < 1 or share > 0.3 for gap, share in steps)
    assert still <= _watch(*looks).stops <= len(steps) - busy


async def test_what_was_made_while_the_process_stood_still_is_made_again() -> None:
    watch = Watch()
    made: list[int] = []

    async def make() -> int:
        made.append(len(made))
        watch.stops += len(made) == 1
        return made[-1]

    assert await undisturbed(make, watch) == 1
    assert await undisturbed(make, watch) == 2


async def test_it_is_made_a_few_times_at_most() -> None:
    watch = Watch()
    made: list[int] = []

    async def make() -> int:
        made.append(0)
        watch.stops += 1
        return len(made)

    assert await undisturbed(make, watch) == TRIES


async def test_an_error_is_raised_at_once_and_no_one_is_watched_afterwards() -> None:
    watch = Watch()

    async def make() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await undisturbed(make, watch)
    with watch.watching():
        assert watch.stops == 0
