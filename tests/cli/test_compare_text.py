"""What a person reads of a comparison: claims no more than the numbers, names what was left out, stays within its width."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from compare_sample import scores, write_run

from flowbot.cli.compare import show
from flowbot.cli.console import Console
from flowbot.run.comparisons import compare

Read = Callable[..., str]
FLAT = [1.0] * 10 + [0.0] * 30
BETTER = [1.0] * 30 + [0.0] * 10


@pytest.fixture
def read(capsys: pytest.CaptureFixture[str]) -> Read:
    """What a person reads of runs side by side, in one line."""

    def reading(*runs: Path) -> str:
        capsys.readouterr()
        show(compare(*runs), Console("plain").page())
        lines = capsys.readouterr().out.splitlines()
        assert max(len(line) for line in lines if "/" not in line) <= 80
        return " ".join(" ".join(lines).split())

    return reading


def test_a_clear_difference_is_called_better_and_a_small_one_may_be_chance(read: Read, tmp_path: Path) -> None:
    a = write_run(tmp_path / "a", scores(FLAT), method="none")
    b = write_run(tmp_path / "b", scores(BETTER))
    c = write_run(tmp_path / "c", scores([*BETTER[:-1], 1.0]), method="random")
    two = read(a, b)
    assert "B against A: +50" in two
    assert "p below 0.001: better" in two
    assert "corrected" not in two
    three = read(b, c, a)
    assert "B against A: +2" in three or "B against A: +3" in three
    assert "may be chance" in three
    assert "C against A: −50" in three
    assert ": worse" in three
    assert "corrected for 3 comparisons (Holm)" in three


def test_a_run_with_a_control_is_told_apart_from_the_run_it_controls(read: Read, tmp_path: Path) -> None:
    a = write_run(tmp_path / "a", scores(BETTER))
    b = write_run(tmp_path / "b", scores(FLAT), meta_mode="small", feedback="blind")
    told = read(a, b)
    assert "A flowbot+blame low" in told
    assert "B flowbot+blame, low" in told
    assert "feedback blind" in told


def test_of_many_pairs_the_clearest_are_shown_and_the_others_counted(read: Read, tmp_path: Path) -> None:
    runs = [write_run(tmp_path / f"r{each}", scores(FLAT), method=f"random+{each}") for each in range(7)]
    best = write_run(tmp_path / "best", scores(BETTER))
    said = read(*runs, best)
    assert said.count("against") == 20
    assert "8 more pairs, less clear" in said
    assert all(f"H against {label}: +50" in said for label in "ABCDEFG")


def test_what_is_left_out_is_said(read: Read, tmp_path: Path) -> None:
    mine = write_run(tmp_path / "a", scores(FLAT))
    other = write_run(tmp_path / "b", scores(FLAT[:20]), task_hash="two", seed=1)
    open_ = write_run(tmp_path / "c", scores(FLAT), status="unfinished", seed=2)
    said = read(mine, other, open_)
    assert "20 test examples in common" in said
    assert "not runs of the very same task" in said
    assert "Left out, since not every run has scored them: 20 of A" in said
    assert "Without scores of a found workflow: C (unfinished)" in said


def test_the_same_seed_twice_is_no_spread_over_seeds(read: Read, tmp_path: Path) -> None:
    runs = [write_run(tmp_path / name, scores(FLAT), seed=3) for name in "ab"]
    assert "have the same seed, so their spread is not one over seeds: A 3, B 3" in read(*runs)
    other = write_run(tmp_path / "c", scores(FLAT), seed=4)
    assert "the same seed" not in read(runs[0], other)


def test_a_run_that_ended_without_scores_is_not_said_to_go_on(read: Read, tmp_path: Path) -> None:
    runs = [write_run(tmp_path / name, scores(FLAT), method=name) for name in "ab"]
    (runs[1] / "examples.jsonl").unlink()
    said = read(*runs)
    assert "Ended without scores of both workflows on test examples, as at a ceiling" in said
    assert "goes on" not in said
