"""`flowbot serve` as a command: what it says, what it refuses, and how it ends."""

from __future__ import annotations

import gc
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue

import pytest
from cli_help import flowbot
from held_endpoint import HeldEndpoint, holding

from flowbot.web.server import listening, url_of
from flowbot.workflow.file import write_data

FLOW = {
    "flowbot": 1,
    "inputs": {"question": "str"},
    "outputs": {"answer": "only.text"},
    "nodes": {"only": {"kind": "llm", "in": {"question": "question"}, "out": {"text": "str"}}},
    "parameters": {"only": {"instruction": "Repeat."}},
}


@pytest.fixture
def flow(tmp_path: Path) -> Path:
    write_data(FLOW, tmp_path / "shop.flow.yaml")
    return tmp_path / "shop.flow.yaml"


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_at_sigterm_what_is_under_way_is_answered(flow: Path) -> None:
    model = "fake/echo?latency=0.4&clock=real"
    command = [sys.executable, "-m", "flowbot", "serve", str(flow), "--model", model, "--port", "0", "--json"]
    command += ["--cache-dir", str(flow.parent / "cache")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process, ThreadPoolExecutor() as pool:
        assert process.stdout is not None
        said = json.loads("".join(process.stdout.readline() for _ in range(7)))
        body = json.dumps({"question": "pears"}).encode()
        asking = pool.submit(urllib.request.urlopen, urllib.request.Request(said["run"], body), timeout=30)
        metrics = f"{said['url']}/metrics"
        while b"flowbot_in_flight 1.0" not in urllib.request.urlopen(metrics, timeout=30).read():
            pass
        os.kill(process.pid, signal.SIGTERM)
        assert json.loads(asking.result().read())["outputs"] == {"answer": "pears"}
        assert (said["name"], process.wait(timeout=30)) == ("shop", 0)


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_an_endpoint_that_never_answers_keeps_no_server_from_its_end(
    flow: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    urls = Queue[str]()

    def told(listener: socket.socket) -> str:
        urls.put(url_of(listener))
        return url_of(listener)

    def leave_and_end(endpoint: HeldEndpoint) -> None:
        asking = http.client.HTTPConnection(urls.get(timeout=30).removeprefix("http://"))
        try:
            asking.request("POST", "/run", json.dumps({"question": "pears"}).encode())
            endpoint.wait_for(held=1)
        finally:
            asking.close()
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr("flowbot.web.server.url_of", told)
    monkeypatch.setattr("flowbot.lm.cut.GRACE", 0.01)
    for name in ("freeze", "set_threshold"):
        monkeypatch.setattr(gc, name, lambda *_: None)
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    with holding() as endpoint, ThreadPoolExecutor() as pool:
        monkeypatch.setenv("OPENAI_BASE_URL", endpoint.url)
        endpoint.holds = lambda body: True
        left = pool.submit(leave_and_end, endpoint)
        more = ["--port", "0", "--cache-dir", str(flow.parent / "cache")]
        found = flowbot(capsys, "serve", str(flow), "--model", "openai/mock", *more)
        assert (found.status, left.result(), endpoint.is_holding(1)) == (0, None, True)


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_at_sigterm_it_does_not_wait_for_input_that_never_comes(flow: Path) -> None:
    command = [sys.executable, "-m", "flowbot", "serve", str(flow), "--model", "fake/echo", "--stdio"]
    command += ["--cache-dir", str(flow.parent / "cache")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b'{"jsonrpc": "2.0", "id": 1, "method": "ping"}\n')
        process.stdin.flush()
        assert process.stdout.readline()
        os.kill(process.pid, signal.SIGTERM)
        try:
            assert process.wait(timeout=60) == 0
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            ["--host", "0.0.0.0"],
            "--host 0.0.0.0: found an address that others can reach, and no key; expected --api-key-env",
        ),
        (["--api-key-env", "NO_SUCH"], "--api-key-env NO_SUCH: found no such variable, or a short one"),
        (["--port", "70000"], "--port: found 70000"),
        (["--max-in-flight", "0"], "--max-in-flight: found 0"),
        (["--timeout", "nan"], "--timeout: found nan"),
        (["--max-usd-per-day", "-1"], "--max-usd-per-day: found -1"),
        (["--record", "rows.csv"], "--record rows.csv: found a name that ends in '.csv'"),
        (["--model", "openai/nobody-knows", "--max-usd-per-day", "1"], "whose price is unknown"),
    ],
)
def test_what_cannot_be_served_is_refused_before_anything_is_asked(
    flow: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, options: list[str], said: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9")
    more = ["--port", "0"] if "--port" not in options else []
    model = ["--model", "fake/echo"] if "--model" not in options else []
    cache = ["--cache-dir", str(flow.parent / "cache")]
    found = flowbot(capsys, "serve", str(flow), *model, *more, *cache, *options)
    assert (found.status, said in found.error) == (2, True), found.error


def test_a_port_that_is_taken_is_told(flow: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with listening() as taken:
        port = str(taken.getsockname()[1])
        found = flowbot(capsys, "serve", str(flow), "--model", "fake/echo", "--port", port)
    assert "found Address already in use; expected an address of this machine and a free port" in found.error


def test_a_dry_run_opens_all_and_asks_nothing(flow: Path, capsys: pytest.CaptureFixture[str]) -> None:
    more = ["--cache-dir", str(flow.parent / "cache"), "--port", "0", "--dry-run"]
    found = flowbot(capsys, "serve", str(flow), "--model", "fake/echo", *more)
    assert (found.status, found.out) == (0, "shop can be served; nothing was called.\n")


def test_what_is_not_installed_is_told(
    flow: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    found = flowbot(capsys, "serve", str(flow), "--model", "fake/echo")
    assert found.error.endswith("flowbot serve: found no package prometheus_client; pip install -e '.[serve]'")
