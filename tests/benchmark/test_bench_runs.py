"""A comparison with pretend models: run twice, cut short, with cells that fail, and with ceilings over all of it."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from bench_help import BENCH, lasting, write_bench

import flowbot as fb
from flowbot.cli.app import run
from flowbot.run.view import read_run

PEERS = BENCH.replace("models:", "  guess: {command: [python, guess.py]}\nmodels:")
NAMES = [f"adding/{name}/{seed}" for name in ("single/small/0", "cot/small/0", "tuned/small/60") for seed in (0, 1)]


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bench-cache")


@pytest.fixture(autouse=True)
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def named(result: fb.BenchResult) -> dict[str, str]:
    return {cell.cell.name: cell.status for cell in result.cells}


def test_a_second_time_nothing_is_paid_and_all_is_the_same(tmp_path: Path) -> None:
    file = write_bench(tmp_path)
    first = fb.bench(file, cache_dir="cache", jobs=2)
    assert (first.status, first.folder) == ("done", Path("bench/small"))
    assert named(first) == dict.fromkeys(NAMES, "done")
    assert first.now.calls > 0
    before = {path: path.read_bytes() for path in first.folder.glob("**/*.*") if "page" not in path.name}
    second = fb.bench(file, cache_dir="cache")
    assert second.now.calls == 0
    assert second.cells == first.cells
    assert {path: path.read_bytes() for path in before} == before

    single, tuned = first.cells[0], first.cells[-1]
    assert (single.search.calls, single.test.calls, single.nodes, len(single.scores)) == (8, 8, 1, 8)
    assert (single.val, tuned.search.calls <= 60) == (single.val, True)
    for cell in first.cells:
        assert cell.examples == tuple(f"test-{number}" for number in range(17, 25))
        assert (first.folder / cell.page).is_file()
        assert read_run((first.folder / cell.page).parent).done
    rows = first.table().rows
    assert [key.method for key in rows] == ["single", "cot", "tuned"]
    assert [row.difference is None for row in rows.values()] == [False, True, False]


def test_a_start_may_be_a_program_of_the_task(tmp_path: Path) -> None:
    file = write_bench(tmp_path, BENCH.replace("single-call", "app.py:total").replace("[0, 1]", "[0]"))
    code = "import re\n\ndef total(note: str) -> int:\n    return sum(map(int, re.findall(r'[0-9]+', note)))\n"
    (tmp_path / "task/app.py").write_text(code, encoding="utf-8")
    with (tmp_path / "task/task.yaml").open("a", encoding="utf-8") as task:
        task.write("programs: [app.py:total]\n")
    (cell,) = fb.bench(file, cache_dir="cache", only=["*/single"]).cells
    assert (cell.status, cell.found, set(cell.scores), cell.test.calls) == ("done", "app.py:total", {1.0}, 0)


def test_a_cell_of_another_method_is_run_anew_and_the_old_one_kept(tmp_path: Path) -> None:
    file = write_bench(tmp_path)
    fb.bench(file, cache_dir="cache", only=["*/single"])
    file.write_text(BENCH.replace("start: single-call", "start: self-refine"), encoding="utf-8")
    result = fb.bench(file, cache_dir="cache", only=["*/single"])
    assert [cell.found for cell in result.cells] == ["self-refine", "self-refine"]
    assert (result.folder / ".earlier/adding/single/small/0/0/1/run/report.html").is_file()
    assert result.status == "done"
    assert [cell.name for cell in result.open] == []


def test_what_fails_or_pauses_is_written_down_and_stops_nothing_else(tmp_path: Path, cache: Path) -> None:
    text = BENCH.replace("seeds: [0, 1]", "seeds: [0]").replace(
        "models: {", "  broken: {command: [python, broken.py]}\nmodels: {down: {task: fake/echo?p500=1}, "
    )
    (tmp_path / "broken.py").write_text("raise SystemExit('no such luck')", encoding="utf-8")
    result = fb.bench(write_bench(tmp_path, text), cache_dir=cache)
    found = {cell.cell.name: (cell.status, cell.error) for cell in result.cells}
    for name in ("single", "cot"):
        assert found[f"adding/{name}/small/0/0"] == ("done", "")
        status, error = found[f"adding/{name}/down/0/0"]
        assert status == "paused"
        assert "500" in error
    assert found["adding/broken/small/60/0"] == ("failed", "ended with status 1: no such luck")
    assert (result.status, result.stopped_by) == ("failed", "")
    assert "no such luck" in (result.folder / "table.md").read_text(encoding="utf-8")


def test_a_peer_that_removes_its_cell_stops_nothing_else(tmp_path: Path, cache: Path) -> None:
    text = BENCH.replace(
        "models: {", "  broken: {command: [python, broken.py]}\n  late: {command: [python, guess.py]}\nmodels: {"
    )
    (tmp_path / "broken.py").write_text(
        "import shutil, sys; from pathlib import Path; shutil.rmtree(Path(sys.argv[1]).parents[1])", encoding="utf-8"
    )
    result = fb.bench(write_bench(tmp_path, text), cache_dir=cache, only=["*/broken", "*/late"])
    assert [cell.status for cell in result.cells] == ["failed", "failed", "done", "done"]
    assert "program.json: found no such file" in result.cells[0].error


def test_what_a_cell_took_before_it_paused_is_told(tmp_path: Path, cache: Path) -> None:
    file = write_bench(tmp_path, BENCH.replace("seeds: [0, 1]", "seeds: [0]"))
    task = tmp_path / "task/task.yaml"
    task.write_text(
        task.read_text(encoding="utf-8").replace("metric: numeric", "metric: metrics.py:score"), encoding="utf-8"
    )
    (tmp_path / "task/metrics.py").write_text(
        "def score(example, outputs):\n    return 1 / (outputs['total'] == example.expected['total'])\n",
        encoding="utf-8",
    )
    [cell] = fb.bench(file, cache_dir=cache, only=["*/single"]).cells
    assert (cell.status, cell.search.calls) == ("paused", 0)
    assert cell.took.calls > 0
    assert cell.took.tokens > 0


def test_a_denied_key_ends_it(tmp_path: Path) -> None:
    text = BENCH.replace("fake/counter}", "fake/counter?expires=1}")
    with pytest.raises(fb.DeniedError, match="the key has expired"):
        fb.bench(write_bench(tmp_path, text), cache_dir="cache")
    cells = list(Path("bench/small").glob("*/*/*/*/*/cell.json"))
    assert [json.loads(path.read_text(encoding="utf-8"))["status"] for path in cells] == ["paused"]


def test_ceilings_over_all_cells_end_it_and_higher_ones_go_on(tmp_path: Path) -> None:
    file = write_bench(tmp_path)
    whole = fb.bench(file, cache_dir="cache", out="whole")
    took = [cell.took.calls for cell in whole.cells]
    file.write_text(f"{BENCH}budget: {{calls: {sum(took[:2]) + 12}}}\n", encoding="utf-8")
    for _ in range(2):  # a done cell counts as when it was run
        short = fb.bench(file, cache_dir="cache", out="short")
        assert (short.status, short.stopped_by) == ("failed", "budget")
        assert [cell.status for cell in short.cells] == ["done"] * 2 + ["paused"]
        assert "used up" in short.reason
    file.write_text(f"{BENCH}budget: {{calls: 100_000}}\n".replace("_", ""), encoding="utf-8")
    assert fb.bench(file, cache_dir="cache", out="short").status == "done"
    assert lasting(Path("short")) == lasting(Path("whole"))


def test_a_cells_own_ceiling_is_part_of_what_it_is(tmp_path: Path) -> None:
    file = write_bench(tmp_path, f"{BENCH}budget: {{cell: {{calls: 44}}}}\n")
    tight = fb.bench(file, cache_dir="cache", only=["*/tuned"])
    assert tight.status == "done"
    assert all(cell.took.requests <= 44 for cell in tight.cells)
    assert fb.bench(file, cache_dir="cache", only=["*/tuned"]).cells == tight.cells
    file.write_text(BENCH, encoding="utf-8")
    loose = fb.bench(file, cache_dir="cache", only=["*/tuned"])
    assert loose.status == "done"
    assert all(cell.took.calls > 44 for cell in loose.cells)


def test_two_at_once_in_one_folder_are_refused(tmp_path: Path) -> None:
    file = write_bench(tmp_path)
    heard: list[str] = []

    def second(event: fb.ProgressEvent) -> None:
        if not heard:
            code = f"import flowbot as fb; fb.bench({str(file)!r}, cache_dir='cache')"
            done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
            heard.append(done.stderr.splitlines()[-1])

    fb.bench(file, cache_dir="cache", only=["*/single"], progress=second)
    assert "results folder bench/small: found another FlowBot at work in it" in heard[0]
    assert heard[0].endswith("wait for it, or name another --out")


def test_progress_counts_cells_and_never_goes_back(tmp_path: Path) -> None:
    events: list[fb.ProgressEvent] = []
    result = fb.bench(write_bench(tmp_path), cache_dir="cache", only=["*/c*"], progress=events.append)
    shares = [event.share for event in events]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert {event.total for event in events if event.what == "step"} == {2}
    assert events[-1].calls == sum(cell.took.calls for cell in result.cells)


@pytest.mark.parametrize("when", ["cot/small/0/0: ", "adding/cot/small/0/1"])
def test_a_callback_that_raises_pauses_all_of_it(tmp_path: Path, when: str) -> None:
    def watch(event: fb.ProgressEvent) -> None:
        assert when not in event.text

    paused = fb.bench(write_bench(tmp_path), cache_dir="cache", progress=watch)
    assert (paused.status, paused.stopped_by) == ("paused", "callback")
    assert "the progress callback raised AssertionError" in paused.reason
    assert 2 < len(paused.cells) < 5


def test_ceilings_of_the_call_hold_around_those_of_the_file(tmp_path: Path) -> None:
    file = write_bench(tmp_path, f"{BENCH}budget: {{calls: 1000}}\n")
    with pytest.raises(fb.UserError, match="the ceiling of calls: found 3 calls"):
        fb.bench(file, cache_dir="cache", budget=fb.Budget(calls=3))
    assert not Path("bench").exists()
    short = fb.bench(file, cache_dir="cache", budget=fb.Budget(calls=60))
    assert (short.status, short.stopped_by) == ("failed", "budget")
    stop = fb.StopSignal()
    stop.set("enough")
    assert fb.bench(file, cache_dir="cache", stop=stop).stopped_by == "signal"


@pytest.mark.parametrize(
    ("change", "status", "said"),
    [
        ({}, 0, ""),
        (
            {"fake/counter": "fake/echo?p500=1"},
            3,
            "paused (infrastructure): 2 of 2 cells have no scores, as adding/cot",
        ),
        ({"fake/counter": "fake/counter?expires=1"}, 1, "the key has expired"),
        ({"baseline: cot": "budget: {calls: 30}"}, 1, "cells are used up"),
        ({"baseline: cot": "baseline: cto"}, 2, "did you mean 'cot'?"),
    ],
)
def test_what_the_command_line_ends_with(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: dict[str, str], status: int, said: str
) -> None:
    text = BENCH
    for old, new in change.items():
        text = text.replace(old, new)
    write_bench(tmp_path, text)
    assert run(["bench", "small.yaml", "--only", "*/cot", "--cache-dir", "cache", "--json"]) == status
    told = capsys.readouterr()
    last = [line for line in told.err.splitlines() if line.startswith("flowbot: ")]
    assert (said in last[-1]) if said else (last == [])
    if told.out:
        facts = json.loads(told.out)
        assert facts["status"] == {0: "done", 1: "failed", 3: "paused"}[status]
        assert len(facts["cells"]) + len(facts["open"]) >= 2


LIFE = """
import sys, flowbot as fb
told = 0
def tell(event):
    global told
    told += 1
    print(told, flush=True)
fb.bench("small.yaml", cache_dir="cache", jobs=2, progress=tell)
"""


def live(folder: Path, until: int | None = None) -> bool:
    """One process of a comparison, killed at a line of its progress; whether it was."""
    with subprocess.Popen(
        [sys.executable, "-c", LIFE], cwd=folder, stdout=subprocess.PIPE, text=True, env=dict(os.environ)
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if until is not None and int(line) >= until:
                os.kill(process.pid, signal.SIGKILL)
                break
        process.wait()
    assert process.returncode in (0, -signal.SIGKILL)
    return process.returncode != 0


def test_kills_at_random_change_no_score_and_no_table(tmp_path: Path) -> None:
    calm, killed = tmp_path / "calm", tmp_path / "killed"
    for folder in (calm, killed):
        write_bench(folder, PEERS)
    assert not live(calm)
    moments = random.Random(20261201)
    assert live(killed, until=moments.randrange(1, 60))
    for _ in range(3):
        live(killed, until=moments.randrange(1, 60))
    assert not live(killed)
    before: Any = lasting(calm / "bench/small")
    assert lasting(killed / "bench/small") == before
    assert len(before["cells"]) == 8
    assert {cell["status"] for cell in before["cells"].values()} == {"done"}
