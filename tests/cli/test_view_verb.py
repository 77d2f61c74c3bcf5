"""`flowbot view`: what cannot be shown is told in a line, and what is shown ends in good order."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from http.client import HTTPConnection
from itertools import islice
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from cli_help import flowbot

from flowbot.web.server import listening

Capture = pytest.CaptureFixture[str]


def test_what_is_no_folder_of_runs_is_told(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "file").touch()
    for name, found in (("file", "a file"), ("none", "no such folder")):
        said = flowbot(capsys, "view", str(tmp_path / name))
        assert (said.status, said.error) == (
            2,
            f"flowbot: {tmp_path / name}: found {found}; expected a folder of runs",
        )


def test_a_port_that_is_taken_or_none_is_told(tmp_path: Path, capsys: Capture) -> None:
    with listening() as taken:
        said = flowbot(capsys, "view", str(tmp_path), "--port", str(taken.getsockname()[1]))
    assert (said.status, "found Address already in use" in said.error) == (2, True)
    assert "--port: found 70000" in flowbot(capsys, "view", str(tmp_path), "--port", "70000").error


def test_what_is_not_installed_is_told(tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    said = flowbot(capsys, "view", str(tmp_path))
    assert said.error.endswith("flowbot view: found no package uvicorn; pip install -e '.[serve]'")


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_its_address_is_told_and_a_signal_ends_it_though_a_page_is_open(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "flowbot", "view", str(tmp_path), "--port", "0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            assert server.stderr is not None
            told: dict[str, str] = json.loads("".join(islice(server.stdout, 4)))
            assert told["runs"] == str(tmp_path)
            page = HTTPConnection(urlsplit(told["url"]).netloc, timeout=60)
            page.request("GET", "/events/?seen=nothing")
            assert b"retry" in page.getresponse().readline()
            server.send_signal(signal.SIGINT)
            assert server.wait(60) == 0
            page.close()
            assert (server.stdout.read(), server.stderr.read()) == ("", "")
        finally:
            server.kill()
