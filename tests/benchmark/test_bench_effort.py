"""What a cell is given: every search ends at its effort, and what no wanted cell needs may be missing."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench_help import BENCH, write_bench

import flowbot as fb
from flowbot.benchmark.search_cell import AtEffort
from flowbot.optimizer.methods import find_method


def test_a_protocol_that_takes_more_ends_at_the_effort(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = BENCH.replace("seeds: [0, 1]", "seeds: [0]")
    file = write_bench(tmp_path, text.replace("models:", "  paper: {method: paper+layerwise}\nmodels:", 1))
    result = fb.bench(file, cache_dir="cache", only=["*/paper"])
    (cell,) = result.cells
    assert (cell.status, cell.effort) == ("done", 60)
    assert 30 < cell.search.calls <= 60


def test_a_task_that_no_wanted_cell_is_of_may_be_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    file = write_bench(tmp_path, BENCH.replace("tasks: {adding: task}", "tasks: {adding: task, other: nowhere}"))
    result = fb.bench(file, cache_dir="cache", only=["adding/single"])
    assert [cell.task for cell in result.cells] == ["adding", "adding"]
    for only in ([], ["*/single"], ["other/single"]):
        with pytest.raises(fb.UserError, match=r"tasks\.other: found no file"):
            fb.bench(file, cache_dir="cache", only=only)


def test_what_a_method_says_of_itself_holds_in_a_comparison(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    gated = "  gated: {method: none+autodiff, objective: cost}\nmodels:"
    file = write_bench(tmp_path, BENCH.replace("models:", gated, 1))
    with pytest.raises(fb.UserError, match=r"method none\+autodiff, which compares by score alone"):
        fb.bench(file, cache_dir="cache", only=["*/gated"])
    for name in ("flowbot+blame", "paper+layerwise", "none+autodiff", "none+none"):
        method = find_method(name)
        for member in ("by_ability", "gives_models", "by_score"):
            assert getattr(AtEffort(method), member, None) == getattr(method, member, None)
