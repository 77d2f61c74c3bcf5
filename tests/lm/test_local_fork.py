"""A local model's server and `os.fork`: the child has one of its own, and neither ends the other's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
PROGRAM = Path(__file__).with_name("fork_server_program.py")


@pytest.mark.parametrize("way", ["leave", "release"])
def test_a_childs_server_ends_with_it_and_the_parents_with_the_parent(tmp_path: Path, way: str) -> None:
    command = [sys.executable, str(PROGRAM), str(tmp_path / "stand_in.py"), way]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        found = json.loads(process.stdout.readline())
        assert found["own"] != found["theirs"]
        assert (found["status"], found["lives"]) == (0, [True, False])
        if way == "release":
            assert json.loads(process.stdout.readline()) is False
        assert process.wait() == 0
        # The program has ended without a word to its server, which reads the end of its input though a child is still there.
        assert ended(found["own"])


def ended(pid: int) -> bool:
    """Wait for the end of a process that is not ours."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    import select

    ready, _, _ = select.select([handle], [], [], 20)
    os.close(handle)
    return bool(ready)
