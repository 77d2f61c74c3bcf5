"""What README and documentation say of options, files, messages and figures is what the code says."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from doc_snippets import ROOT, commands, pages

from flowbot.cli.app import run
from flowbot.lm.providers import OWN, providers
from flowbot.power import smallest_difference

OTHERS_OPTIONS = {"--clearenv"}
"""Options of other programs that pages name."""


def test_options_that_are_named_are_ones_that_there_are() -> None:
    known = set(re.findall(r"--[a-z][a-z-]*", (ROOT / "docs" / "cli.md").read_text(encoding="utf-8"))) | OTHERS_OPTIONS
    for page in pages():
        text = page.read_text(encoding="utf-8")
        named = {
            each
            for span in re.findall(r"(?<!`)`([^`\n]+)`", text)
            for each in re.findall(r"(?<!\S)--[a-z][a-z-]*", span)
        }
        assert named <= known, page.name


def test_every_provider_stands_on_the_page_of_models() -> None:
    page = (ROOT / "docs" / "models-and-cost.md").read_text(encoding="utf-8")
    assert [name for name in (*providers(), *OWN) if f"`{name}/" not in page] == []


def test_the_files_of_a_run_are_those_on_the_page(folder: Path) -> None:
    page = (ROOT / "docs" / "report.md").read_text(encoding="utf-8")
    table = page.partition("## The run's folder")[2].partition("## ")[0]
    listed = {name for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for name in re.findall("`(.+?)`", row)}
    assert run(["optimize", "task.yaml", "--model", "fake/counter", "--effort", "low", "--run-dir", "here", "-q"]) == 0
    assert {each.name for each in (folder / "here").iterdir() if not each.name.startswith(".")} == listed


def test_what_a_number_of_rows_can_show_is_what_is_computed() -> None:
    page = (ROOT / "docs" / "your-own-task.md").read_text(encoding="utf-8")
    rows, points = (
        re.findall(r"[\d,]+", line) for line in re.findall(r"^\| (?:test rows|points) \|.*$", page, re.MULTILINE)
    )
    computed = [f"{100 * smallest_difference(int(each.replace(',', ''))):.0f}" for each in rows]
    assert points == computed


def test_messages_that_the_questions_quote_are_ones_that_there_are() -> None:
    page = (ROOT / "docs" / "questions.md").read_text(encoding="utf-8")
    quoted = [
        each for line in re.findall(r'^\*\*(".+?")\.?\*\*', page, re.MULTILINE) for each in re.findall('"(.+?)"', line)
    ]
    source = "".join(file.read_text(encoding="utf-8") for file in sorted((ROOT / "src").rglob("*.py")))
    assert len(quoted) > 5
    assert [each for each in quoted if each not in source] == []


def test_what_pip_is_told_to_install_are_extras_of_the_project() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    named = {
        extra
        for command in commands()
        if command.words[0] == "pip"
        for group in re.findall(r"\[([\w,]+)\]", " ".join(command.words))
        for extra in group.split(",")
    }
    assert named
    assert named <= set(extras)


def test_nobody_is_told_to_install_what_no_index_has() -> None:
    for page in (*pages(), *(ROOT / "examples").glob("*/README.md")):
        text = page.read_text(encoding="utf-8")
        assert re.findall(r"pip install (?!-e '\.\[)[^`\n]*flowbot[^`\n]*", text) == [], page.name
    for command in commands():
        if command.words[:2] == ("pip", "install"):
            assert not [word for word in command.words if word.startswith("flowbot")], str(command)


def test_ci_runs_the_two_commands_of_the_readme() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "pip install -e '.[local]' && flowbot demo" in readme
    assert "pip install -e '.[local,dev]' && pytest" in readme
    assert "flowbot demo --short" in ci
    assert re.search(r"^pytest$", ci, re.MULTILINE)


def test_the_tests_that_keep_what_users_met_are_there() -> None:
    page = (ROOT / "docs" / "what-users-met.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| ") and not line.startswith("| what ")]
    named = [re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", row.rpartition(" | ")[2]) for row in rows]
    assert len(rows) > 80
    assert [row[:80] for row, tests in zip(rows, named, strict=True) if not tests and "benchmarks/" not in row] == []
    missing = [
        f"{file}::{name}"
        for file, name in {test for tests in named for test in tests}
        if not (ROOT / file).is_file() or (name and f"def {name}(" not in (ROOT / file).read_text(encoding="utf-8"))
    ]
    assert missing == []
