"""An export asks for the same as the workflow, or its check fails and shows where."""

from __future__ import annotations

import json
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

import pytest
from export_help import FLOW, MODEL, scripted, task

from flowbot.export import parity_program
from flowbot.export.comparison import Keys, Parity
from flowbot.export.export import ExportResult, read_export
from flowbot.export.exported import Exported
from flowbot.export.folder import WRITTEN, write_export
from flowbot.export.prompts import Prompts
from flowbot.export.python import Python
from flowbot.export.record import Recording
from flowbot.fields import ModelError, UserError
from flowbot.fields.files import write_text
from flowbot.lm.client import TOO_LONG, Message, Patience, Reply, Request
from flowbot.lm.providers import add_provider
from flowbot.task import Task
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


NAMED: dict[str, Any] = {
    "flowbot": 1,
    "inputs": {"question": "str"},
    "outputs": {"answer": "README.answer"},
    "nodes": {
        "run_again": {"kind": "llm", "in": {"int": "question"}, "out": {"str": "str", "copy": "int"}},
        "int": {"kind": "code", "in": {"str": "run_again.str"}, "out": {"text": "str"}},
        "again": {
            "kind": "loop", "max": 2, "carry": {"dict": {"type": "str", "start": "int.text", "next": "bool.text"}},
            "nodes": {"bool": {"kind": "llm", "in": {"dict": "dict"}, "out": {"text": "str"}}},
        },
        "README": {"kind": "llm", "in": {"str": "again.dict", "n": "run_again.copy"}, "out": {"answer": "str"}},
    },
    "parameters": {
        "int": {"code": "def run(str):\n    print(str)\n    return {'text': 'x' + str}"},
        **{name: {"instruction": "Say it."} for name in ("run_again", "again/bool", "README")},
    },
}  # fmt: skip


@pytest.mark.parametrize(("to", "files"), [("python", "openai_2.py"), ("prompts", "README.step.md")])
async def test_names_that_python_or_the_file_has_are_kept_apart_and_what_code_prints_is_no_answer(
    tmp_path: Path, to: str, files: str
) -> None:
    Workflow.from_data(NAMED).save(path := tmp_path / "openai.flow.json")
    ready = read_export(path, to, model=MODEL, task=task(), trust_code=True)
    result = await ready.write(tmp_path / to, cache_dir=tmp_path / "cache")
    assert files in result.files
    assert isinstance(result.parity, Parity)
    assert result.parity.first is None, result.parity.first
    assert result.parity.examples == 6


def test_what_the_options_of_a_model_add_is_compared() -> None:
    keys, model = Keys(Recording("val", (), (), (), cast("Any", None), {})), "openai/mini?reasoning_effort=low"
    bare = Request((Message("user", "a"),), 10)
    assert keys.of(model, bare, 0) != keys.of(model, replace(bare, extra={"reasoning_effort": "low"}), 0)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("asyncio.sleep(9999)", "it has not ended within"),
        ("os._exit(3)", "it ended: it said nothing"),
        ("asyncio.to_thread(input)", "EOFError"),
    ],
)
async def test_a_program_that_does_not_go_on_has_failed_its_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, told: str
) -> None:
    def files(self: Python, exported: Exported) -> dict[str, str]:
        return {"every_kind.py": f"import asyncio, os\n\nasync def flow(question):\n    await {body}\n"}

    monkeypatch.setattr(Python, "files", files)
    if "sleep" in body:
        monkeypatch.setattr(parity_program, "SECONDS", 0.5)
    parity = (await written(tmp_path, "python", 2)).parity
    assert isinstance(parity, Parity)
    assert parity.first is not None
    assert told in parity.first.diff


async def test_a_tool_that_is_called_twice_is_a_difference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Python.files

    def files(self: Python, exported: Exported) -> dict[str, str]:
        twice = "\n_once = lookup\n\ndef lookup(**given):\n    _once(**given)\n    return _once(**given)\n\nMODEL = "
        return {name: text.replace("\nMODEL = ", twice, 1) for name, text in whole(self, exported).items()}

    monkeypatch.setattr(Python, "files", files)
    parity = (await written(tmp_path, "python")).parity
    assert isinstance(parity, Parity)
    assert parity.first is not None
    assert parity.first.what == "tools are called as the run did not call them, or more often"


FAILING: dict[str, Any] = {
    "flowbot": 1,
    "inputs": {"question": "str"},
    "outputs": {"answer": "work.answer"},
    "nodes": {"work": {"kind": "code", "in": {"question": "question"}, "out": {"answer": "int"}}},
    "parameters": {"work": {"code": "def run(question):\n    return {'answer': 1 // 0}"}},
}


@pytest.mark.parametrize(("raised", "same"), [(None, True), ("KeyError('question')", False)])
async def test_where_the_run_failed_the_export_fails_in_a_step_and_by_no_crash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, raised: str | None, same: bool
) -> None:
    if raised:
        text = f"async def flow(question):\n    raise {raised}\n"
        monkeypatch.setattr(Python, "files", lambda self, exported: {"failing.py": text})  # pyright: ignore[reportUnknownLambdaType]
    Workflow.from_data(FAILING).save(path := tmp_path / "failing.flow.json")
    ready = read_export(path, "python", model=MODEL, task=task(2), trust_code=True)
    parity = (await ready.write(tmp_path / "out", cache_dir=tmp_path / "cache")).parity
    assert isinstance(parity, Parity)
    assert parity.ok is same, parity.first


