"""Every search of a comparison ends at its effort, also that of a method that plans more by itself."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench_help import BENCH, write_bench

import flowbot as fb


def test_a_protocol_that_takes_more_ends_at_the_effort(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = BENCH.replace("seeds: [0, 1]", "seeds: [0]")
    file = write_bench(tmp_path, text.replace("models:", "  paper: {method: paper+layerwise}\nmodels:", 1))
    result = fb.bench(file, cache_dir="cache", only=["*/paper"])
    (cell,) = result.cells
    assert (cell.status, cell.effort) == ("done", 60)
    assert 30 < cell.search.calls <= 60
