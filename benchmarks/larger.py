"""What a cluster changes, which must be nothing but where functions run, and what it costs.

    pip install -e '.[ray,dask]'
    python benchmarks/larger.py OUT equal [--rounds 3]     # journals and results of a search under each executor, a machine lost in mid-run
    python benchmarks/larger.py OUT speed [--rounds 5]     # a metric of 50 ms of processor time, and one of none, on each

The clusters stand on this machine: Ray with two node processes of one processor each and 80 MB for objects, Dask with two worker processes.
`equal` runs `flowbot optimize`, from a workflow and from a program, against a mock endpoint with an empty store each time and compares journal and result; of the runs
on a cluster one machine is killed when the metric has been called 20 times, and another one started. It ends with an error where two differ. `speed` starts each executor first, then
scores the same examples under all of them in turn. Adds a line of JSON a run to OUT/larger.jsonl.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager, suppress
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

import psutil

from executors import FLOW, task_in
from executors import said as echoed
from first_jobs.model import Thinker
from flowbot.lm.lm import LM
from flowbot.lm.session import Session
from flowbot.runtime.engine import Engine
from flowbot.runtime.evaluation import evaluate
from flowbot.runtime.executors import Executor, open_executor
from flowbot.store import Store
from flowbot.task import Task
from flowbot.testing.fake import FakeClient
from flowbot.workflow.workflow import Workflow
from mocked import anything

PROGRAM = """
import os

import httpx

import flowbot as fb

SAY = fb.Param("say", "Say it.")
SURE = fb.Param("sure", "Say it once more, if it is right.")


async def ask(system, text):
    body = {"model": "m", "max_tokens": 200, "messages": [{"role": "system", "content": system}, {"role": "user", "content": text}]}
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {os.environ['OPENAI_API_KEY']}"}) as client:
        answer = await client.post(f"{os.environ['OPENAI_BASE_URL']}/chat/completions", json=body)
    return answer.json()["choices"][0]["message"]["content"]


@fb.step
async def say(note):
    return await ask(str(SAY), note)


async def answer(note):
    return await ask(str(SURE), f"{note}\\n{await say(note)}")
"""
LOSE_AT = 20
"""Calls of the metric after which a machine is killed."""
Machines = tuple[str, dict[str, str], Callable[[Callable[[], None]], None]]
"""The executor's name, what the environment says of it, and what kills one of its machines, says so, and starts another."""


@contextmanager
def here(name: str) -> Generator[Machines]:
    """No cluster."""
    yield name, {}, lambda lost: None


@contextmanager
def ray_machines() -> Generator[Machines]:
    """Two nodes, beside a head without processors; with patience, where the machine is busy."""
    for name in ("RAY_gcs_server_request_timeout_seconds", "RAY_raylet_start_wait_time_s"):
        os.environ.setdefault(name, "120")
    for name in ("RAY_agent_register_timeout_ms", "RAY_idle_worker_killing_time_threshold_ms"):
        os.environ.setdefault(name, "120000")
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "object_store_memory": 80_000_000})
    nodes = [cluster.add_node(num_cpus=1, object_store_memory=80_000_000) for _ in range(2)]

    def lose(lost: Callable[[], None]) -> None:
        cluster.remove_node(nodes.pop(0), allow_graceful=False)
        lost()
        nodes.append(cluster.add_node(num_cpus=1, object_store_memory=80_000_000))

    try:
        yield "ray", {"RAY_ADDRESS": cluster.address}, lose
    finally:
        cluster.shutdown()


@contextmanager
def dask_machines() -> Generator[Machines]:
    """A scheduler and two workers."""
    folder = tempfile.mkdtemp()
    file = Path(folder) / "scheduler.json"

    def started(what: str, *more: str) -> subprocess.Popen[bytes]:
        call = [
            sys.executable,
            "-m",
            f"distributed.cli.dask_{what}",
            "--scheduler-file",
            str(file),
            "--no-dashboard",
            *more,
        ]
        return subprocess.Popen(call, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder)

    scheduler = started("scheduler", "--port", "0", "--host", "127.0.0.1")
    while not file.exists():
        time.sleep(0.1)
    workers = [started("worker", "--nthreads", "1", "--no-nanny") for _ in range(2)]

    def lose(lost: Callable[[], None]) -> None:
        workers[0].kill()
        workers.pop(0).wait()
        lost()
        workers.append(started("worker", "--nthreads", "1", "--no-nanny"))

    try:
        yield json.loads(file.read_text())["address"].replace("tcp", "dask"), {}, lose
    finally:
        for each in (*workers, scheduler):
            each.kill()
            each.wait()


ALL: dict[str, Callable[[], Any]] = {
    "loop": lambda: here("loop"),
    "processes": lambda: here("processes"),
    "ray": ray_machines,
    "dask": dask_machines,
}


def timeless(value: Any) -> Any:
    """Data without the seconds that the endpoint took, which are its own each time."""
    if isinstance(value, list):
        return [timeless(each) for each in value]
    if isinstance(value, dict):
        return {name: timeless(each) for name, each in value.items() if name != "seconds"}
    return value


