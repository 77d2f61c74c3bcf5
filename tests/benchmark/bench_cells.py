"""Cells of a comparison with scores of one's choice, for tests of tables, pictures and pages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flowbot.benchmark.cell import CellResult, Cost


def cell(method: str, scores: Sequence[float] = (), **facts: Any) -> CellResult:
    """A cell that is done, of examples e0, e1…; without scores one that failed."""
    facts = {"task": "orders", "models": "small", "effort": 0, "seed": 0, **facts}
    place = f"{facts['task']}/{method}/{facts['models']}/{facts['effort']}/{facts['seed']}"
    return CellResult(
        method=method,
        scores=tuple(scores),
        **{
            "identity": "x",
            "status": "done" if scores else "failed",
            "error": "" if scores else "exit status 1",
            "metric": "exact@1",
            "examples": tuple(f"e{number}" for number in range(len(scores))),
            "page": f"{place}/report.html",
            **facts,
        },
    )


def searched(method: str, scores: Sequence[float], calls: int, **facts: Any) -> CellResult:
    """A cell of a search of so many calls, a tenth of a cent each; its workflow makes two calls an example."""
    rows = len(scores)
    search = Cost(calls=calls, requests=calls, tokens=100 * calls, usd=0.001 * calls, seconds=2.0 * calls)
    test = Cost(calls=2 * rows, requests=2 * rows, tokens=600 * rows, usd=0.002 * rows, seconds=10.0)
    took = Cost(
        calls=calls + 2 * rows,
        requests=calls + 2 * rows,
        tokens=100 * calls + 600 * rows,
        usd=0.001 * calls,
        seconds=9.0,
    )
    return cell(method, scores, **{"effort": 200, "search": search, "test": test, "took": took, "nodes": 2, **facts})


def write_cells(folder: Path, cells: Sequence[CellResult]) -> Path:
    """The folder of a comparison."""
    for each in cells:
        place = folder / each.cell.name
        place.mkdir(parents=True)
        (place / "cell.json").write_text(each.model_dump_json(), encoding="utf-8")
    return folder
