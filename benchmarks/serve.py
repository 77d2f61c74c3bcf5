"""What serving costs: `flowbot serve` beside a bare Starlette handler that makes the same calls, and beside exports behind FastAPI.

    python benchmarks/serve.py OUT [--peers bare,flowbot,langgraph,dspy] [--rounds 3] [--requests 4000] [--in-flight 64]
                                   [--latency 0.05] [--steps 1] [--small]

Endpoint, server and load are processes of their own; the endpoint answers after a fixed time. Rounds are interleaved. Each
measurement is one line appended to OUT/serve.jsonl, with the processor time of the server for each request; at the end medians, and
how many times a request of each costs what one of the bare handler does. A peer that needs packages runs in an environment of its own, made at first use
(benchmarks/engine/requirements). `--small` only tries that everything works.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "engine"))

from processes import Server, Venvs, serving  # noqa: E402

BODY = json.dumps({"question": "How many pens are two dozen pens and NUMBER pens?"})
INSTRUCTION = "Read the question with care, and answer it in one short sentence. This is step {}."
PEERS = ("bare", "flowbot", "langgraph", "dspy")
"""The latter two behind FastAPI."""
NAMES = {"langgraph": "serve-langgraph", "dspy": "serve-dspy"}
"""Their environments (benchmarks/engine/requirements)."""
_TICKS = os.sysconf("SC_CLK_TCK")


class Environments(Venvs):
    """As those of the engine's benchmark; the bare handler and FlowBot run in this one."""

    def python(self, peer: str) -> str:
        """The interpreter that serves a peer."""
        return sys.executable if peer in ("bare", "flowbot") else super().python(NAMES.get(peer, peer))


def flow_of(steps: int) -> dict[str, Any]:
    """The workflow: `steps` calls of a model side by side, no two of them equal."""
    node = {"kind": "llm", "in": {"question": "question"}, "out": {"text": "str"}}
    nodes = {f"step{number}": node for number in range(1, steps + 1)}
    parameters = {name: {"instruction": INSTRUCTION.format(name[4:])} for name in nodes}
    return {
        "flowbot": 1,
        "inputs": {"question": "str"},
        "outputs": {"answer": "step1.text", **{f"more{name[4:]}": f"{name}.text" for name in list(nodes)[1:]}},
        "nodes": nodes,
        "parameters": parameters,
    }


def command(peer: str, python: str, port: int, url: str, steps: int, in_flight: int, folder: Path) -> list[str]:
    """What starts the server of a peer."""
    if peer == "bare":
        systems = [INSTRUCTION.format(number) for number in range(1, steps + 1)]
        return [python, str(HERE / "serving" / "bare.py"), str(port), url, json.dumps(systems)]
    flow = folder / "chain.flow.json"
    flow.write_text(json.dumps(flow_of(steps)))
    if peer == "flowbot":
        at_once = str(2 * in_flight)
        given = ["--model", "openai/mock", "--port", str(port), "--concurrency", at_once, "--max-in-flight", at_once]
        return [python, "-m", "flowbot", "serve", str(flow), *given, "--cache-dir", str(folder / "cache"), "--quiet"]
    exported = folder / peer
    if not exported.exists():
        own = [sys.executable, "-m", "flowbot", "export", str(flow), "--to", peer, "--out", str(exported)]
        subprocess.run([*own, "--model", "openai/mock", "--quiet"], check=True)
    return [python, str(HERE / "serving" / "exported.py"), str(port), str(exported)]


@contextmanager
def served(start: list[str], port: int, url: str) -> Generator[int]:
    """The process id of a server that takes requests, until the block ends."""
    own = {"OPENAI_BASE_URL": url, "OPENAI_API_BASE": url, "OPENAI_API_KEY": "none"}
    own["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # no look-up of price lists over the network
    environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")} | own
    process = subprocess.Popen(start, env=environment, stdout=subprocess.DEVNULL)
    try:
        for _ in range(1200):
            if process.poll() is not None:
                raise SystemExit(f"{start[:3]} ended with {process.returncode}")
            try:
                ask(port)
                break
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.05)
        yield process.pid
    finally:
        process.terminate()
        process.wait(timeout=60)


