"""Standard streams that are closed, full or without a reader."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

FULL = Path("/dev/full")


def _shell(redirections: str, code: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["sh", "-c", f'exec "$0" -c "$1" {redirections}', sys.executable, code], capture_output=True, check=False
    )


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_no_file_gets_the_number_of_a_closed_stream(tmp_path: Path, closed: str) -> None:
    code = f"""
import os, sys
from flowbot.cli.streams import open_missing
open_missing()
print("text"); print("text", file=sys.stderr); sys.stdin.read()
handle = os.open({str(tmp_path / "number")!r}, os.O_WRONLY | os.O_CREAT)
os.write(handle, str(handle).encode())
"""
    assert _shell(closed, code).returncode == 0
    assert int((tmp_path / "number").read_text()) > 2


@pytest.mark.skipif(not FULL.exists(), reason="no /dev/full")
def test_output_that_cannot_be_written_is_one_line_and_status_1() -> None:
    code = "from flowbot.cli import main; main(['starts'])"
    ended = _shell(">/dev/full", code)
    assert (ended.returncode, ended.stdout) == (1, b"")
    assert ended.stderr.decode().splitlines() == [
        "flowbot: standard output: No space left on device; the same command says it again"
    ]


@pytest.mark.skipif(not FULL.exists(), reason="no /dev/full")
def test_errors_that_cannot_be_written_keep_their_status() -> None:
    code = "from flowbot.cli import main; main(['nonsense'])"
    assert _shell("2>/dev/full", code).returncode == 2
