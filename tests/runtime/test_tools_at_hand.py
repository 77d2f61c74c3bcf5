"""The calculator and the interpreter need no declaration: a workflow that names them checks, runs and loads anywhere, unless the task says no."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import flowbot as fb
from flowbot.cli.app import run
from flowbot.fields import UserError
from flowbot.report.commands import _tools  # type: ignore[reportPrivateUsage]
from flowbot.runtime.toolbox.calculator import (
    _FUNCTIONS,  # type: ignore[reportPrivateUsage]
    calculator,
)
from flowbot.task import Task, tool_of
from flowbot.task.builtin_tools import FUNCTIONS, PYTHON, signatures_of
from flowbot.workflow.workflow import Workflow

FLOW: dict[str, Any] = {
    "flowbot": 1,
    "inputs": {"expression": "str", "script": "str"},
    "outputs": {"number": "calculator.number", "printed": "python.result"},
    "nodes": {
        "calculator": {
            "kind": "tool", "tool": "calculator", "in": {"expression": "expression"}, "out": {"result": "str", "number": "float"},
        },
        "python": {"kind": "tool", "tool": "python", "in": {"code": "script"}, "out": {"result": "str", "error": "str"}},
    },
}  # fmt: skip
ROW = {"expression": "(12.5 + 3) * 4", "script": "print(6 * 7)"}
WANTED = {"number": 62.0, "printed": "42"}


@pytest.fixture
def flow(tmp_path: Path) -> Path:
    path = tmp_path / "found.flow.yaml"
    Workflow.from_data(FLOW).save(path)
    return path


def task_file(folder: Path, **more: Any) -> Path:
    rows = [{"expression": f"{n} + 1", "script": f"print({n})", "number": n + 1.0, "printed": str(n)} for n in range(6)]
    for split, part in (("train", rows[:2]), ("val", rows[2:4]), ("test", rows[4:])):
        (folder / f"{split}.jsonl").write_text("\n".join(map(json.dumps, part)) + "\n", encoding="utf-8")
    data = {
        "flowbot": 1,
        "goal": "Work it out.",
        "inputs": {"expression": "str", "script": "str"},
        "outputs": {"number": "float", "printed": "str"},
        "metric": "exact",
        "data": {split: f"{split}.jsonl" for split in ("train", "val", "test")},
        **more,
    }
    (folder / "task.json").write_text(json.dumps(data), encoding="utf-8")
    return folder / "task.json"


def test_it_loads_and_runs_without_a_declaration(flow: Path) -> None:
    with fb.load(flow) as loaded:
        assert loaded(**ROW) == WANTED


def test_it_runs_and_checks_on_the_command_line(flow: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    task = task_file(tmp_path)
    assert run(["run", str(flow), *(f"{name}={value}" for name, value in ROW.items()), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == WANTED
    assert run(["check", str(flow), "--task", str(task)]) == 0


def test_it_is_evaluated_on_a_task_that_declares_nothing(flow: Path, tmp_path: Path) -> None:
    result = fb.evaluate(flow, task_file(tmp_path), split="test", cache_dir=tmp_path / "cache")
    assert result.mean == 1.0


def test_a_task_may_say_no_and_all_who_search_or_score_refuse(
    flow: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    task = task_file(tmp_path, builtin_tools=False)
    assert Task.load(task).signatures == {}
    assert run(["check", str(flow), "--task", str(task)]) == 1
    assert "there is no tool 'calculator'" in capsys.readouterr().out
    with pytest.raises(UserError, match="there is no tool 'calculator'"):
        fb.evaluate(flow, task, split="test", cache_dir=tmp_path / "cache")


def test_what_the_task_says_is_part_of_what_it_is(tmp_path: Path) -> None:
    plain = Task.load(task_file(tmp_path))
    assert "builtin_tools" not in plain.identity, "a task that says nothing is the task that it was"
    assert Task.load(task_file(tmp_path, builtin_tools=True)).identity == plain.identity
    assert Task.load(task_file(tmp_path, builtin_tools=False)).identity != plain.identity


@pytest.mark.parametrize("value", ["no", 0, None, []])
def test_anything_but_true_and_false_is_refused_at_the_door(tmp_path: Path, value: object) -> None:
    with pytest.raises(UserError, match=r"builtin_tools.*true or false"):
        Task.load(task_file(tmp_path, builtin_tools=value))
    rows = [{"q": f"{n}", "a": "b"} for n in range(3)]
    with pytest.raises(UserError, match=r"builtin_tools.*True or False"):
        Task(goal="A.", inputs={"q": str}, outputs={"a": str}, metric="exact", train=rows, builtin_tools=value)  # type: ignore[arg-type]


def test_a_declared_tool_of_that_name_takes_its_place() -> None:
    def calculator(expression: str) -> dict[str, Any]:
        """Knows better."""
        return {"result": "7", "number": 7.0}

    assert signatures_of([tool_of(calculator)])["calculator"].about == "Knows better."
    assert list(signatures_of([tool_of(calculator)])) == ["calculator", "python"]
    assert signatures_of([], builtin=False) == {}


def test_the_calculator_says_all_that_it_knows() -> None:
    assert tuple(_FUNCTIONS) == FUNCTIONS
    assert calculator().signature.name == "calculator"
    assert PYTHON.effects == "reads"


def test_the_report_asks_for_no_declaration_of_them() -> None:
    assert _tools(Workflow.from_data(FLOW)) == []