def searched(machines: Machines, folder: Path, url: str, *, program: bool, losing: bool) -> dict[str, Any]:
    """One search, from a program or from a workflow: what came of it, and whether a machine was lost meanwhile. Its folder is the same each time, for the metric's text,
    and so its identity, names it."""
    name, environment, lose = machines
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    log = folder / "log"
    task = task_in(folder / "task", "score", 40, log=str(log))
    (folder / "task" / "app.py").write_text(PROGRAM, encoding="utf-8")
    more = {"OPENAI_BASE_URL": url, "OPENAI_API_KEY": "sk-larger-0123456789", **environment}
    what = ["--start", f"{folder / 'task' / 'app.py'}:answer", "--meta-model"] if program else ["--model"]
    call = [
        sys.executable,
        "-m",
        "flowbot",
        "optimize",
        str(task),
        *what,
        "openai/m",
        "--effort",
        "60",
        "--price",
        "1,1",
        "--json",
    ]
    call += ["--cache-dir", str(folder / "cache"), "--run-dir", str(folder / "run"), "--executor", name]
    lost = list[bool]()
    began = time.monotonic()
    with subprocess.Popen(
        call, env={**os.environ, **more}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        while losing and not lost and running.poll() is None:
            time.sleep(0.02)
            if log.exists() and log.stat().st_size >= LOSE_AT:
                lose(lambda: lost.append(running.poll() is None))
        out, said = running.communicate()
    took = time.monotonic() - began
    if running.returncode:
        raise SystemExit(f"{name}: {said[-2000:]}")
    told = json.loads(out)
    kept = {each: told[each] for each in ("status", "stopped_by", "scores", "calls", "nodes")}
    lines = (folder / "run" / "journal.jsonl").read_text(encoding="utf-8").splitlines()
    events = [timeless(json.loads(line)) for line in lines if line.strip()]
    return {
        "journal": hashlib.sha256(json.dumps(events).encode()).hexdigest()[:16],
        "lines": len(events),
        "result": hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:16],
        "metric_calls": log.stat().st_size,
        "machine_lost": any(lost),
        "seconds": round(took, 1),
    }


def equal(rounds: int, names: list[str], folder: Path, note: Callable[[dict[str, Any]], None]) -> None:
    """Searches under each executor, compared."""
    found: dict[bool, set[tuple[str, str]]] = {False: set(), True: set()}
    with ExitStack() as stack:
        url = stack.enter_context(Thinker(anything)).url  # one for all: a model's identity has its address
        machines = {name: stack.enter_context(ALL[name]()) for name in names}
        for number in range(rounds):
            for program, name in product((False, True), names):
                row = searched(machines[name], folder, url, program=program, losing=name in ("ray", "dask"))
                start = "program" if program else "workflow"
                note({"what": "equal", "round": number, "start": start, "executor": name, **row})
                found[program].add((row["journal"], row["result"]))
    if any(len(each) > 1 for each in found.values()):
        raise SystemExit("the executors differ")


def processor_seconds() -> float:
    """Of this process and all below it, the cluster's own among them."""
    found = 0.0
    for each in (mine := psutil.Process(), *mine.children(recursive=True)):
        with suppress(psutil.Error):
            times = each.cpu_times()
            found += times.user + times.system
    return found


async def scored(executor: Executor, task: Task, rows: int) -> tuple[float, float, list[float]]:
    """Milliseconds, and milliseconds of processor time of all processes, for an example; and the scores."""
    session = Session(store=Store.memory())
    engine = Engine(LM(FakeClient(echoed), session), session, executor=executor)
    began, own = time.perf_counter(), processor_seconds()
    evaluation = await evaluate(engine, Workflow.from_data(FLOW, "benchmark"), task, task.train, purpose="train")
    took, used = time.perf_counter() - began, processor_seconds() - own
    await engine.close()
    return took / rows * 1000, used / rows * 1000, evaluation.values


async def speeds(rounds: int, names: list[str], note: Callable[[dict[str, Any]], None]) -> None:
    """Each executor started, then all of them in turn."""
    with ExitStack() as stack, tempfile.TemporaryDirectory() as place:
        opened: dict[str, Executor] = {}
        for name in names:
            executor, environment, _ = stack.enter_context(ALL[name]())
            os.environ.update(environment)
            opened[name] = open_executor(executor)
            await opened[name].ready()
        for metric, rows in (("computes", 60), ("quick", 300)):
            task = Task.load(task_in(Path(place) / metric, metric, rows, seconds=0.05))
            took: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
            scores = set[tuple[float, ...]]()
            for number in range(-1, rounds):  # the first one brings the functions there
                for name in names:
                    wall, own, values = await scored(opened[name], task, rows)
                    scores.add(tuple(values))
                    if number >= 0:
                        took[name].append((wall, own))
                        load = round(os.getloadavg()[0], 1)
                        row = {
                            "round": number,
                            "executor": name,
                            "ms": round(wall, 2),
                            "cpu_ms": round(own, 2),
                            "load": load,
                        }
                        note({"what": "speed", "metric": metric, "examples": rows, **row})
            if len(scores) > 1:
                raise SystemExit("the executors differ in their scores")
            medians = {
                name: [round(median(each), 2) for each in zip(*both, strict=True)] for name, both in took.items()
            }
            print(metric, medians, "ms an example, and ms of processor time: medians")
        for executor in opened.values():
            await executor.close()


def main() -> None:
    """Measure, print and add lines."""
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("what", choices=("equal", "speed"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--executors", default=",".join(ALL))
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)

    def note(row: dict[str, Any]) -> None:
        print(json.dumps(row), flush=True)
        with (given.out / "larger.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")

    names = given.executors.split(",")
    if given.what == "equal":
        equal(given.rounds, names, given.out.resolve() / "run", note)
    else:
        asyncio.run(speeds(given.rounds, names, note))


if __name__ == "__main__":
    main()
