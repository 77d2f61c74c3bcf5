"""What worker processes gain for metrics that compute, and cost for those that do not.

    python benchmarks/executors.py [ROUNDS] [--examples N]

Scores a one-step workflow on the fake model under the executors `loop` and `processes` in turn, ROUNDS (3) times, by a metric that
computes for some 20 ms and by one that does next to nothing; the store is empty each time. Prints one JSON object: seconds of each round,
starting the processes included, and the ratio of the medians. Ends with an error if the scores differ.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from flowbot.lm.client import Request
from flowbot.lm.lm import LM
from flowbot.lm.session import Session
from flowbot.runtime.engine import Engine
from flowbot.runtime.evaluation import evaluate
from flowbot.runtime.executors import open_executor
from flowbot.store import Store
from flowbot.task import Task
from flowbot.testing.fake import FakeClient
from flowbot.workflow.workflow import Workflow

METRICS = """
import hashlib, time

def computes(example, outputs):
    until = time.process_time() + {seconds}
    while time.process_time() < until:
        pass
    return outputs["text"] == example.inputs["note"]

def quick(example, outputs):
    return outputs["text"] == example.inputs["note"]

def score(example, outputs):
    if log := {log!r}:
        with open(log, "a") as file:
            file.write("x")
    time.sleep(0.02)
    return hashlib.sha256(f"{{example.id}} {{outputs}}".encode()).digest()[0] / 255
"""
TASK = """flowbot: 1
goal: Say it.
inputs: {note: str}
outputs: {text: str}
metric: metrics.py:%s
data: {train: rows.jsonl, val: other.jsonl, test: more.jsonl}
"""
FLOW: dict[str, Any] = {
    "flowbot": 1,
    "inputs": {"note": "str"},
    "outputs": {"text": "say.text"},
    "nodes": {"say": {"kind": "llm", "in": {"note": "note"}, "out": {"text": "str"}}},
    "parameters": {"say": {"instruction": "Say it."}},
}
NAMES = ("loop", "processes")


def task_in(folder: Path, metric: str, rows: int, *, seconds: float = 0.02, log: str = "") -> Path:
    """The task as a user would write it, since functions of the main program are not sent to processes.

    Args:
        folder: where it stands then.
        metric: `computes`, `quick` or `score`.
        rows: examples of each split.
        seconds: of processor time that `computes` takes.
        log: file to which `score` adds a letter each time; "" for none.
    """
    folder.mkdir(exist_ok=True)
    (folder / "metrics.py").write_text(METRICS.format(seconds=seconds, log=log), encoding="utf-8")
    (folder / "task.yaml").write_text(TASK % metric, encoding="utf-8")
    for file in ("rows", "other", "more"):
        lines = [json.dumps({"note": f"{file} {n}", "text": f"{file} {n}"}) + "\n" for n in range(rows)]
        (folder / f"{file}.jsonl").write_text("".join(lines), encoding="utf-8")
    return folder / "task.yaml"


def said(request: Request) -> str:
    """The fake model's reply."""
    return request.messages[-1].content


async def timed(task: Task, workflow: Workflow, executor: str) -> tuple[float, list[float]]:
    """Seconds of one evaluation, and its scores."""
    session = Session(store=Store.memory())
    engine = Engine(LM(FakeClient(said), session), session, executor=open_executor(executor))
    began = time.perf_counter()
    try:
        evaluation = await evaluate(engine, workflow, task, task.train, purpose="train")
        return time.perf_counter() - began, evaluation.values
    finally:
        await engine.close()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("rounds", nargs="?", type=int, default=3)
    parser.add_argument("--examples", type=int, default=200)
    given = parser.parse_args()
    workflow = Workflow.from_data(FLOW, "benchmark")
    facts: dict[str, Any] = {"examples": given.examples, "processors": len(os.sched_getaffinity(0))}
    with tempfile.TemporaryDirectory() as folder:
        for metric in ("computes", "quick"):
            task = Task.load(task_in(Path(folder), metric, given.examples))
            seconds: dict[str, list[float]] = {name: [] for name in NAMES}
            scores: set[tuple[float, ...]] = set()
            for _ in range(given.rounds):
                for name in NAMES:
                    took, values = asyncio.run(timed(task, workflow, name))
                    seconds[name].append(round(took, 3))
                    scores.add(tuple(values))
            assert len(scores) == 1, "the executors differ in their scores"
            ratio = median(seconds["loop"]) / median(seconds["processes"])
            facts[metric] = {"seconds": seconds, "loop_over_processes": round(ratio, 2)}
    print(json.dumps({**facts, "load": os.getloadavg()[0]}))


if __name__ == "__main__":
    main()
