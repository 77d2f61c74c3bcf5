"""A wrong key or name on the command line: one line that says what to do, and exit status 1 at every verb."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_help import flowbot, write_flow, write_task

REFUSED = ["--model", "fake/counter?expires=1", "--cache-dir", "cache"]
Capture = pytest.CaptureFixture[str]


@pytest.mark.parametrize("verb", ["run", "eval", "optimize", "models"])
def test_every_verb_fails_with_one_line(
    verb: str, capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    task, flow = write_task(tmp_path), write_flow(tmp_path)
    command = {
        "run": ["run", str(flow), "note=2 pens", *REFUSED],
        "eval": ["eval", str(flow), str(task), *REFUSED],
        "optimize": ["optimize", str(task), "--run-dir", "run", "--effort", "low", *REFUSED],
        "models": ["models", REFUSED[1], *REFUSED[2:]],
    }[verb]
    said = flowbot(capsys, *command)
    assert said.status == 1
    assert "the key has expired" in said.error
    assert "paused" not in said.error
    assert not (tmp_path / "run" / "result.json").exists()


def test_a_key_that_expires_later_pauses(capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    command = ["eval", str(write_flow(tmp_path)), str(write_task(tmp_path)), "--model", "fake/counter?expires=3"]
    said = flowbot(capsys, *command, "--concurrency", "1", "--cache-dir", "cache")
    assert said.status == 3
    assert "paused (infrastructure)" in said.error
