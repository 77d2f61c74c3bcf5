"""Declared tools from the command line: a published MCP server (mcp-server-time) and search, used by a workflow."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_help import flowbot

TASK = """flowbot: 1
goal: Say by how many hours clocks differ.
inputs: {source: str, target: str}
outputs: {difference: str}
metric: exact
data: {train: rows.jsonl, val: val.jsonl, test: test.jsonl}
tools:
  - {mcp: {command: [mcp-server-time, --local-timezone, Europe/Berlin]}, only: [convert_time]}
  - {search: cities.jsonl, k: 1}
"""
FLOW = """flowbot: 1
inputs: {source: str, target: str}
outputs: {difference: convert.time_difference}
nodes:
  clock: {kind: code, in: {source: source}, out: {time: str}}
  convert:
    kind: tool
    tool: convert_time
    in: {source_timezone: source, time: clock.time, target_timezone: target}
    out: {time_difference: str}
parameters:
  clock: {code: "def run(source):\\n    return {'time': '12:00'}"}
"""
ROWS = [("Asia/Tokyo", "UTC", "-9.0h"), ("Asia/Kolkata", "UTC", "-5.5h"), ("UTC", "Asia/Dubai", "+4.0h")]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, row in zip(("rows", "val", "test"), ROWS, strict=True):
        text = json.dumps(dict(zip(("source", "target", "difference"), row, strict=True)))
        (tmp_path / f"{name}.jsonl").write_text(text + "\n", encoding="utf-8")
    (tmp_path / "cities.jsonl").write_text('{"title": "Tokyo", "text": "a city"}\n', encoding="utf-8")
    (tmp_path / "task.yaml").write_text(TASK, encoding="utf-8")
    (tmp_path / "clock.flow.yaml").write_text(FLOW, encoding="utf-8")
    return tmp_path


def test_a_workflow_calls_a_published_server(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    task, flow, cache = str(folder / "task.yaml"), str(folder / "clock.flow.yaml"), str(folder / "cache")
    shared = ["--cache-dir", cache, "--json"]
    ran = flowbot(capsys, "run", flow, "source=Asia/Tokyo", "target=UTC", "--task", task, *shared)
    assert (ran.status, ran.json) == (0, {"difference": "-9.0h"})
    scored = flowbot(capsys, "eval", flow, task, "--split", "val", *shared)
    assert (scored.json["mean"], scored.json["errors"]) == (1.0, 0)
    wrong = flowbot(capsys, "run", flow, "source=Mars/Base", "target=UTC", "--task", task, *shared)
    assert wrong.status == 1
    assert "convert" in wrong.error
    assert "Mars/Base" in wrong.error


@pytest.mark.parametrize(
    ("tool", "told"),
    [
        ("{call: tools.py:pay, effects: writes}", True),
        ("{call: tools.py:pay, effects: writes, simulate: tools.py:pretend}", False),
        ("tools.py:pay", False),
    ],
)
def test_check_says_that_a_tool_that_writes_has_no_stand_in(
    folder: Path, capsys: pytest.CaptureFixture[str], tool: str, told: bool
) -> None:
    names = ("pay", "pretend")
    code = "\n".join(f"def {name}(order: str) -> str:\n    return order\n" for name in names)
    (folder / "tools.py").write_text(code, encoding="utf-8")
    (folder / "task.yaml").write_text(TASK[: TASK.index("tools:")] + f"tools: [{tool}]\n", encoding="utf-8")
    said = flowbot(capsys, "check", str(folder / "task.yaml"), "--json")
    assert said.status == 0
    assert ("tool pay" in [each["where"] for each in said.json["warnings"]]) == told


def test_a_search_for_workflows_has_the_servers_tools(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    task, flow, cache = str(folder / "task.yaml"), str(folder / "clock.flow.yaml"), str(folder / "cache")
    command = ["optimize", task, "--start", flow, "--method", "none", "--model", "fake/counter", "--effort", "low"]
    command += ["--cache-dir", cache, "--run-dir", str(folder / "run"), "--json"]
    first = flowbot(capsys, *command)
    assert first.json["scores"]["start"]["test"]["mean"] == 1.0
    again = flowbot(capsys, *command)
    assert again.json["run_id"] == first.json["run_id"]


def test_check_opens_the_tools(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    task, shared = folder / "task.yaml", ["--cache-dir", str(folder / "cache")]
    sound = flowbot(capsys, "check", str(task), *shared)
    assert sound.status == 0
    assert "convert_time, search" in sound.out
    assert "Indexing cities.jsonl" in sound.out + sound.err
    assert len(list((folder / "cache" / "corpora").iterdir())) == 1
    assert flowbot(capsys, "check", str(folder / "clock.flow.yaml"), "--task", str(task), *shared).status == 0
    task.write_text(TASK.replace("only: [convert_time]", "only: [travel]"), encoding="utf-8")
    faulty = flowbot(capsys, "check", str(task), "--json", *shared)
    assert faulty.status == 1
    (defect,) = faulty.json["defects"]
    assert defect["where"] == f"{task}: tools[0].only"
    assert "convert_time, get_current_time" in defect["mend"]


REFUND = """
def refund(source: str) -> str:
    return source
"""


def test_a_dry_run_refuses_what_the_run_would_refuse(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    task, flow = folder / "task.yaml", str(folder / "clock.flow.yaml")
    (folder / "tools.py").write_text(REFUND, encoding="utf-8")
    task.write_text(TASK + "  - {call: tools.py:refund, effects: writes}\n", encoding="utf-8")
    shared = ["--model", "fake/counter", "--cache-dir", str(folder / "cache"), "--dry-run", "--json"]
    for command in (["eval", flow, str(task)], ["optimize", str(task), "--run-dir", str(folder / "run")]):
        refused = flowbot(capsys, *command, *shared)
        assert refused.status == 2
        assert "refund" in refused.error
        assert "simulate" in refused.error
        assert flowbot(capsys, *command, *shared, "--allow-writes").json["dry_run"]
    assert not (folder / "run").exists()
