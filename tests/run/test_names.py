"""A run's name serves wherever a run or a workflow is named, and is one run's alone; a task's tools come with the task."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from report_sample import write_sample

import flowbot as fb
from flowbot.cli.app import run as flowbot
from flowbot.cli.demo import demo_task_path
from flowbot.fields import UserError
from flowbot.run.folders import flow_file, named_folder, run_folder

TASK = {
    "flowbot": 1,
    "goal": "Answer questions about prices.",
    "inputs": {"item": "str"},
    "outputs": {"price": "float"},
    "metric": "numeric",
    "data": {"val": "rows.jsonl"},
    "tools": ["tools.py:lookup"],
}
FLOW = {
    "flowbot": 1,
    "inputs": {"item": "str"},
    "outputs": {"price": "ask.result"},
    "nodes": {"ask": {"kind": "tool", "tool": "lookup", "in": {"name": "item"}, "out": {"result": "float"}}},
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FLOWBOT_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path


def made(name: str, seed: int = 0) -> fb.RunResult:
    task = fb.Task.load(demo_task_path())
    task = replace(task, splits={split: rows[:6] for split, rows in task.splits.items()})
    return fb.optimize(task, lm="fake/counter", effort=20, seed=seed, name=name)


def test_a_named_run_is_resumed_by_the_same_call_and_taken_for_no_other(here: Path) -> None:
    first = made("first.v1")
    assert first.run_dir == Path("runs/first.v1")
    assert made("first.v1").now.calls == 0
    with pytest.raises(UserError, match=r"runs/first.v1: found another run .*another --name"):
        made("first.v1", seed=1)
    with pytest.raises(UserError, match="one or the other"):
        fb.optimize(demo_task_path(), lm="fake/counter", name="a", run_dir="b")
    assert [each.name for each in fb.runs()] == ["first.v1"]


@pytest.mark.parametrize("name", ["a/b", "..", ".a", "-a", "", "a b", "a\n", "react", "x" * 101, "end."])
def test_a_name_is_a_plain_folder_and_no_start(name: str) -> None:
    with pytest.raises(UserError, match="name"):
        named_folder(name)


def test_every_verb_takes_a_run_by_its_name(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made("one.v1")
    made("two", seed=1)
    assert flow_file("one.v1") == Path("runs/one.v1/found.flow.yaml")
    task = str(demo_task_path())
    for command in (
        ["run", "one.v1", "note=two pens", "--model", "fake/counter"],
        ["eval", "one.v1", task, "--model", "fake/counter", "--limit", "3"],
        ["eval", "chain-of-thought", task, "--model", "fake/counter", "--limit", "3"],
        ["eval", "self-refine", task, "--model", "fake/counter", "--limit", "3", "--dry-run"],
        ["check", "one.v1"],
        ["diff", "one.v1"],
        ["diff", "one.v1", "two"],
        ["show", "one.v1"],
        ["compare", "one.v1", "two"],
        ["report", "one.v1"],
        ["optimize", task, "--start", "one.v1", "--model", "fake/counter", "--dry-run"],
        ["export", "one.v1", "--to", "prompts", "--out", "out", "--model", "fake/counter"],
        ["runs", "--remove", "two", "--force"],
    ):
        assert flowbot([*command, "--json"]) == 0, command
        assert json.loads(capsys.readouterr().out)
    assert flowbot(["eval", "one.v2", task, "--model", "fake/counter"]) == 2
    assert "one.v2" in capsys.readouterr().err


def test_a_task_brings_the_tools_of_a_workflow_that_is_loaded(here: Path) -> None:
    (here / "tools.py").write_text(
        "def lookup(name: str) -> float:\n    return len(name) / 2\n\n\ndef other(name: str) -> float:\n    return 0.0\n"
    )
    (here / "rows.jsonl").write_text('{"item": "pen", "price": 1.5}\n')
    (here / "task.yaml").write_text(json.dumps(TASK))
    (here / "found.flow.yaml").write_text(json.dumps(FLOW))
    for task in ("task.yaml", here, fb.Task.load("task.yaml")):
        with fb.load("found.flow.yaml", task=task) as flow:
            assert flow(item="pear") == {"price": 2.0}
    with pytest.raises(UserError, match="lookup"):
        fb.load("found.flow.yaml")
    with pytest.raises(UserError, match="task"):
        fb.load("found.flow.yaml", task=3)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="tools"):
        fb.load("found.flow.yaml", task="task.yaml", tools=3)  # type: ignore[arg-type]


def test_a_folder_of_the_same_name_that_is_no_run_hides_none(here: Path) -> None:
    (here / "orders").mkdir()
    assert run_folder("orders") == Path("orders")
    write_sample(here / "runs" / "orders")
    assert run_folder("orders") == Path("runs/orders")
    assert flow_file("orders") == Path("runs/orders/found.flow.yaml")
    write_sample(here / "orders")
    assert run_folder("orders") == Path("orders")
