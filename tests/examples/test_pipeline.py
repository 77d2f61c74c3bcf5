"""The pipeline in plain Python: run as it stands, its steps and texts seen, and its own pages enough for its questions."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

import flowbot as fb
from flowbot.task import Task

pytest.importorskip("openai")
FOLDER = Path(__file__).parents[2] / "examples" / "pipeline"
PAGES = [json.loads(line) for line in (FOLDER / "articles.jsonl").read_text(encoding="utf-8").splitlines()]


class Reader:
    """Hands the message on as the query, and answers with the right words where their page was found."""

    name = "scripted/reader"

    def __call__(self, messages: list[dict[str, Any]]) -> str:
        told = messages[-1]["content"]
        pages, _, message = told.partition("\n\nMessage: ")
        if not message:
            return told
        return next((a for page in PAGES for q, a in page["asked"] if q == message and page["text"] in pages), "?")


def test_it_runs_as_it_stands_and_each_step_is_seen(tmp_path: Path) -> None:
    program = "app.py:answer"
    found = fb.evaluate(program, FOLDER, lm=Reader(), cache_dir=tmp_path)
    assert (found.errors, found.calls) == (0, 80)
    assert found.mean >= 0.75
    assert found.workflow.sketch.dump()["nodes"]["app"]["max_calls"] == 2  # as its task says
    trace = found.rows[0].trace
    assert trace is not None
    nodes = {each.node.partition("/")[2]: each for each in trace.steps}
    assert nodes.keys() == {"", "plan", "plan/call", "search", "reply", "reply/call"}
    assert [nodes[name].texts for name in ("plan/call", "reply/call")] == [("app:plan",), ("app:reply",)]
    assert nodes["search"].address in nodes["reply/call"].reads
    assert fb.evaluate(program, FOLDER, lm=Reader(), cache_dir=tmp_path).spent.calls == 0


def test_the_answer_to_every_question_stands_on_its_page() -> None:
    for page in PAGES:
        words = set(re.findall(r"\w+", page["text"].lower()))
        for question, answer in page["asked"]:
            assert set(re.findall(r"\w+", answer.lower())) - {"the"} <= words, question


def test_its_program_has_sixty_lines_and_its_readme_the_commands_and_sizes() -> None:
    assert len((FOLDER / "app.py").read_text(encoding="utf-8").splitlines()) <= 60
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert "flowbot check examples/pipeline/app.py:answer examples/pipeline/task.yaml" in readme
    assert "flowbot optimize examples/pipeline/task.yaml --start app.py:answer" in readme
    sizes = [len(Task.load(FOLDER, callables=False).splits[split]) for split in ("train", "val", "test")]
    assert "{} to train, {} to validate, {} to test".format(*sizes) in readme
