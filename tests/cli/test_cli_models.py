"""`--models`: what a file names is called if the user names it too, by every verb that calls."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_help import flowbot, write_task

MODEL = "fake/counter?seed=7"
FLOW = f"""flowbot: 1
inputs: {{note: str}}
outputs: {{total: add.total}}
nodes: {{add: {{kind: llm, in: {{note: note}}, out: {{total: int}}}}}}
parameters: {{add: {{instruction: Add., model: '{MODEL}'}}}}
"""


@pytest.fixture
def flow(tmp_path: Path) -> str:
    path = tmp_path / "found.flow.yaml"
    path.write_text(FLOW)
    return str(path)


def test_every_verb_that_calls_says_what_a_flow_names_and_calls_it_once_it_is_listed(
    flow: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    task = str(write_task(tmp_path))
    more = ["--cache-dir", str(tmp_path / "cache"), "--model", "fake/counter"]
    optimize = ["optimize", task, "--start", flow, "--method", "none", "--run-dir", str(tmp_path / "run")]
    for command in (["run", flow, "note=two pens"], ["eval", flow, task], [*optimize, "--effort", "low"]):
        said = flowbot(capsys, *command, *more)
        assert said.status == 2
        assert f"{MODEL} (" in said.err
        assert f"--models '{MODEL}'" in said.err
        assert not (tmp_path / "cache").exists()
        assert not (tmp_path / "run").exists()
    for command in (["run", flow, "note=two pens"], ["eval", flow, task], [*optimize, "--effort", "low"]):
        assert flowbot(capsys, *command, *more, "--models", f"fake/echo, {MODEL}").status == 0
    said = flowbot(capsys, "report", str(tmp_path / "run"))
    assert said.status == 0
    page = (tmp_path / "run" / "report.html").read_text()
    assert f"--models &#39;{MODEL}&#39;" in page or f"--models '{MODEL}'" in page


def test_the_judge_of_a_task_file_is_held_to_the_list_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    task = write_task(tmp_path, metric="{judge: {rubric: Is the total right?, model: fake/judge}}")
    flow = tmp_path / "a.flow.yaml"
    flow.write_text(FLOW.replace(f", model: '{MODEL}'", ""))
    more = ["--cache-dir", str(tmp_path / "cache"), "--model", "fake/counter"]
    for command in (["eval", str(flow), str(task)], ["optimize", str(task), "--dry-run"]):
        said = flowbot(capsys, *command, *more)
        assert said.status == 2
        assert "metric.judge.model" in said.err
        assert flowbot(capsys, *command, *more, "--models", "fake/judge").status == 0
    checked = flowbot(capsys, "check", str(task), *more, "--json").json
    assert any("fake/judge" in each["what"] for each in checked["defects"])
    checked = flowbot(capsys, "check", str(task), *more, "--models", "fake/judge", "--json").json
    assert not any("fake/judge" in each["what"] for each in checked["defects"])


def test_a_list_that_names_no_model_is_told(flow: str, capsys: pytest.CaptureFixture[str]) -> None:
    said = flowbot(capsys, "run", flow, "note=x", "--model", "fake/echo", "--models", "gpt")
    assert said.status == 2
    assert "model 'gpt'" in said.err