async def test_an_error_of_the_model_is_the_same_on_both_sides(tmp_path: Path) -> None:
    def short(name: str) -> FakeClient:
        client = scripted(name)
        whole = client.complete

        async def complete(request: Request, patience: Patience | None = None) -> Reply:
            if "Better it." in request.messages[0].content:
                raise ModelError(TOO_LONG)
            return await whole(request, patience)

        client.complete = complete  # pyright: ignore[reportAttributeAccessIssue]
        return client

    add_provider("scripted", short)
    try:
        for to in ("python", "prompts"):
            parity = (await written(tmp_path, to)).parity
            assert isinstance(parity, Parity)
            assert parity.first is None, parity.first
            assert parity.examples == 6
    finally:
        add_provider("scripted", scripted)


async def test_an_export_is_replaced_as_a_whole_and_nothing_else_is_touched(tmp_path: Path) -> None:
    out, first, other = tmp_path / "out", {"a.md": "a", "b.md": "b", "c.md": "c"}, {"a.md": "A", "d.md": "d"}
    write_export(out, first)
    (out / "notes.txt").write_text("mine")
    (out / "c.md").write_text("c, changed by hand")
    with pytest.raises(UserError, match="something there already"):
        write_export(out, other)
    write_export(out, other, force=True)
    assert {file.name: file.read_text() for file in out.iterdir() if file.suffix != ".json"} == {
        **other,
        "c.md": "c, changed by hand",
        "notes.txt": "mine",
    }
    with pytest.raises(UserError, match=r"notes\.txt: found a file that no export has written"):
        write_export(out, {"notes.txt": "x"}, force=True)
    (out / WRITTEN).write_text(json.dumps({"flowbot": 1, "files": {"../kept.md": sha256(b"k").hexdigest()}}))
    (tmp_path / "kept.md").write_text("k")
    write_export(out, {}, force=True)
    assert (tmp_path / "kept.md").exists()


def test_a_file_of_an_export_that_somebody_has_changed_is_not_replaced(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_export(out, {"a.md": "a", "b.md": "b"})
    (out / "b.md").write_text("b, changed by hand")
    with pytest.raises(UserError, match=r"b\.md: found a file whose content is another than an export has written"):
        write_export(out, {"a.md": "A", "b.md": "B"}, force=True)
    assert [(out / name).read_text() for name in ("a.md", "b.md")] == ["a", "b, changed by hand"]


def test_an_export_that_ended_halfway_is_replaced_by_the_same_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, other = tmp_path / "out", {"a.md": "A", "b.md": "B", "new.md": "n"}
    write_export(out, {"a.md": "a", "b.md": "b"})

    def ends(at: Path, text: str) -> None:
        if at.name == "b.md":
            raise KeyboardInterrupt
        write_text(at, text)

    monkeypatch.setattr("flowbot.export.folder.write_text", ends)
    with pytest.raises(KeyboardInterrupt):
        write_export(out, {"new.md": "n"} | other, force=True)
    monkeypatch.undo()
    write_export(out, other, force=True)
    assert {name: (out / name).read_text() for name in other} == other


@pytest.mark.parametrize("name", ["my-tools", "random", "class"])
def test_a_tool_whose_file_cannot_be_imported_by_its_name_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / f"{name}.py").write_text("def lookup(name: str) -> int:\n    return 1\n", encoding="utf-8")
    inputs = {"question": "str"}
    facts = {"flowbot": 1, "goal": "Try.", "inputs": inputs, "outputs": {"answer": "str"}, "metric": "exact"}
    told = {**facts, "tools": [f"{name}.py:lookup"], "data": {"val": "rows.jsonl"}}
    rows = "".join(f'{{"question": "{each}", "answer": "b"}}\n' for each in range(9))
    (tmp_path / "rows.jsonl").write_text(rows, encoding="utf-8")
    (tmp_path / "task.yaml").write_text(json.dumps(told), encoding="utf-8")
    loaded = Task.load(tmp_path)
    with pytest.raises(
        UserError, match=f"step each/price calls the tool lookup: {name}.py is no file that can be imported"
    ):
        read_export(flow_of(tmp_path), "python", model=MODEL, task=loaded, trust_code=True)


@pytest.mark.parametrize(
    ("to", "was", "becomes", "told"),
    [
        ("python", "Count again.", "Count once more.", '+   "content": "Count once more.'),
        ("python", "temperature=0.7", "temperature=0.8", '+ "temperature": 0.8'),
        ("python", "range(3)", "range(1)", "requests are not made"),
        ("python", "majority_vote(arrived(", "first_filled(arrived(", "the run did not make"),
        ("python", '"name": "reply"', '"name": "other"', '"name": "other"'),
        ("python", "max_tokens=100", "max_completion_tokens=100", '+ "max_completion_tokens": 100'),
        ("prompts", "Look a thing up.", "Look it up.", '"description": "Look it up."'),
        ("prompts", "Better it.", "Better it!", '+   "content": "Better it!"'),
        ("prompts", "question: {{question}}", "Question: {{question}}", '+   "content": "Question: '),
        ("prompts", '"max_tokens": 100', '"max_tokens": 1000', '+ "max_tokens": 1000'),
        ("prompts", '"temperature": 0.7', '"temperature": 0.8', '+ "temperature": 0.8'),
        ("prompts", '"strict": true', '"strict": false', '+   "strict": false'),
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
