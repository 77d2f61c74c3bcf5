"""How far a run is: the share of the planned work never falls, follows the work, and says which finalist is meant."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from flowbot.optimizer.progress import ProgressEvent, Watch
from flowbot.optimizer.run import optimize_async
from flowbot.task import Task


async def watched(task: Task, folder: Path, **given: Any) -> list[ProgressEvent]:
    small = replace(task, splits={split: rows[:16] for split, rows in task.splits.items()})
    events: list[ProgressEvent] = []
    options = {"lm": "fake/counter", "effort": "low", "run_dir": folder / "run", "cache_dir": folder / "cache", **given}
    await optimize_async(small, progress=events.append, **options)
    return events


@pytest.mark.parametrize("method", ["flowbot", "paper", "none+none"])
async def test_the_share_never_falls_moves_in_small_steps_and_is_whole_at_the_end(
    orders: Task, tmp_path: Path, method: str
) -> None:
    shares = [event.share for event in await watched(orders, tmp_path, method=method)]
    assert shares == sorted(shares)
    assert shares[0] < 0.1
    assert 0.9 < shares[-2] < 1
    assert shares[-1] == 1
    jumps = [after - before for before, after in pairwise(shares)]
    assert max(jumps) < 0.3


async def test_phases_take_the_share_that_is_planned_for_them(orders: Task, tmp_path: Path) -> None:
    events = await watched(orders, tmp_path)
    at = {event.phase: event.share for event in events}
    assert at["start"] < at["search"] <= at["validation"] < at["test"] == 1, "there may be nothing to validate"
    assert all(event.share <= 0.5 for event in events if event.phase == "start")


async def test_what_is_tried_and_decided_is_said_and_the_best_score_has_its_interval(
    orders: Task, tmp_path: Path
) -> None:
    events = await watched(orders, tmp_path, method="paper")
    decided = [event for event in events if event.what in ("kept", "rejected")]
    assert decided
    assert all(event.text.startswith("Taken as it is: ") and event.phase == "search" for event in decided)
    steps = [event.text for event in events if event.phase == "search" and event.what == "step"]
    assert any(text.endswith(" training examples") for text in steps)
    last = events[-1]
    assert last.best is not None
    assert last.between is not None
    assert last.between[0] <= last.best <= last.between[1]
    assert "best" in str(last)


async def test_verdicts_are_said_with_what_they_stand_on(orders: Task, tmp_path: Path) -> None:
    events = await watched(orders, tmp_path, effort=300)
    told = [event.text for event in events if event.what in ("kept", "rejected")]
    assert told
    for text in told:
        assert re.match(
            r"(Adopted|Dropped|Set aside|(C|Not c)onfirmed on validation) \(\d+ % against \d+ % on \d+ pairs?\): ", text
        )


def test_a_search_step_that_ends_early_moves_the_share_to_its_end_and_one_that_takes_long_waits_there() -> None:
    events: list[ProgressEvent] = []
    watch = Watch(events.append)
    calls = [0]
    watch.calls = lambda: calls[0]
    watch.plan = {"start": 10, "search": 80, "validation": 0, "test": 10}
    watch.enter("start", 10)
    watch.step("scoring", 5, 10)
    watch.step("scoring what is missing", 0, 5)
    watch.passed(10)
    watch.enter("search", 2)
    watch.step("racing")
    calls[0] = 500
    watch.step("racing")
    watch.passed()
    watch.step("racing")
    watch.passed()
    watch.enter("test", 10)
    watch.step("testing", 0, 10)
    assert [round(event.share, 2) for event in events] == [0.05, 0.05, 0.1, 0.5, 0.5, 0.9]
