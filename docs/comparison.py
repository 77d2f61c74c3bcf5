"""The picture of a comparison in docs/images, from cells that are made up: `python docs/comparison.py docs/images`.

Needs the extra `[bench]`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from random import Random

from flowbot.benchmark.cell import CellResult, Cost
from flowbot.benchmark.plot import draw
from flowbot.benchmark.table import compare_cells

METHODS = {"single": (0.0, 0.0), "cot": (0.06, 0.0), "ours": (0.1, 0.12), "peer": (0.08, 0.06)}
"""What each method adds to the chance of a right answer, at once and for each tenfold of calls above 100."""
ROWS = 150


def cells() -> list[CellResult]:
    """Two tasks; two methods that search nothing, and two that search with three efforts and three seeds."""
    made: list[CellResult] = []
    for task, ease in (("orders", 0.0), ("questions", -0.1)):
        rng = Random(task)
        chances = [rng.betavariate(1.5, 1.5) + ease for _ in range(ROWS)]
        for method, (at_once, more) in METHODS.items():
            for effort in (200, 500, 2000) if more else (0,):
                for seed in range(3 if more else 1):
                    made.append(
                        _cell(task, method, effort, seed, [each + at_once + _grown(more, effort) for each in chances])
                    )
    return made


def _grown(more: float, effort: int) -> float:
    return more * {0: 0.0, 200: 0.3, 500: 0.7, 2000: 1.3}[effort]


def _cell(task: str, method: str, effort: int, seed: int, chances: list[float]) -> CellResult:
    rng = Random(f"{task} {method} {effort} {seed}")
    return CellResult(
        task=task, method=method, models="small", effort=effort, seed=seed, identity="made up", status="done",
        examples=tuple(f"e{number}" for number in range(ROWS)),
        scores=tuple(float(rng.random() < each) for each in chances),
        search=Cost(calls=round(effort * rng.uniform(0.85, 1.0))),
    )  # fmt: skip


if __name__ == "__main__":
    table = compare_cells(cells(), baseline="cot")
    drawn = draw(list(table.rows.values()), "calls", baseline="cot")
    (Path(sys.argv[1]) / "comparison.svg").write_text(drawn + "\n", encoding="utf-8")
