"""`flowbot starts`, and starts by name in `optimize`."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_help import FAKE, flowbot, write_task

from flowbot.workflow.check import check
from flowbot.workflow.starts import list_starts
from flowbot.workflow.workflow import Workflow

Capture = pytest.CaptureFixture[str]


def test_all_starts_are_listed_with_source_and_needs(capsys: Capture) -> None:
    said = flowbot(capsys, "starts")
    assert said.status == 0
    listed = {each["name"]: each for each in flowbot(capsys, "starts", "--json").json}
    assert list(listed) == [start.name for start in list_starts()]
    assert all(set(each) == {"name", "what", "source", "note", "needs"} for each in listed.values())
    assert all(name in said.out for name in listed)
    assert listed["program-of-thought"]["needs"] == ["the tool python"]
    assert "needs the tool python" in said.out
    assert flowbot(capsys, "starts", "--quiet").out.split() == list(listed)


def test_the_documentation_lists_every_start_as_the_library_has_it() -> None:
    text = (Path(__file__).parents[2] / "docs" / "starts.md").read_text(encoding="utf-8")
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| `")]
    assert [(row[0], row[1], row[3]) for row in rows] == [
        (f"| `{start.name}`", start.what, f"{start.source} |") for start in list_starts()
    ]


def test_a_start_is_shown_as_its_file(capsys: Capture, tmp_path: Path) -> None:
    said = flowbot(capsys, "starts", "self-refine")
    assert said.out.startswith("# An answer, then criticism")
    copy = tmp_path / "copy.flow.yaml"
    copy.write_text(said.out, encoding="utf-8")
    assert flowbot(capsys, "check", str(copy)).status == 0
    shown = flowbot(capsys, "starts", "self-refine", "--json").json
    assert shown["workflow"] == Workflow.load(copy).dump()
    assert shown["file"] is None


@pytest.mark.parametrize("name", [start.name for start in list_starts() if start.wants is None and not start.models])
def test_a_start_written_for_a_task_is_sound_and_runs_on_it(capsys: Capture, tmp_path: Path, name: str) -> None:
    (tmp_path / "docs.jsonl").write_text('{"title": "Pens", "text": "for notes"}\n', encoding="utf-8")
    task, flow = (
        str(write_task(tmp_path, more="tools: [python, {search: docs.jsonl}]\n")),
        str(tmp_path / "s.flow.yaml"),
    )
    cache = ["--cache-dir", str(tmp_path / "cache")]
    said = flowbot(capsys, "starts", name, task, "--out", flow, *cache, "--json")
    assert (said.status, said.json["file"]) == (0, flow)
    assert Workflow.load(flow).dump() == said.json["workflow"]
    facts = flowbot(capsys, "eval", flow, task, "--split", "test", *FAKE, *cache, "--json")
    assert facts.status == 0
    assert facts.json["n"] == 8
    assert facts.json["calls"] >= 8


def test_without_a_file_the_workflow_is_printed(capsys: Capture, tmp_path: Path) -> None:
    said = flowbot(capsys, "starts", "chain-of-thought", str(write_task(tmp_path)))
    out = tmp_path / "printed.flow.yaml"
    out.write_text(said.out, encoding="utf-8")
    assert check(Workflow.load(out)) == []
    assert "Add up the amounts." in said.out


def test_models_of_steps_are_pinned_by_name(capsys: Capture, tmp_path: Path) -> None:
    task = str(write_task(tmp_path))
    said = flowbot(
        capsys, "starts", "papillon", task, "--pin", "redact=fake/echo", "--pin=untrusted=fake/counter", "--json"
    )
    models = {step: told.get("model") for step, told in said.json["workflow"]["parameters"].items()}
    assert models == {"redact": "fake/echo", "untrusted": "fake/counter", "respond": "local/qwen2.5-coder-1.5b"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["no-such"], "found 'no-such'"),
        (["react", "TASK"], "the task's tools: found none"),
        (["multi-hop-claims", "TASK"], "one of type list[str]"),
        (["papillon", "TASK", "--pin", "redact"], "STEP=MODEL"),
        (["papillon", "TASK", "--pin", "x=fake/echo"], "found a model for the step 'x'"),
        (["papillon", "--pin", "redact=fake/echo"], "--pin: found no task"),
        (["--out", "x.yaml"], "--out"),
        (["debate", "--out", "x.txt"], "x.txt"),
    ],
)
def test_wrong_use_is_said_in_one_line(capsys: Capture, tmp_path: Path, arguments: list[str], said: str) -> None:
    task = str(write_task(tmp_path))
    told = flowbot(capsys, "starts", *(task if each == "TASK" else each for each in arguments))
    assert told.status == 2
    assert said in told.error


def test_a_search_begins_with_a_start_by_name(capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    command = ["optimize", str(write_task(tmp_path)), *FAKE, "--method", "none+none", "--cache-dir", "cache"]
    result = flowbot(capsys, *command, "--start", "plan-and-solve", "--json").json
    assert result["nodes"] == 2
    solve = Workflow.load(result["workflow"]).dump()["parameters"]["solve"]
    assert solve["instruction"].endswith("Task: Add up the amounts.")
    told = flowbot(capsys, *command, "--start", "plan-and-solv")
    assert told.status == 2
    assert "a workflow's file, a run, or one of single-call" in told.error
    assert "did you mean 'plan-and-solve'?" in told.error
