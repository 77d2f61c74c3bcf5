"""Exit statuses, and every error in one line on standard error, without a traceback."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from cli_help import FAKE, flowbot, write_flow, write_task

from flowbot.cli.app import explain
from flowbot.fields import BudgetExceeded, InfrastructureError, ModelError, Paused, UserError
from flowbot.task import MetricError

Capture = pytest.CaptureFixture[str]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["nope"], "nope"),
        (["demo", "--bogus"], "--bogus"),
        (["demo", "--effort", "huge"], "huge"),
        (["optimize", "task.yaml"], "--model"),
        (["eval", "one.yaml"], "TASK"),
        (["check", "no-such.yaml"], "no-such.yaml"),
        (["report", "no-such-run"], "no-such-run"),
        (["demo", "--max-calls", "0", *FAKE, "--meta-model", "fake/counter"], "--max-calls"),
        (["demo", "--price", "cheap", *FAKE], "price"),
        (["demo", "--model", "nobody/model", "--dry-run"], "nobody"),
        (["demo", "--method", "magic", *FAKE], "magic"),
        (["demo", "--max-usd", "1", "--model", "openai/no-such-model-1", "--dry-run"], "--price"),
    ],
)
def test_wrong_use_is_status_2_and_one_line_that_names_it(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], named: str
) -> None:
    monkeypatch.chdir(tmp_path)
    said = flowbot(capsys, *arguments)
    assert said.status == 2
    assert named in said.error
    assert said.error.startswith("flowbot: ")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (UserError("task.yaml:3", "a list", "a text"), 2, "task.yaml:3: found a list; expected a text"),
        (ModelError("no JSON\nat all"), 1, "no JSON at all"),
        (BudgetExceeded("10 calls are used up", ceiling="calls"), 1, "higher ceiling"),
        (Paused("Ctrl-C", stopped_by="signal"), 3, "same command again"),
        (InfrastructureError("401: wrong key", kind="auth", fatal=True), 3, "same command again"),
        (MetricError("it raised", metric="score", example="train-3"), 3, "Mend the metric"),
        (PermissionError(13, "Permission denied", "/root/x"), 1, "/root/x: Permission denied"),
        (ZeroDivisionError("division by zero"), 1, "--log-level debug"),
        (ModelError("\x1b[31mred\x07"), 1, "red"),
    ],
)
def test_each_error_has_its_status_and_its_line(capsys: Capture, error: Exception, status: int, words: str) -> None:
    assert explain(error, ["demo", "--seed", "1"]) == status
    line = capsys.readouterr().err
    assert words in line
    assert line.count("\n") == 1
    assert line.strip().isprintable()
    if status == 3:
        assert line.strip().endswith("flowbot demo --seed 1")


def test_traceback_is_shown_only_when_asked_for(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr("flowbot.checks.check.look_at", broken)
    task = write_task(tmp_path)
    assert "Traceback" not in flowbot(capsys, "check", str(task)).error
    said = flowbot(capsys, "check", str(task), "--log-level", "debug")
    assert said.status == 1
    assert "Traceback" in said.err


def test_help_and_version_load_nothing_heavy() -> None:
    program = (
        "import sys\nfrom flowbot.cli.app import run\n"
        "status = run(['optimize', '--help']) or run(['--version'])\n"
        "heavy = ('aiohttp', 'pydantic', 'jinja2', 'ruamel.yaml', 'sqlite3', 'xllamacpp', 'pydantic_monty')\n"
        "print([name for name in heavy if name in sys.modules], status)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[] 0"
    assert "--meta-model" in done.stdout


def test_the_reader_of_a_pipe_may_leave(tmp_path: Path) -> None:
    task = write_task(tmp_path)
    program = f"from flowbot.cli import main\nmain(['check', {str(task)!r}])"
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        error = process.stderr.read()
    assert "Traceback" not in error
    assert "Exception" not in error


def test_missing_model_is_said_before_anything_is_opened(capsys: Capture, tmp_path: Path) -> None:
    flow = write_flow(tmp_path)
    said = flowbot(capsys, "run", str(flow), "note=two pens", "--cache-dir", str(tmp_path / "cache"))
    assert said.status == 2
    assert "--model" in said.error
    assert "step answer" in said.error
    assert not (tmp_path / "cache").exists()
