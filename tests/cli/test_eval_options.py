"""`eval` for a part of the rows, and for a pipeline that wants a least score; what is not overwritten; other ways in."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from cli_help import FAKE, flowbot, write_flow, write_task

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FLOWBOT_CACHE_DIR", str(tmp_path / "cache"))


def test_a_limit_takes_the_first_rows_and_says_so(capsys: Capture, tmp_path: Path) -> None:
    given = ["eval", str(write_flow(tmp_path)), str(write_task(tmp_path)), "--split", "test", *FAKE]
    whole = flowbot(capsys, *given, "--json").json
    said = flowbot(capsys, *given, "--limit", "3", "--json").json
    assert [row["id"] for row in said["rows"]] == [row["id"] for row in whole["rows"][:3]]
    assert said["limit"] == {"n": 3, "of": 8}
    assert "limit" not in whole
    assert (
        "the first 3 of 8 test examples, at most 3 model calls, besides those that ask again"
        in flowbot(capsys, *given, "--limit", "3").out
    )
    assert "the first 8 of 8 test examples" in flowbot(capsys, *given, "--limit", "9", "--dry-run").out
    refused = flowbot(capsys, *given, "--limit", "0")
    assert (refused.status, refused.error) == (2, "flowbot: --limit: found 0; expected a number above 0")


def test_a_mean_below_what_is_wanted_fails(capsys: Capture, tmp_path: Path) -> None:
    given = ["eval", str(write_flow(tmp_path)), str(write_task(tmp_path)), *FAKE]
    mean = flowbot(capsys, *given, "--json").json["mean"]
    assert flowbot(capsys, *given, "--fail-under", str(mean)).status == 0
    (tmp_path / "val.jsonl").write_text('{"id": "odd", "note": "2 pens and 3 cups", "total": 6}\n', encoding="utf-8")
    said = flowbot(capsys, *given, "--fail-under", "0.5", "--json")
    assert (said.status, said.json["mean"]) == (1, 0)
    assert said.error == "flowbot: the mean score 0 is below --fail-under 0.5"


@pytest.mark.parametrize("score", ["80", "-0.1", "nan"])
def test_a_score_is_wanted_from_0_to_1(capsys: Capture, tmp_path: Path, score: str) -> None:
    said = flowbot(
        capsys, "eval", str(write_flow(tmp_path)), str(write_task(tmp_path)), *FAKE, "--fail-under", score, "--dry-run"
    )
    assert said.status == 2
    assert "--fail-under" in said.error
    assert "from 0 to 1" in said.error


def test_a_start_replaces_no_file_unless_told(capsys: Capture, tmp_path: Path) -> None:
    file = tmp_path / "mine.flow.yaml"
    file.write_text("mine", encoding="utf-8")
    said = flowbot(capsys, "starts", "self-refine", str(write_task(tmp_path)), "-o", str(file))
    assert said.status == 2
    assert file.read_text(encoding="utf-8") == "mine"
    assert "--force" in said.error
    assert flowbot(capsys, "starts", "self-refine", str(write_task(tmp_path)), "-o", str(file), "--force").status == 0
    assert "nodes" in file.read_text(encoding="utf-8")


def test_an_export_replaces_no_file_unless_told(capsys: Capture, tmp_path: Path) -> None:
    assert flowbot(capsys, "eval", str(write_flow(tmp_path)), str(write_task(tmp_path)), *FAKE).status == 0
    file = tmp_path / "kept.jsonl"
    file.write_text("mine", encoding="utf-8")
    said = flowbot(capsys, "cache", "export", str(file))
    assert (said.status, file.read_text(encoding="utf-8")) == (2, "mine")
    assert flowbot(capsys, "cache", "export", str(file), "--force").status == 0
    assert '"key"' in file.read_text(encoding="utf-8")


def test_a_task_is_made_anew_in_its_folder_when_told(capsys: Capture, tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(f'{{"note": "n{n}", "kind": "{"ab"[n % 2]}"}}\n' for n in range(40)), encoding="utf-8")
    given = ["init", str(rows), "--outputs", "kind", "-o", "made"]
    assert flowbot(capsys, *given).status == 0
    kept = tmp_path / "made" / "notes.txt"
    kept.write_text("mine", encoding="utf-8")
    assert flowbot(capsys, *given, "--metric", "f1").status == 2
    assert flowbot(capsys, *given, "--metric", "f1", "--force").status == 0
    assert "metric: f1" in (tmp_path / "made" / "task.yaml").read_text(encoding="utf-8")
    assert kept.read_text(encoding="utf-8") == "mine"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["made", "rows.jsonl"]


@pytest.mark.parametrize("given", ["file", "folder"])
def test_what_a_task_is_made_from_is_never_replaced(capsys: Capture, tmp_path: Path, given: str) -> None:
    own = tmp_path / "own"
    own.mkdir()
    text = "".join(f'{{"note": "n{n}", "kind": "{"ab"[n % 2]}", "more": {n}}}\n' for n in range(40))
    (own / "train.jsonl").write_text(text, encoding="utf-8")
    source = own / "train.jsonl" if given == "file" else own
    said = flowbot(capsys, "init", str(source), "--outputs", "kind", "--inputs", "note", "-o", "own", "--force")
    assert said.status == 2
    assert "train.jsonl" in said.error
    assert [each.name for each in own.iterdir()] == ["train.jsonl"]
    assert (own / "train.jsonl").read_text(encoding="utf-8") == text


def test_python_runs_it_by_the_packages_name() -> None:
    done = subprocess.run([sys.executable, "-m", "flowbot", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0.1.0"


def test_bash_completes_verbs_options_and_choices(capsys: Capture, tmp_path: Path) -> None:
    script = tmp_path / "completion.bash"
    script.write_text(flowbot(capsys, "completion", "bash").out, encoding="utf-8")
    asked = {"opt": "optimize", "eval --fail": "--fail-under", "optimize t.yaml --meth": "--method"}
    for line, wanted in asked.items():
        words = (
            f'COMP_WORDS=(flowbot {line}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); _flowbot; echo "${{COMPREPLY[@]}}"'
        )
        done = subprocess.run(["bash", "-c", f"source {script}; {words}"], capture_output=True, text=True, check=True)
        assert done.stdout.split() == [wanted]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_says_for_what_it_is(capsys: Capture, shell: str) -> None:
    said = flowbot(capsys, "completion", shell)
    assert said.status == 0
    last = {
        "bash": "complete -F _flowbot flowbot",
        "zsh": "compdef _cyclopts_flowbot flowbot",
        "fish": "complete -c flowbot",
    }
    assert said.out.strip().splitlines()[-1].startswith(last[shell])


def test_a_run_serves_wherever_a_workflow_does(capsys: Capture, tmp_path: Path) -> None:
    task = str(write_task(tmp_path))
    first = ["optimize", task, *FAKE, "--effort", "low", "--run-dir", "runs/one", "--start", str(write_flow(tmp_path))]
    assert flowbot(capsys, *first, "--quiet").status == 0
    for run in ("one", "runs/one"):
        said = flowbot(capsys, "run", run, "note=2 pens and 3 cups", *FAKE, "--json")
        assert (
            said.json
            == flowbot(capsys, "run", "runs/one/found.flow.yaml", "note=2 pens and 3 cups", *FAKE, "--json").json
        )
        assert flowbot(capsys, "eval", run, task, *FAKE, "--dry-run").status == 0
        assert flowbot(capsys, "optimize", task, *FAKE, "--start", run, "--dry-run").status == 0
        assert flowbot(capsys, "report", run).status == 0
    assert "sound" in flowbot(capsys, "check", "runs/one", "--task", task).out
    (tmp_path / "runs" / "one" / "found.flow.yaml").unlink()
    said = flowbot(capsys, "run", "one", "note=2 pens", *FAKE)
    assert (said.status, "no found.flow.yaml" in said.error) == (2, True)
    assert "found no such run; expected" in flowbot(capsys, "run", "nowhere", "note=2 pens", *FAKE).error
    assert "expected a workflow's file, a run, or one of" in flowbot(capsys, "eval", "nowhere", task, *FAKE).error
