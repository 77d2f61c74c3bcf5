"""The wiki example is what its README says: made by its script, two pages a question, the second found by its name."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from flowbot.runtime.toolbox import opened_tools
from flowbot.runtime.tools import ToolRunner
from flowbot.task import Task
from flowbot.task.splits import Split
from flowbot.workflow.workflow import Workflow

FOLDER = Path(__file__).parents[2] / "examples" / "wiki"
SPLITS: dict[Split, int] = {"train": 40, "val": 40, "test": 60}


def rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (FOLDER / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def questions() -> list[dict[str, Any]]:
    return [row for split in SPLITS for row in rows(split)]


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    return {page["title"]: page["text"] for page in rows("wiki")}


def test_the_script_writes_the_committed_files_again(tmp_path: Path) -> None:
    subprocess.run([sys.executable, str(FOLDER / "generate.py"), str(tmp_path)], check=True)
    written = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    assert written == {f"{name}.jsonl": (FOLDER / f"{name}.jsonl").read_bytes() for name in ("wiki", *SPLITS)}


def test_the_task_loads_and_each_gold_answer_scores_1() -> None:
    task = Task.load(FOLDER / "task.yaml")
    assert {split: len(task.splits[split]) for split in SPLITS} == SPLITS
    for examples in task.splits.values():
        for example in examples:
            assert task.metric(example, example.expected).value == 1.0


def test_a_sentence_around_the_answer_does_not_count() -> None:
    task = Task.load(FOLDER / "task.yaml")
    example = task.splits["test"][0]
    assert task.metric(example, {"answer": f"It is {example.expected['answer']}."}).value == 0.0


def test_it_takes_two_pages_to_answer(questions: list[dict[str, Any]], pages: dict[str, str]) -> None:
    for row in questions:
        first, second = row["pages"]
        assert row["answer"] in pages[second], row
        assert row["answer"] not in f"{pages[first]} {row['question']}", row
        assert second.removeprefix("Project ") not in row["question"], row
        assert second.removeprefix("Project ").removesuffix(" team") in pages[first], row


def test_no_second_page_and_no_question_is_in_two_splits() -> None:
    for key in ("bridge", "question"):
        found = [{row[key] for row in rows(split)} for split in SPLITS]
        assert sum(map(len, found)) == len(set[str]().union(*found))


async def test_the_second_page_is_found_by_its_title_and_seldom_by_the_question(
    questions: list[dict[str, Any]], tmp_path: Path
) -> None:
    task = Task.load(FOLDER / "task.yaml")
    alone = 0
    async with opened_tools(task.sources, cache_dir=tmp_path) as tools:
        runner = ToolRunner(tools, None)

        async def titles(query: str) -> set[str]:
            outputs, _ = await runner.call("search", {"query": query})
            return {page["title"] for page in outputs["results"]}

        for row in questions:
            assert row["pages"][1] in await titles(row["pages"][1])
            alone += row["id"].startswith("test") and set(row["pages"]) <= await titles(row["question"])
    assert f"for {alone} of the 60 test questions" in (FOLDER / "README.md").read_text(encoding="utf-8")


def test_the_start_fits_the_task() -> None:
    task, start = Task.load(FOLDER / "task.yaml"), Workflow.load(FOLDER / "start.flow.yaml")
    assert list(start.sketch.inputs) == [field.name for field in task.inputs]
    assert list(start.sketch.outputs) == [field.name for field in task.outputs]
