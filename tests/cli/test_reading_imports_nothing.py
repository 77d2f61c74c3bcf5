"""Verbs that read a run, a workflow or a folder of runs import none of the user's Python, whatever it is by then."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_help import flowbot, write_task

METRICS = """
def score(example, outputs):
    return outputs["total"] == example.expected["total"]

def look(name: str) -> str:
    return name
"""


def test_reading_runs_none_of_the_users_python(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = write_task(tmp_path, metric="metrics.py:score", sizes=(6, 3, 3), more="tools: [metrics.py:look]\n")
    (tmp_path / "metrics.py").write_text(METRICS, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    made = ["--model", "fake/counter", "--effort", "20", "--cache-dir", "cache", "--method", "random"]
    for name, seed in (("one", "0"), ("two", "1")):
        run_dir = f"runs/{name}"
        assert flowbot(capsys, "optimize", str(task), "--run-dir", run_dir, "--seed", seed, *made).status == 0
    marker = tmp_path / "imported"
    spoiled = f"from pathlib import Path\nPath({str(marker)!r}).touch()\nraise RuntimeError('imported')\n"
    for name in ("metrics.py", "runs/one/metrics.py", "sitecustomize.py", "task.py"):
        (tmp_path / name).write_text(spoiled, encoding="utf-8")
    example = "test-10"
    for verb in (
        ["show", "runs/one"],
        ["show", "runs/one", example],
        ["show", "runs/one", example, "--json"],
        ["report", "runs/one"],
        ["diff", "runs/one/start.flow.yaml", "runs/one/found.flow.yaml"],
        ["diff", "runs/one", "runs/one/start.flow.yaml", "--json"],
        ["compare", "runs/one", "runs/two"],
    ):
        said = flowbot(capsys, *verb)
        assert said.status == 0, (verb, said.err)
        assert not marker.exists(), verb
    assert flowbot(capsys, "check", str(task)).status != 0
    assert marker.exists()  # that verb does import it: the marker tells
