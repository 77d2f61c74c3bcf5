"""The README's snippets are true: the task file loads, the Python names exist, the commands are the ones that CI runs."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import flowbot
from flowbot.cli.app import app
from flowbot.task import Task

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", README, re.DOTALL)
    assert found is not None
    return found.group(1)


def test_the_task_file_of_the_five_minute_path_loads(tmp_path: Path) -> None:
    (tmp_path / "task.yaml").write_text(block("yaml"), encoding="utf-8")
    rows = [{"message": f"message {n}", "department": ("billing", "delivery", "technical")[n % 3]} for n in range(40)]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    task = Task.load(tmp_path / "task.yaml")
    assert {split: len(task.splits[split]) > 0 for split in ("train", "val", "test")} == dict.fromkeys(
        task.splits, True
    )


def test_the_python_snippet_uses_names_that_there_are() -> None:
    used = {
        node.attr
        for node in ast.walk(ast.parse(block("python")))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "fb"
    }
    assert used == {"Task", "optimize", "Budget", "load"}
    assert all(hasattr(flowbot, name) for name in used)


def test_every_verb_in_the_readme_is_a_verb() -> None:
    verbs = set(re.findall(r"^    flowbot (\w+)", README, re.MULTILINE))
    assert {"check", "optimize", "report", "run"} <= verbs
    for verb in verbs:
        assert app[verb] is not None


def test_ci_runs_the_two_commands_of_the_readme() -> None:
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "pip install -e '.[local]' && flowbot demo" in README
    assert "pip install -e '.[local,dev]' && pytest" in README
    assert "flowbot demo --short" in ci
    assert re.search(r"^pytest$", ci, re.MULTILINE)
