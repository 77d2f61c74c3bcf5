"""The benchmark of processor time: a run is measured, and the table has medians and ratios."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))

from processor_time import OURS, one_run, table  # noqa: E402


def test_a_run_is_measured_in_a_process_of_its_own() -> None:
    found = one_run(OURS, "5", 0)
    assert (found["seed"], found["effort"], found["status"]) == (0, "5", "done")
    assert found["calls"] > 100, "the closing test is of a hundred rows"
    assert found["processor"] > 0
    assert found["ms_a_call"] == 1000 * found["processor"] / found["calls"]


def test_the_table_has_medians_and_their_ratio_to_the_first() -> None:
    lines = [
        {"src": src, "calls": 100 + each, "processor": each, "wall": 2 * each, "ms_a_call": factor * each}
        for src, factor in (("this", 1.0), ("other", 1.5))
        for each in (1.0, 9.0, 2.0)
    ]
    header, this, other = (line.split() for line in table(lines).splitlines())
    assert header[-3:] == ["a", "call", "ratio"]
    assert this == ["this", "3", "102", "2.00", "4.00", "2.000", "1.00"]
    assert other == ["other", "3", "102", "2.00", "4.00", "3.000", "1.50"]
