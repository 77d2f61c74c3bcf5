"""kill -9 at named points of a run: it goes on as if nothing had been, and no call whose reply was stored is made again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from crash_lives import Run

DEATHS = {
    "after-reply": [1, 80, 120],
    "in-commit": [1, 40, 70],
    "after-commit": [1, 40, 70],
    "before-journal": [1, 6, 9],
    "in-journal": [1, 6, 9],
    "after-journal": [1, 6, 9],
}
"""Point and passage at which each life of a run ends; passages count what the life before left to do."""


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run that nothing disturbs."""
    run = Run(tmp_path_factory.mktemp("calm"))
    assert not run.live().killed
    return run


def die(run: Run, *deaths: str) -> None:
    """Live until each of the deaths, then to the end."""
    for death in deaths:
        assert run.live(die=death).killed, death
    assert not run.live().killed


@pytest.mark.parametrize("point", DEATHS)
def test_dying_again_and_again_at_a_point_changes_nothing(calm: Run, tmp_path: Path, point: str) -> None:
    run = Run(tmp_path)
    die(run, *(f"{point}:{number}" for number in DEATHS[point]))
    assert run.violations(calm) == []


@pytest.mark.parametrize("point", ["in-result", "in-migration"])
def test_dying_at_every_passage_of_a_rare_point_changes_nothing(calm: Run, tmp_path: Path, point: str) -> None:
    passages = calm.lives[0].told["passages"][point]
    assert passages > 1
    run = Run(tmp_path)
    die(run, *(f"{point}:{number}" for number in range(1, passages + 1)))
    assert run.violations(calm) == []


def test_dying_at_a_different_point_each_time_changes_nothing(calm: Run, tmp_path: Path) -> None:
    run = Run(tmp_path)
    die(
        run, "in-migration:1", "after-reply:20", "in-commit:15", "in-journal:2", "after-commit:20", "before-journal:3",
        "after-journal:2", "in-result:5",
    )  # fmt: skip
    assert run.violations(calm) == []


def test_a_reply_that_was_not_committed_is_the_only_thing_lost(calm: Run, tmp_path: Path) -> None:
    run = Run(tmp_path)
    life = run.live(die="after-reply:1")
    assert life.after == frozenset()
    assert life.lost_replies == frozenset(life.replied)
    assert len(life.lost_replies) == 1
    again = run.live()
    assert life.lost <= frozenset(again.sent)


def test_half_a_line_of_the_journal_is_written_anew(calm: Run, tmp_path: Path) -> None:
    run = Run(tmp_path)
    journal = run.live(die="in-journal:5").journal
    assert journal.count(b"\n") == 4
    assert not journal.endswith(b"\n")
    assert calm.lives[0].journal.startswith(journal)
    assert run.live(die="before-journal:1").journal == journal
    written = run.live(die="after-journal:1").journal
    assert [json.loads(line) for line in written.splitlines()] == [
        json.loads(line) for line in calm.lives[0].journal.splitlines()[:5]
    ]
