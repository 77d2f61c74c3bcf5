"""Every example is sound, of the size that is promised, made by its script, and its start runs on it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from flowbot.cli.app import run
from flowbot.task import Task
from flowbot.task.splits import Split

EXAMPLES = Path(__file__).parents[2] / "examples"
FOLDERS = sorted(path.parent for path in EXAMPLES.glob("*/task.yaml"))
STARTS = [folder for folder in FOLDERS if (folder / "start.flow.yaml").is_file()]
SMALLEST: dict[Split, int] = {"train": 40, "val": 40, "test": 60}

each_example = pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
each_start = pytest.mark.parametrize("folder", STARTS, ids=lambda folder: folder.name)


def test_there_is_the_demo_and_three_more() -> None:
    assert {"orders", "review", "support", "wiki"} <= {folder.name for folder in FOLDERS}


@each_example
def test_the_task_is_sound_and_its_own_answers_score_1(folder: Path) -> None:
    task = Task.load(folder)
    sizes = {split: len(task.splits[split]) for split in SMALLEST}
    assert all(sizes[split] >= least for split, least in SMALLEST.items()), sizes
    for example in (*task.train, *task.val, *task.test):
        score = task.metric(example, example.expected)
        assert (score.value, score.feedback) == (1.0, ""), (example.id, score)


@each_example
def test_its_script_writes_the_committed_files_again(folder: Path, tmp_path: Path) -> None:
    subprocess.run([sys.executable, str(folder / "generate.py"), str(tmp_path)], check=True)
    written = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert {"train.jsonl", "val.jsonl", "test.jsonl"} <= written.keys()
    assert written == {name: (folder / name).read_bytes() for name in written}


@each_start
def test_its_start_fits_the_task(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FLOWBOT_CACHE_DIR", str(tmp_path))
    start, task = str(folder / "start.flow.yaml"), str(folder / "task.yaml")
    assert run(["check", start, "--task", task, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["ok"] is True


@each_start
def test_its_start_runs_on_every_validation_example(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    start, task = str(folder / "start.flow.yaml"), str(folder / "task.yaml")
    asked = ["eval", start, task, "--split", "val", "--model", "fake/echo", "--cache-dir", str(tmp_path), "--json"]
    assert run(asked) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["n"], told["errors"]) == (len(Task.load(folder).val), 0)
    assert told["mean"] < 1


@each_start
def test_its_readme_names_the_commands_the_licence_and_the_sizes(folder: Path) -> None:
    readme = (folder / "README.md").read_text(encoding="utf-8")
    task = Task.load(folder, callables=False)
    assert f"flowbot check examples/{folder.name}/task.yaml" in readme
    assert f"--start examples/{folder.name}/start.flow.yaml" in readme
    sizes = [len(task.splits[split]) for split in SMALLEST]
    assert re.search(r"{} to train, {} to validate,\s+{} to\s+test".format(*sizes), readme)
    assert "\nMeasured: " in readme
