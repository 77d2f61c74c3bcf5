"""An export asks for the same as the workflow, or its check fails and shows where."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from export_help import FLOW, MODEL, scripted, task

from flowbot.export.export import ExportResult, read_export
from flowbot.export.exported import Exported
from flowbot.export.prompts import Prompts
from flowbot.export.python import Python
from flowbot.fields import UserError
from flowbot.lm.client import Reply
from flowbot.lm.providers import add_provider
from flowbot.testing.fake import FakeClient
from flowbot.workflow.workflow import Workflow


def flow_of(folder: Path, data: dict[str, Any] = FLOW) -> Path:
    path = folder / "every-kind.flow.json"
    Workflow.from_data(data).save(path)
    return path


async def written(folder: Path, to: str, rows: int = 6) -> ExportResult:
    ready = read_export(flow_of(folder), to, model=MODEL, task=task(rows), trust_code=True)
    return await ready.write(folder / to, cache_dir=folder / "cache")


async def test_every_kind_asks_for_the_same(tmp_path: Path) -> None:
    program = (await written(tmp_path, "python")).parity
    assert program is not None
    assert program.first is None, program.first
    assert (program.examples, program.ok) == (6, True)
    assert program.requests > 60

    def silent(name: str) -> FakeClient:
        client = scripted(name)
        client.complete = refuse  # pyright: ignore[reportAttributeAccessIssue]
        return client

    async def refuse(*_: object) -> Reply:
        raise AssertionError("a model was asked although its replies are stored")

    add_provider("scripted", silent)
    try:
        prompts = (await written(tmp_path, "prompts")).parity
    finally:
        add_provider("scripted", scripted)
    assert prompts is not None
    assert prompts.first is None, prompts.first
    assert prompts.requests == program.requests


@pytest.mark.parametrize(
    ("to", "was", "becomes", "told"),
    [
        ("python", "Count again.", "Count once more.", '+   "content": "Count once more.'),
        ("python", "temperature=0.7", "temperature=0.8", '+ "temperature": 0.8'),
        ("python", "range(3)", "range(1)", "requests are not made"),
        ("python", "majority_vote(arrived(", "first_filled(arrived(", "the run did not make"),
        ("prompts", "Better it.", "Better it!", '+  "content": "Better it!"'),
        ("prompts", "question: {{question}}", "Question: {{question}}", '+  "content": "Question: '),
    ],
)
async def test_an_export_that_asks_for_something_else_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, to: str, was: str, becomes: str, told: str
) -> None:
    target = Python if to == "python" else Prompts
    files = target.files

    def broken(self: Any, exported: Exported) -> dict[str, str]:
        made = {name: text.replace(was, becomes) for name, text in files(self, exported).items()}
        assert made != files(self, exported)
        return made

    monkeypatch.setattr(target, "files", broken)
    parity = (await written(tmp_path, to, 8)).parity
    assert parity is not None
    assert not parity.ok
    assert parity.first is not None
    assert told in parity.first.what + parity.first.diff


def test_what_cannot_be_said_is_refused_in_words(tmp_path: Path) -> None:
    flow = flow_of(tmp_path)
    with pytest.raises(UserError, match="step join runs code, which would run there without a sandbox: --trust-code"):
        read_export(flow, "python", model=MODEL, task=task())
    with pytest.raises(UserError, match="step each/price calls the tool lookup: nobody says what it takes"):
        read_export(flow, "python", model=MODEL, trust_code=True)
    data = {**FLOW, "parameters": {**FLOW["parameters"], "act": {"instruction": "Run it.", "tools": ["python"]}}}
    with pytest.raises(UserError, match="step act calls the tool python: it is part of FlowBot"):
        read_export(flow_of(tmp_path, data), "python", model=MODEL, task=task(), trust_code=True)
    data = {**FLOW, "parameters": {**FLOW["parameters"], "greet": {"instruction": "Hi.", "model": "openai/gpt-4.1"}}}
    with pytest.raises(UserError, match="its steps ask models of scripted and openai"):
        read_export(flow_of(tmp_path, data), "python", model=MODEL, task=task(), trust_code=True)
    code = "from math import *\n\ndef run(notes):\n    return {'text': 'a'}"
    data = {**FLOW, "parameters": {**FLOW["parameters"], "join": {"code": code}}}
    with pytest.raises(UserError, match=r"step join has code with `from math import \*`"):
        read_export(flow_of(tmp_path, data), "python", model=MODEL, task=task(), trust_code=True)


async def test_an_example_that_the_workflow_shows_is_not_compared(tmp_path: Path) -> None:
    ready = read_export(flow_of(tmp_path), "prompts", model=MODEL, task=task(0), trust_code=True)
    result = await ready.write(tmp_path / "out", cache_dir=tmp_path / "cache")
    assert result.parity is None
    assert result.unchecked == "the workflow shows all the examples that there are as demonstrations"


async def test_where_nothing_is_stored_and_nothing_may_be_asked_that_is_said(tmp_path: Path) -> None:
    ready = read_export(flow_of(tmp_path), "prompts", model=MODEL, task=task(), trust_code=True)
    unpaid = replace(ready, task=None, describe=ready.describe)
    result = await unpaid.write(tmp_path / "out", cache_dir=tmp_path / "cache")
    assert result.parity is None
    assert result.unchecked
    assert (tmp_path / "out" / "README.md").is_file()


async def test_a_package_that_is_missing_is_named_and_the_files_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def files(self: Python, exported: Exported) -> dict[str, str]:
        return {"every_kind.py": "import openai_of_nobody\n"}

    monkeypatch.setattr(Python, "files", files)
    with pytest.raises(UserError, match="the check: found no package openai_of_nobody; pip install openai_of_nobody"):
        await written(tmp_path, "python")
    assert (tmp_path / "python" / "every_kind.py").is_file()
