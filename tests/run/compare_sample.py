"""Writes folders of finished runs with scores of one's choice, for tests of the comparison."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from flowbot.fields import Field
from flowbot.run.events import Started, dump
from flowbot.run.result import RunResult, Status, Used
from flowbot.workflow.starts import single_call
from flowbot.workflow.workflow import Workflow

START = single_call([Field.of("note", "str")], [Field.of("total", "int")], "Add up the amounts.", reasoning=False)
MODELS = {"task": "fake/counter", "meta": "fake/counter"}


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
    status: Status | Literal["unfinished"] = "done",
    usd: float | None = 0.0,
    workflow: Workflow = START,
    **more: Any,
) -> Path:
    """A run's folder. `status` other than done: without scores of a found workflow; unfinished: without a result. `more`: what
    its first event says besides."""
    folder.mkdir(parents=True)
    started = Started(
        run=folder.name, task="sums", goal="Add up the amounts.", method=method, seed=seed, effort=200, models=MODELS,
        start=workflow.hash, program=workflow.dump(), **more,
    )  # fmt: skip
    (folder / "journal.jsonl").write_text(json.dumps(dump(started)) + "\n", encoding="utf-8")
    if status == "unfinished":
        return folder
    for name in ("start", "found"):
        workflow.save(folder / f"{name}.flow.yaml")
    used = {
        "train": Used(calls=30, requests=30, tokens=900, usd=usd, seconds=1.0),
        "test": Used(calls=10, requests=10, tokens=300, usd=usd, seconds=1.0),
    }
    RunResult(
        run_id=folder.name, run_dir=folder, status=status, stopped_by="finished", method=method, effort="low", seed=seed,
        task="sums", task_hash=task_hash, metric=metric, models=MODELS, found=workflow, start=workflow, seconds=65.0,
        calls={name: each.calls for name, each in used.items()}, by_purpose=used,
    ).save()  # fmt: skip
    with (folder / "examples.jsonl").open("w", encoding="utf-8") as file:
        for name, value in found.items():
            line = {"id": name, "split": "test", "inputs": {"note": inputs}, "expected": {"total": 3}}
            final = _side(name, value) if status == "done" else None
            file.write(json.dumps({**line, "start": _side(name, start), "final": final, "candidates": {}}) + "\n")
    return folder


def _side(name: str, score: float) -> dict[str, Any]:
    trace = {"example": name, "inputs": {"note": "a note"}, "steps": [], "outputs": None, "error": "", "seconds": 0.0}
    return {"score": score, "feedback": "", "parts": {}, "spread": None, "whole": True, "trace": trace}
