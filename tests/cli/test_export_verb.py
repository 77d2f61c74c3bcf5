"""`flowbot export`: a workflow or a run as files for others, and whether they ask for the same."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_help import FAKE, flowbot, write_flow, write_task

from flowbot.export.python import Python
from flowbot.workflow.workflow import Workflow

Capture = pytest.CaptureFixture[str]


def test_what_a_run_found_is_checked_on_its_stored_replies(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = write_task(tmp_path, sizes=(6, 3, 3))
    monkeypatch.chdir(tmp_path)
    places = ["--cache-dir", "cache", "--run-dir", "runs/one"]
    assert flowbot(capsys, "optimize", str(task), *FAKE, "--effort", "10", "--method", "random", *places).status == 0
    for to in ("python", "prompts"):
        said = flowbot(
            capsys, "export", "one", "--to", to, "--out", to, "--cache-dir", "cache", "--trust-code", "--json"
        )
        assert (said.status, said.err) == (0, "")
        facts = said.json
        assert facts["parity"]["ok"] is True, facts
        assert facts["parity"]["examples"] > 0
        assert all((tmp_path / to / name).is_file() for name in facts["files"])
    said = flowbot(capsys, "export", "one", "--to", "prompts", "--out", "other", "--cache-dir", "empty")
    assert said.status == 0
    assert "Not checked: the store has not the replies of the run" in said.out


def test_an_export_that_asks_for_something_else_ends_with_1_and_shows_it(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, flow = write_task(tmp_path / "task", sizes=(6, 3, 3)), write_flow(tmp_path)
    options = ["--to", "python", "--check", str(task), *FAKE, "--trust-code", "--cache-dir", str(tmp_path / "cache")]
    said = flowbot(capsys, "export", str(flow), "--out", str(tmp_path / "one"), *options)
    assert said.status == 0
    assert "Checked: the same 3 requests on 3 validation examples." in said.out
    files = Python.files

    def broken(self: Python, exported: object) -> dict[str, str]:
        return {name: text.replace("with its number", "") for name, text in files(self, exported).items()}  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(Python, "files", broken)
    said = flowbot(capsys, "export", str(flow), "--out", str(tmp_path / "two"), *options)
    assert said.status == 1
    assert "the export asks for something else: example val-7" in said.error
    assert "List each thing with its number." in said.out


def test_steps_that_no_example_came_to_are_named(capsys: Capture, tmp_path: Path) -> None:
    way = {"ref": "note", "op": "contains", "value": "of no example"}
    asks = {"kind": "llm", "in": {"note": "note"}, "out": {"answer": "str"}}
    flow = {
        "flowbot": 1,
        "inputs": {"note": "str"},
        "outputs": {"answer": "one.answer"},
        "nodes": {
            "route": {"kind": "branch", "in": {"note": "note"}, "ways": {"rare": way, "usual": "else"}},
            "rare": {**asks, "when": "route.rare"},
            "usual": {**asks, "when": "route.usual"},
            "one": {"kind": "merge", "how": "first", "in": ["rare.answer", "usual.answer"], "out": {"answer": "str"}},
        },
        "parameters": {"rare": {"instruction": "Say."}, "usual": {"instruction": "Say."}},
    }
    Workflow.from_data(flow).save(path := tmp_path / "two-ways.flow.json")
    task = write_task(tmp_path / "task", sizes=(6, 3, 3))
    options = ["--to", "prompts", "--out", str(tmp_path / "out"), "--cache-dir", str(tmp_path / "cache")]
    said = flowbot(capsys, "export", str(path), *options, "--check", str(task), *FAKE)
    assert said.status == 0
    assert "Not compared: rare: no example came there." in said.out


def test_what_is_wrong_is_told_before_anything_is_written(capsys: Capture, tmp_path: Path) -> None:
    flow, out = str(write_flow(tmp_path)), str(tmp_path / "out")
    for options, told in (
        (["--to", "python", *FAKE], "--to python: step compute runs code"),
        (["--to", "pyton", *FAKE], "--to: found 'pyton'; expected one of"),
        (["--to", "cor"], "core"),
        (["--to", "core", "--dry-run"], "--to core: found --dry-run beside it"),
        (["--to", "core", "--check", str(tmp_path)], "--to core: found --check beside it"),
        (["--to", "prompts"], "step answer: found no model; expected --model"),
        (["--to", "prompts", *FAKE, "--check", str(tmp_path / "none")], "none"),
    ):
        said = flowbot(capsys, "export", flow, "--out", out, *options)
        assert said.status == 2
        assert told in said.error
    assert not Path(out).exists()


def test_a_folder_is_replaced_only_with_force(capsys: Capture, tmp_path: Path) -> None:
    flow, out = str(write_flow(tmp_path)), tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("mine", encoding="utf-8")
    options = ["export", flow, "--to", "prompts", "--out", str(out), *FAKE]
    said = flowbot(capsys, *options)
    assert (said.status, "something there already" in said.error) == (2, True)
    said = flowbot(capsys, *options, "--force")
    assert (said.status, said.err) == (0, "")
    assert "Not checked: no task was named: --check TASK" in said.out
    assert {"mine.txt", "README.md", "answer.md", "answer.json", "workflow.mmd"} <= {
        each.name for each in out.iterdir()
    }


def test_a_programs_own_source_is_written_in_place(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "app.py").write_text('import flowbot as fb\nPLAN = fb.Param("plan", "Old.")\n', encoding="utf-8")
    (tmp_path / "app.flow.yaml").write_text(
        "flowbot: 1\ninputs: {question: str}\noutputs: {answer: app.answer}\n"
        "nodes: {app: {kind: program, call: 'app.py:answer', in: {question: question}, out: {answer: str}}}\n"
        "parameters: {app: {texts: {plan: New., gone: Lost.}}}\n",
        encoding="utf-8",
    )
    monkeypatch.chdir(tmp_path)
    said = flowbot(capsys, "export", "app.flow.yaml", "--to", "source")
    assert (said.status, "--force" in said.err) == (2, True)
    said = flowbot(capsys, "export", "app.flow.yaml", "--to", "source", "--force", "--dry-run")
    assert (said.status, "Old." in (tmp_path / "app.py").read_text()) == (2, True)
    said = flowbot(capsys, "export", "app.flow.yaml", "--to", "source", "--force")
    assert (said.status, said.err) == (0, "")
    assert "Written: plan in" in said.out
    assert "gone was not written" in said.out
    assert '"plan", "New."' in (tmp_path / "app.py").read_text()
    assert flowbot(capsys, "export", "app.flow.yaml", "--to", "prompts").status == 2


def test_a_search_writes_what_it_found_into_the_program_or_says_that_nothing_is_another(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = write_task(tmp_path / "task", sizes=(6, 3, 3))
    (tmp_path / "task" / "app.py").write_text(
        "import httpx\nimport flowbot as fb\nPLAN = fb.Param('plan', 'Count.')\n\n"
        "def answer(note: str):\n    said = [{'role': 'user', 'content': f'{PLAN} {note}'}]\n"
        "    url = 'http://127.0.0.1:9/v1/chat/completions'\n"
        "    return httpx.post(url, json={'model': 'm', 'max_tokens': 9, 'messages': said}).json()['choices'][0]['message']['content']\n",
        encoding="utf-8",
    )
    monkeypatch.chdir(tmp_path)
    options = ["--start", "app.py:answer", *FAKE, "--method", "none", "--effort", "1", "--write-source"]
    said = flowbot(capsys, "optimize", str(task), *options, "--cache-dir", "cache", "--run-dir", "run", "--json")
    assert (said.status, said.err) == (0, "")
    assert said.json["source"] == {"files": [], "names": [], "left": []}
    (tmp_path / "run" / "found.flow.yaml").write_text(
        (tmp_path / "run" / "found.flow.yaml").read_text().replace("Count.", "Count them."), encoding="utf-8"
    )
    said = flowbot(capsys, "export", "run", "--to", "source", "--out", "task")
    assert (said.status, "Written: plan in" in said.out) == (0, True)
    assert "fb.Param('plan', 'Count them.')" in (tmp_path / "task" / "app.py").read_text()


def test_what_a_search_could_not_write_is_said_before_it_begins(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = write_task(tmp_path / "task", sizes=(6, 3, 3))
    for place in (tmp_path, tmp_path / "task"):
        (place / "app.py").write_text("def answer(note: str): ...\n", encoding="utf-8")
    (tmp_path / "app.py").chmod(0o444)
    monkeypatch.chdir(tmp_path)
    options = ["optimize", str(task), *FAKE, "--method", "none", "--effort", "1", "--write-source", "--dry-run"]
    said = flowbot(capsys, *options)
    assert (said.status, "--write-source: found no program" in said.err) == (2, True)
    said = flowbot(capsys, *options, "--start", "app.py:answer")
    assert (said.status, "app.py: found a file that its owner may not write" in said.err) == (2, True)
    with task.open("a", encoding="utf-8") as file:
        file.write("programs: [app.py:answer]\n")  # then it is that one
    assert flowbot(capsys, *options, "--start", "app.py:answer").status == 0
