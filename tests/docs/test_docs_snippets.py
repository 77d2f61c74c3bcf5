"""The snippets in README and documentation are true: Python runs, YAML loads, commands are those that there are.

No snippet asks a paid model: its model strings are replaced by a pretend model (`PAID`). Snippets run in a folder that holds the
files they name: the README's task with some rows, a workflow, and stubs of the user's own Python.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from doc_snippets import COMMANDS, OTHERS, ROOT, Command, Snippet, commands, readme_task, snippets

from flowbot.benchmark.bench_file import read_bench
from flowbot.benchmark.plan import cells_of
from flowbot.benchmark.sets.registry import find_set
from flowbot.cli.app import app, run
from flowbot.fields.yaml import dump_yaml, parse_data
from flowbot.task import Task
from flowbot.workflow.check import check
from flowbot.workflow.workflow import Workflow

PAID = re.compile(r"openai/gpt-[\w.-]+")
CHEAP = ("check", "starts", "init", "import", "models", "cache")
"""Verbs that ask no model: their commands are run, not only parsed."""
PROGRAMS = {"pytest": (), "curl": (), "pip": ("install",), "python3": ("-m", "venv"), ".": (".venv/bin/activate",)}
"""Other programs that commands may begin with, and the words that come first."""


def workflow_for(program: str) -> str:
    """A workflow that reads what the program gives it."""
    inputs = re.findall(r"\bflow\((\w+)=", program) or ["message"]
    sketch = {"answer": {"kind": "llm", "in": {inputs[0]: inputs[0]}, "out": {"answer": "str"}}}
    data = {"flowbot": 1, "inputs": {inputs[0]: "str"}, "outputs": {"answer": "answer.answer"}, "nodes": sketch}
    return dump_yaml({**data, "parameters": {"answer": {"instruction": "Answer."}}})


def test_every_snippet_is_in_a_language_that_is_checked() -> None:
    known = {*COMMANDS, *OTHERS, "python", "yaml"}
    assert [f"{each}: {each.language}" for each in snippets() if each.language not in known] == []


@pytest.mark.parametrize("page", sorted({each.page for each in snippets("python")}))
def test_the_python_of_a_page_runs_from_top_to_bottom(page: str, folder: Path) -> None:
    program = "\n".join(f"# {each}\n{each.text}" for each in snippets("python") if each.page == page)
    (folder / "found.flow.yaml").write_text(workflow_for(program), encoding="utf-8")
    program = PAID.sub("fake/counter", program)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("snippet", snippets("yaml"), ids=str)
def test_yaml_loads(snippet: Snippet, folder: Path) -> None:
    data = parse_data(snippet.text, str(snippet))
    if is_nodes(data):
        defects = check(Workflow.from_data(among_others(snippet.page)))
        assert [each for each in defects if not each.where.startswith("parameters.")] == []
    elif "methods" in data:
        (folder / "bench.yaml").write_text(snippet.text, encoding="utf-8")
        assert cells_of(read_bench(folder / "bench.yaml"))
    elif "nodes" in data:
        assert check(Workflow.from_data(data)) == []
    elif "tasks" in data:
        for task in data["tasks"].values():
            assert "set" not in task or task.get("variant", "") in ("", *find_set(task["set"]).variants)
    else:
        (folder / "task.yaml").write_text(dump_yaml({**readme_task(), **data}), encoding="utf-8")
        Task.load(folder / "task.yaml")


def is_nodes(data: dict[str, Any]) -> bool:
    """Whether a snippet shows nodes without the workflow around them."""
    return all(isinstance(each, dict) and "kind" in each for each in data.values())


def among_others(page: str) -> dict[str, Any]:
    """The first workflow on a page with all nodes that the page shows by themselves; what the last one gives is its output."""
    every = [parse_data(each.text, str(each)) for each in snippets("yaml") if each.page == page]
    whole = next(each for each in every if "nodes" in each)
    nodes = whole["nodes"] | {name: node for each in every if is_nodes(each) for name, node in each.items()}
    outputs = {"last": f"{list(nodes)[-1]}.{next(iter(list(nodes.values())[-1]['carry']))}"}
    return {**whole, "outputs": outputs, "nodes": nodes}


@pytest.mark.parametrize("command", commands(), ids=str)
def test_commands_are_those_that_there_are(command: Command) -> None:
    program, *words = command.words
    if program == "opentelemetry-instrument":
        program, *words = words
    if program == "flowbot":
        app.parse_args(words, exit_on_error=False, print_error=False)
    elif program == "python":
        assert (ROOT / words[0]).exists()
    else:
        assert tuple(words[: len(PROGRAMS[program])]) == PROGRAMS[program]


def is_cheap(command: Command) -> bool:
    return command.words[0] == "flowbot" and command.words[1] in CHEAP


@pytest.mark.parametrize("page", sorted({each.place.rpartition(":")[0] for each in commands() if is_cheap(each)}))
def test_the_cheap_commands_of_a_page_work_one_after_another(
    page: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["starts", "single-call", "task.yaml", "--out", "start.flow.yaml"]) == 0
    # so that something is stored
    assert run(["run", "start.flow.yaml", "message=hello", "--model", "fake/counter"]) == 0
    for command in commands():
        if is_cheap(command) and command.place.startswith(f"{page}:"):
            words = [PAID.sub("fake/counter", word) for word in command.words[1:]]
            if words[0] == "starts" and "--out" in words:
                words.append("--force")  # a reader has not begun with such a file
            assert run(words) == 0, (words, capsys.readouterr().err)
