"""The processes of a measurement: a virtual environment for each peer, the mock endpoint, one client at a time."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
DRIVERS = {
    "ours": "run_ours.py",
    "aiohttp": "run_aiohttp.py",
    "dspy": "run_dspy.py",
    "adalflow": "run_adalflow.py",
    "langgraph": "run_langgraph.py",
    "pydantic-ai": "run_pydantic_ai.py",
    "textgrad": "run_textgrad.py",
}
"""The script of each peer. A peer is named `PEER` or `PEER:VARIANT`."""
_GRACE_S = 60.0


class DriverError(Exception):
    """A client that ended without its line; the text holds the end of what it said."""


class Venvs:
    """Virtual environments, one a peer, made when first asked for and made anew when their requirements change.

    Args:
        folder: where they are kept.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def python(self, peer: str) -> str:
        """The interpreter that has the peer installed; this one for `ours`.

        Raises:
            subprocess.CalledProcessError: if the environment cannot be made.
        """
        if peer == "ours":
            return sys.executable
        wanted = HERE / "requirements" / f"{peer}.txt"
        home = self.folder / peer
        python, mark = home / "bin" / "python", home / "requirements.sha256"
        digest = hashlib.sha256(wanted.read_bytes()).hexdigest()
        if not (mark.is_file() and mark.read_text() == digest):
            print(f"installing {peer} in {home}", file=sys.stderr, flush=True)
            base = getattr(sys, "_base_executable", sys.executable)
            subprocess.run([base, "-m", "venv", "--clear", home], check=True)
            subprocess.run([python, "-m", "pip", "install", "--quiet", "-r", wanted], check=True)
            mark.write_text(digest)
        return str(python)

    def versions(self, peer: str) -> str:
        """The peer's pinned distributions, as its requirements file names them; the commit for `ours`."""
        if peer == "ours":
            git = ["git", "-C", str(HERE), "describe", "--always", "--dirty"]
            return subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
        return " ".join((HERE / "requirements" / f"{peer}.txt").read_text().split())


class Server:
    """The mock endpoint in a process of its own. Use `serving`."""

    def __init__(self, port: int) -> None:
        self.base_url = f"http://127.0.0.1:{port}"

    def control(self, **wanted: Any) -> dict[str, Any]:
        """Set it (see `mock.Mock.control`); returns its counters."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"{self.base_url}/_ctl", data=json.dumps(wanted).encode(), timeout=30) as answer:
            return json.load(answer)


@contextmanager
def serving(venvs: Venvs) -> Generator[Server]:
    """A mock endpoint that ends with the block."""
    command = [venvs.python("mock"), str(HERE / "mock.py")]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield Server(int(process.stdout.readline()))
    finally:
        process.stdin.close()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()


def drive(venvs: Venvs, peer: str, server: Server, **setting: Any) -> dict[str, Any]:
    """Run one client in a process of its own and return the line that it prints, with the machine's load before it.

    Args:
        venvs: where the peer is installed.
        peer: `PEER` or `PEER:VARIANT`.
        server: whom it calls.
        setting: see `drivers/workload.py`, `Setting`.

    Raises:
        DriverError: if it prints no line in time.
    """
    name, _, variant = peer.partition(":")
    chosen = {"base_url": server.base_url, "variant": variant, **setting}
    command = [venvs.python(name), str(HERE / "drivers" / DRIVERS[name]), json.dumps(chosen)]
    load = os.getloadavg()[0]
    began = time.monotonic()
    try:
        ran = subprocess.run(
            command,
            capture_output=True,
            text=True,
            env=_environment(os.environ, Path(setting["folder"])),
            cwd=setting["folder"],  # some peers write logs where they run
            timeout=setting.get("cut_s", 600.0) + _GRACE_S,
        )
    except subprocess.TimeoutExpired:
        raise DriverError(f"{peer}: no line after {time.monotonic() - began:.0f} s") from None
    lines = [line for line in ran.stdout.splitlines() if line.startswith('{"wall_s"')]
    if not lines:
        raise DriverError(f"{peer}: exit status {ran.returncode}: {ran.stderr.strip()[-300:]}")
    return {"peer": peer, "load": round(load, 2), **json.loads(lines[-1])}


def _environment(given: Mapping[str, str], folder: Path) -> dict[str, str]:
    """The environment of a client: files in its own folder, no proxy, no look-ups of price lists over the network."""
    own = {
        "HOME": str(folder),
        "XDG_CACHE_HOME": str(folder / "cache"),
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    }
    return {name: value for name, value in given.items() if not name.lower().endswith("_proxy")} | own
