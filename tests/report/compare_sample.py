"""Writes folders of finished runs with scores of one's choice, for tests of the comparison."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from flowbot.fields import Field
from flowbot.workflow.starts import single_call
from flowbot.workflow.workflow import Workflow

START = single_call([Field.of("note", "str")], [Field.of("total", "int")], "Add up the amounts.", reasoning=False)


def scores(values: Sequence[float]) -> dict[str, float]:
    """Scores of examples e0, e1…"""
    return {f"e{number}": value for number, value in enumerate(values)}


def write_run(
    folder: Path,
    found: Mapping[str, float],
    *,
    start: float = 0.0,
    seed: int = 0,
    method: str = "flowbot+blame",
    task_hash: str = "one",
    metric: str = "numeric",
    inputs: str = "a note",
    status: str = "done",
    usd: float | None = 0.0,
    workflow: Workflow = START,
) -> Path:
    """A run's folder. `status` other than done: without scores of a found workflow; unfinished: without a result."""
    folder.mkdir(parents=True)
    facts: dict[str, Any] = {
        "task": "sums", "goal": "Add up the amounts.", "method": method, "seed": seed, "effort": "low",
        "models": {"task": "fake/counter", "meta": "fake/counter"},
    }  # fmt: skip
    begin = {"event": "start", "run": folder.name, "workflow": workflow.dump(), "hash": workflow.hash, **facts}
    (folder / "journal.jsonl").write_text(json.dumps(begin) + "\n", encoding="utf-8")
    if status == "unfinished":
        return folder
    used = {"train": {"calls": 30, "tokens": 900, "usd": usd}, "test": {"calls": 10, "tokens": 300, "usd": usd}}
    result = {
        "run_id": folder.name, "status": status, "stopped_by": "finished", "scores": {}, "seconds": 65.0, "nodes": 1,
        "calls": {name: row["calls"] for name, row in used.items()}, "by_purpose": used, "task_hash": task_hash,
        "metric": metric, **facts,
    }  # fmt: skip
    (folder / "result.json").write_text(json.dumps(result), encoding="utf-8")
    with (folder / "examples.jsonl").open("w", encoding="utf-8") as file:
        for name, value in found.items():
            line = {"id": name, "split": "test", "inputs": {"note": inputs}, "expected": {"total": 3}}
            final = _side(name, value) if status == "done" else None
            file.write(json.dumps({**line, "start": _side(name, start), "final": final, "candidates": {}}) + "\n")
    return folder


def _side(name: str, score: float) -> dict[str, Any]:
    trace = {"example": name, "inputs": {"note": "a note"}, "steps": [], "outputs": None, "error": "", "seconds": 0.0}
    return {"score": score, "feedback": "", "parts": {}, "spread": None, "whole": True, "trace": trace}
