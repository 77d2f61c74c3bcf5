"""What the machine has too little of is a pause in words; anything else is told as before."""

from __future__ import annotations

import errno
import os

import pytest

from flowbot.cli.app import PAUSED, explain, shortage


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.EMFILE, os.strerror(errno.EMFILE), "/a/file"), "/a/file: too many open files"),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/a/file"), "/a/file: No space left on device"),
        (OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)), "no memory"),
        (MemoryError(), "no memory"),
        (RuntimeError("can't start new thread"), "no more threads"),
        (ImportError("a.so: failed to map segment from shared object"), "no memory"),
    ],
)
def test_a_shortage_is_a_pause(error: Exception, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert said in shortage(error)
    assert explain(error, ["optimize", "task.yaml"]) == PAUSED
    shown = capsys.readouterr().err.splitlines()
    assert len(shown) == 1
    assert said in shown[0]
    assert "unexpected" not in shown[0]


@pytest.mark.parametrize("error", [ValueError("x"), RuntimeError("x"), ImportError("x"), FileNotFoundError(2, "x")])
def test_any_other_error_is_none(error: Exception) -> None:
    assert shortage(error) == ""
