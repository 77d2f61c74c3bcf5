"""A small comparison on disk, and what of its results is the same whenever it is run."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

GUESS = """
import json, sys, urllib.request
from pathlib import Path
job = json.loads(Path(sys.argv[1]).read_text())
rows = [json.loads(line) for line in (Path(sys.argv[1]).parent / "test.jsonl").read_text().splitlines()]
body = json.dumps({"model": "task", "messages": [{"role": "user", "content": "2 pens"}], "temperature": 0}).encode()
urllib.request.urlopen(urllib.request.Request(job["search_url"] + "/chat/completions", body)).read()
Path(job["out"], "program.json").write_text('{"summary": "a guess"}')
lines = (json.dumps({"id": row["id"], "outputs": {"total": 5}}) + "\\n" for row in rows)
Path(job["out"], "predictions.jsonl").write_text("".join(lines))
"""
BENCH = """
flowbot: 1
tasks: {adding: task}
methods:
  single: {start: single-call}
  cot: {start: chain-of-thought}
  tuned: {method: none+blame, start: chain-of-thought}
models: {small: {task: fake/counter}}
seeds: [0, 1]
effort: [60]
baseline: cot
"""


def write_task(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    number = 0
    for split in ("train", "val", "test"):
        rows: list[str] = []
        for _ in range(8):
            number += 1
            row = {"id": f"{split}-{number}", "note": f"{number} pens and {number + 3} cups", "total": 2 * number + 3}
            rows.append(json.dumps(row) + "\n")
        (folder / f"{split}.jsonl").write_text("".join(rows), encoding="utf-8")
    (folder / "task.yaml").write_text(
        "flowbot: 1\ngoal: Add up the amounts.\ninputs: {note: str}\noutputs: {total: int}\nmetric: numeric\n"
        "data: {train: train.jsonl, val: val.jsonl, test: test.jsonl}\n",
        encoding="utf-8",
    )


def write_bench(folder: Path, text: str = BENCH) -> Path:
    """A bench file with its task and a peer beside it."""
    write_task(folder / "task")
    (folder / "guess.py").write_text(GUESS, encoding="utf-8")
    path = folder / "small.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def lasting(folder: Path) -> dict[str, Any]:
    """Cells and table of a comparison, but for what they took by the clock on the wall."""
    cells: dict[str, Any] = {}
    for path in sorted(folder.glob("*/*/*/*/*/cell.json")):
        cell = json.loads(path.read_text(encoding="utf-8"))
        for part in ("search", "test", "took"):
            del cell[part]["seconds"]
        cells[path.parent.relative_to(folder).as_posix()] = cell
    with (folder / "table.csv").open(encoding="utf-8", newline="") as file:
        rows = [{name: value for name, value in row.items() if "seconds" not in name} for row in csv.DictReader(file)]
    return {"cells": cells, "table": rows}
