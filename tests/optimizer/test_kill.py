"""kill -9 from outside at random moments: the same command goes on, ends as an undisturbed run, and pays for nothing twice."""

from __future__ import annotations

from pathlib import Path
from random import Random

from crash_lives import Run

MEDIUM = ("--effort", "medium")


def test_ten_kills_of_one_run_change_nothing_and_no_stored_call_is_made_again(tmp_path: Path) -> None:
    calm = Run(tmp_path / "calm", MEDIUM)
    undisturbed = calm.live()
    assert undisturbed.told["result"]["spent"]["calls"] == len(undisturbed.after)
    moments = sorted(Random(20261121).sample(range(undisturbed.lines - 100), k=10))
    run = Run(tmp_path / "killed", MEDIUM)
    for moment in moments:
        assert run.live(line=moment).killed, f"killed after {moment} lines"
    last = run.live()
    assert run.violations(calm) == []
    paid = sum(len(frozenset(life.replied)) for life in run.lives)
    lost = sum(len(life.lost_replies) for life in run.lives)
    assert paid - lost == len(undisturbed.after) == len(last.after)
    told = last.told["result"]
    assert told["now"]["calls"] < paid - lost <= told["spent"]["calls"] <= paid
