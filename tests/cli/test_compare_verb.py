"""`compare` from the command line: real runs of the fake model side by side, what a person reads, what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cli_help import flowbot, write_task

from flowbot.optimizer.run import optimize
from flowbot.task import Task

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Two seeds of our method, and the start alone."""
    folder = tmp_path_factory.mktemp("compared")
    task = write_task(folder, sizes=(12, 6, 12))
    return [optimized(task, "one"), optimized(task, "two", seed=1), optimized(task, "none", method="none+none")]


def optimized(task: Path, name: str, **options: Any) -> str:
    place, cache = task.parent / name, task.parent / "cache"
    result = optimize(Task.load(task), lm="fake/counter", effort="low", run_dir=place, cache_dir=cache, **options)
    assert result.status == "done"
    return str(place)


def test_programs_get_every_run_group_and_difference(capsys: Capture, runs: list[str]) -> None:
    facts = flowbot(capsys, "compare", *runs, "--json").json
    assert set(facts) == {
        "task", "same_task", "split", "n", "not_in_common", "runs", "groups", "differences_of", "differences",
        "only_right", "all_right", "none_right",
    }  # fmt: skip
    assert (facts["n"], facts["same_task"], facts["differences_of"]) == (12, True, "groups")
    assert [each["seed"] for each in facts["runs"]] == [0, 1, 0]
    assert [each["label"] for each in facts["runs"]] == ["A", "B", "C"]
    assert [each["runs"] for each in facts["groups"]] == [["A", "B"], ["C"]]
    for each, place in zip(facts["runs"], runs, strict=True):
        assert each["run_dir"] == place
        assert each["status"] == "done"
        assert each["calls"]["test"] > 0
        assert set(each["found"]) == {"mean", "low", "high", "n"}
    assert facts["runs"][2]["gain"]["mean"] == 0
    (difference,) = facts["differences"]
    ours = sum(each["found"]["mean"] for each in facts["runs"][:2]) / 2
    assert difference["mean"] == pytest.approx(facts["runs"][2]["found"]["mean"] - ours)


def test_the_scores_are_those_of_each_runs_own_result(capsys: Capture, runs: list[str]) -> None:
    facts = flowbot(capsys, "compare", *runs[:2], "--json").json
    for each in facts["runs"]:
        own = json.loads((Path(each["run_dir"]) / "result.json").read_text(encoding="utf-8"))["scores"]
        assert each["found"] == own["final"]["test"]
        assert each["start"] == own["start"]["test"]
        assert each["gain"] == own["difference"]["test"]
    validation = flowbot(capsys, "compare", *runs[:2], "--split", "val", "--json").json
    assert validation["n"] == 0, "so few rows joined the search"


def test_a_person_reads_tables_of_eighty_columns(capsys: Capture, runs: list[str]) -> None:
    said = flowbot(capsys, "compare", *runs)
    assert (said.status, said.err) == (0, "")
    for part in ("Gain on start", "flowbot+blame", "Over seeds", "Paired differences", "95 % interval", "Only A"):
        assert part in said.out, part
    assert max(len(line) for line in said.out.splitlines() if not line[3:].startswith("/")) <= 80
    assert "\x1b" not in said.out


def test_runs_of_different_tasks_are_refused_in_one_line(capsys: Capture, runs: list[str], tmp_path: Path) -> None:
    other = optimized(write_task(tmp_path, sizes=(4, 2, 3)), "other", method="none+none")
    said = flowbot(capsys, "compare", runs[0], other)
    assert said.status == 2
    assert "another task" in said.error
    assert "in common" in said.error


def test_what_is_no_run_is_refused_in_one_line(capsys: Capture, runs: list[str], tmp_path: Path) -> None:
    said = flowbot(capsys, "compare", runs[0], str(tmp_path / "nowhere"))
    assert said.status == 2
    assert "no such run" in said.error
    (tmp_path / "task").mkdir()
    other = flowbot(capsys, "compare", runs[0], str(tmp_path / "task"))
    assert f"{tmp_path / 'task'}: found no journal.jsonl; expected the folder of a run" in other.error
    alone = flowbot(capsys, "compare", runs[0])
    assert alone.status == 2
    assert "two or more" in alone.error
