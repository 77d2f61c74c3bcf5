"""Cells of the table: a method in a world at a budget, over many seeds; one JSON line each, resumable."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from simulate.methods import METHODS
from simulate.world import Task

Line = dict[str, Any]
"""A cell's fields, and: gain (mean over the start, in points), se (of the mean), worse (% of runs that ended more than half a point
below the start), changed (% that returned another program), cost (calls an example), spent (calls)."""


@dataclass(frozen=True)
class Cell:
    """What a line is about: a method, a world, rows of training and of validation, how often the critic is right, calls, seeds from 0."""

    method: str
    world: str
    n: int
    q: float
    budget: int
    seeds: int

    def line(self) -> Line:
        """Run it."""
        gains: list[float] = []
        changed: list[bool] = []
        costs: list[int] = []
        spent: list[int] = []
        for seed in range(self.seeds):
            task = Task(seed, self.n, self.q, self.world)
            program, calls = METHODS[self.method](task, self.budget, seed)
            gains.append(100 * (program.p - task.start.p))
            changed.append(program.hash != task.start.hash)
            costs.append(program.cost)
            spent.append(calls)
        return asdict(self) | {
            "gain": round(statistics.fmean(gains), 2),
            "se": round(statistics.stdev(gains) / self.seeds**0.5, 2),
            "worse": round(100 * sum(gain < -0.5 for gain in gains) / self.seeds, 1),
            "changed": round(100 * sum(changed) / self.seeds, 1),
            "cost": round(statistics.fmean(costs), 2),
            "spent": round(statistics.fmean(spent)),
        }


def lines(cells: Sequence[Cell], file: Path, processes: int) -> Iterator[Line]:
    """The lines of the cells in their order: from the file where they are in it, else computed and appended to it."""
    have = {_cell(line): line for line in _read(file)}
    missing = [cell for cell in cells if cell not in have]
    file.parent.mkdir(parents=True, exist_ok=True)
    computed = _computed(missing, processes)
    with file.open("a", encoding="utf-8") as stream:
        for cell in cells:
            if cell in have:
                yield have[cell]
                continue
            line = next(computed)
            stream.write(json.dumps(line) + "\n")
            stream.flush()
            yield line


def _computed(cells: Sequence[Cell], processes: int) -> Iterator[Line]:
    if processes == 1:
        yield from map(Cell.line, cells)
    else:
        with ProcessPoolExecutor(processes) as workers:
            yield from workers.map(Cell.line, cells)


def _read(file: Path) -> Iterator[Line]:
    if file.exists():
        yield from map(json.loads, file.read_text(encoding="utf-8").splitlines())


def _cell(line: Line) -> Cell:
    return Cell(*(line[name] for name in Cell.__dataclass_fields__))


def table(shown: Iterable[Line]) -> Table:
    """The lines as a table for a terminal."""
    made = Table(box=None, pad_edge=False, collapse_padding=True)
    for name in ("method", "world"):
        made.add_column(name, no_wrap=True)
    for name in ("n", "q", "budget", "gain", "s.e.", "worse %", "changed %", "cost", "spent"):
        made.add_column(name, justify="right", no_wrap=True)
    for line in shown:
        names = "method world n q budget gain se worse changed cost spent"
        made.add_row(*(f"{line[name]}" for name in names.split()))
    return made
