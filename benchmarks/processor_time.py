"""Processor time a logical call that an optimisation takes with the fake model, which answers at once.

    python benchmarks/processor_time.py [--effort medium] [--seeds 0,1,2] [--against SRC]

Each run is a process of its own, with a store of its own; what is measured is the processor time of `optimize`, all of its
threads and without the imports, on the example `orders`. Prints a JSON line a run, then a table of medians. `--against` names the
`src` of another checkout of FlowBot: its runs are made between ours, so that both meet the same machine, and the table has their
ratio.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
OURS = ROOT / "src"
MODEL = "fake/counter"
RUN = """
import json, sys, time
from pathlib import Path
import flowbot as fb
import flowbot.optimizer.run  # what would be loaded at first need
from flowbot.task import Task

task, effort, seed, model = sys.argv[1:]
task = Task.load(task)
begun = time.process_time(), time.perf_counter()
result = fb.optimize(
    task, lm=model, effort=int(effort) if effort.isdigit() else effort, seed=int(seed),
    run_dir=Path("run"), cache_dir=Path("cache"),
)
took = time.process_time() - begun[0], time.perf_counter() - begun[1]
print(json.dumps({"status": result.status, "calls": sum(result.calls.values()), "processor": took[0], "wall": took[1]}))
"""


def one_run(src: Path, effort: str, seed: int) -> dict[str, Any]:
    """A run of the FlowBot in a folder `src`, in a process of its own."""
    task = ROOT / "examples" / "orders" / "task.yaml"
    environment = {**os.environ, "PYTHONPATH": str(src), "PYTHONHASHSEED": "0"}
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", RUN, str(task), effort, str(seed), MODEL]
        ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise SystemExit(f"{src}: the run of seed {seed} failed\n{ended.stderr[-2000:]}")
    found = json.loads(ended.stdout.splitlines()[-1])
    return {"seed": seed, "effort": effort, **found, "ms_a_call": 1000 * found["processor"] / found["calls"]}


def table(lines: list[dict[str, Any]]) -> str:
    """Medians over the seeds, a row a checkout; the last column is the ratio to the first."""
    rows = [("src", "runs", "calls", "processor s", "wall s", "ms a call", "ratio")]
    first: float | None = None
    for src in dict.fromkeys(line["src"] for line in lines):
        own = [line for line in lines if line["src"] == src]
        calls, processor, wall, each = (
            median(line[name] for line in own) for name in ("calls", "processor", "wall", "ms_a_call")
        )
        first = first or each
        figures = (f"{calls:.0f}", f"{processor:.2f}", f"{wall:.2f}", f"{each:.3f}", f"{each / first:.2f}")
        rows.append((src, str(len(own)), *figures))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--effort", default="medium", help="low, medium, high or a number of search calls")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--against", type=Path, help="`src` of another checkout")
    given = parser.parse_args()
    sides = {"this": OURS, **({str(given.against): given.against.resolve()} if given.against else {})}
    lines: list[dict[str, Any]] = []
    for turn, seed in enumerate(map(int, given.seeds.split(","))):
        for name in list(sides)[:: -1 if turn % 2 else 1]:  # neither is always the first on a machine that grows warm
            lines.append({"src": name, **one_run(sides[name], given.effort, seed)})
            print(json.dumps(lines[-1]), flush=True)
    lines.sort(key=lambda line: list(sides).index(line["src"]))
    print(table(lines))


if __name__ == "__main__":
    main()
