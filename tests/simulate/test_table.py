"""The table of the simulation: what a line says, and that no line is computed twice."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

from simulate.methods import METHODS
from simulate.table import Cell, lines
from simulate.world import PhiInv, Program, Task, Text

ROOT = Path(__file__).resolve().parents[2]


def test_a_line_sums_up_the_runs_of_its_seeds() -> None:
    line = Cell("today-medium", "flat", 20, 0.5, 300, 4).line()
    runs = [METHODS["today-medium"](Task(seed, 20, 0.5, "flat"), 300, seed) for seed in range(4)]
    assert line == {
        "method": "today-medium", "world": "flat", "n": 20, "q": 0.5, "budget": 300, "seeds": 4,
        "gain": 0.0, "se": 0.0, "worse": 0.0,
        "changed": 25.0 * sum(program.hash != "/0/0" for program, _ in runs),
        "cost": sum(program.cost for program, _ in runs) / 4,
        "spent": round(sum(spent for _, spent in runs) / 4),
    }  # fmt: skip
    assert line["changed"] > 0


def test_gain_is_in_points_and_worse_is_more_than_half_a_point_below_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    points = [-3.0, -0.51, -0.49, 0.0, 2.0]

    def moves(task: Task, budget: int, seed: int) -> tuple[Program, int]:
        effect = PhiInv(task.start.p + points[seed] / 100) - task.start.m
        return task.program(frozenset(), Text(int(points[seed] != 0), effect), Text()), budget

    monkeypatch.setitem(METHODS, "moves", moves)
    line = Cell("moves", "base", 10, 0.5, 7, 5).line()
    assert (line["gain"], line["worse"], line["changed"], line["spent"]) == (-0.4, 40.0, 80.0, 7)
    assert line["se"] == round(statistics.stdev(points) / 5**0.5, 2)


def test_a_line_that_is_in_the_file_is_not_computed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "out" / "lines.jsonl"
    first = Cell("today-low", "base", 10, 0.5, 100, 2)
    more = Cell("today-low", "base", 10, 0.5, 100, 3)
    once = list(lines([first], file, 1))
    both = list(lines([first, more], file, 1))
    assert [line["seeds"] for line in both] == [2, 3]
    assert both[0] == once[0]
    assert [json.loads(line) for line in file.read_text().splitlines()] == both
    monkeypatch.delitem(METHODS, "today-low")
    assert list(lines([more, first], file, 1)) == both[::-1]


def test_the_command_computes_side_by_side_and_shows_the_table(tmp_path: Path) -> None:
    file = tmp_path / "lines.jsonl"
    asked = [
        "start,today-low",
        "--seeds",
        "2",
        "--n",
        "10",
        "--budgets",
        "60,70",
        "--processes",
        "2",
        "--out",
        str(file),
    ]
    done = subprocess.run([sys.executable, ROOT / "benchmarks" / "simulate", *asked], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert [json.loads(line)["budget"] for line in file.read_text().splitlines()] == [60, 70, 60, 70]
    assert done.stdout.count("today-low") == 2


def test_an_unknown_method_is_named() -> None:
    asked = ["start,nope", "--out", "unused.jsonl"]
    done = subprocess.run([sys.executable, ROOT / "benchmarks" / "simulate", *asked], capture_output=True, text=True)
    assert done.returncode == 2
    assert "nope: no such method" in done.stderr