def ask(port: int) -> None:
    """One request, whose answer must be right."""
    asked = urllib.request.Request(f"http://127.0.0.1:{port}/run", BODY.encode(), {"Content-Type": "application/json"})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(asked, timeout=60) as answer:
        assert json.load(answer)["outputs"]["answer"], "an empty answer"


def processor_seconds(pid: int) -> float:
    """Of a process and its threads, user and system together."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        return found.getsockname()[1]


def measure(
    peer: str, venvs: Environments, endpoint: Server, folder: Path, given: argparse.Namespace
) -> dict[str, Any]:
    """One server under load."""
    port = free_port()
    url = endpoint.base_url
    start = command(peer, venvs.python(peer), port, url, given.steps, given.in_flight, folder)
    load = [venvs.python("mock"), str(HERE / "serving" / "load.py"), str(port), "/run", BODY, str(given.in_flight)]
    with served(start, port, url) as pid:
        subprocess.run([*load, str(given.requests // 4)], check=True, stdout=subprocess.DEVNULL)  # warm
        endpoint.control(reset=True)
        before, busy = processor_seconds(pid), os.getloadavg()[0]
        done = subprocess.run([*load, str(given.requests)], check=True, stdout=subprocess.PIPE, text=True)
        cpu = processor_seconds(pid) - before
    found = json.loads(done.stdout)
    calls = endpoint.control()["requests"]
    assert calls == given.steps * given.requests, f"{peer}: {calls} calls for {given.requests} requests"
    return {
        "peer": peer,
        "steps": given.steps,
        "in_flight": given.in_flight,
        "latency": given.latency,
        "requests": given.requests,
        **found,
        "per_second": round(given.requests / found["seconds"], 1),
        "cpu_ms": round(1000 * cpu / given.requests, 4),
        "load": round(busy, 2),
    }


def main() -> None:
    """Measure, and say what came of it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("out", type=Path, metavar="OUT")
    parser.add_argument("--peers", default=",".join(PEERS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--requests", type=int, default=4000)
    parser.add_argument("--in-flight", type=int, default=64)
    parser.add_argument("--latency", type=float, default=0.05)
    parser.add_argument("--steps", type=int, default=1)
    parser.add_argument("--small", action="store_true")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    parser.add_argument("--venvs", type=Path, default=cache / "flowbot-benchmarks" / "engine")
    given = parser.parse_args()
    if given.small:
        given.rounds, given.requests = 1, 200
    given.out.mkdir(parents=True, exist_ok=True)
    venvs, found = Environments(given.venvs), list[dict[str, Any]]()
    with (
        serving(venvs) as endpoint,
        tempfile.TemporaryDirectory() as folder,
        (given.out / "serve.jsonl").open("a") as lines,
    ):
        endpoint.control(latency=given.latency)
        for number in range(given.rounds):
            for peer in given.peers.split(","):
                line = {"round": number, **measure(peer, venvs, endpoint, Path(folder), given)}
                found.append(line)
                print(json.dumps(line), file=lines, flush=True)
    summarise(found)


def summarise(found: list[dict[str, Any]]) -> None:
    """Medians, and how many times what the bare handler takes."""
    peers = list(dict.fromkeys(line["peer"] for line in found))
    middle = {
        peer: {
            name: statistics.median(line[name] for line in found if line["peer"] == peer)
            for name in ("per_second", "cpu_ms", "p50_ms", "p95_ms", "wrong")
        }
        for peer in peers
    }
    for peer, values in middle.items():
        times = {"times_bare": round(values["cpu_ms"] / middle["bare"]["cpu_ms"], 2)} if "bare" in middle else {}
        print(json.dumps({"peer": peer, **values, **times}))


if __name__ == "__main__":
    main()
