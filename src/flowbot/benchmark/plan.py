"""What a comparison would do, and what it would take, before anything is paid for: every cell of it, checked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from fnmatch import fnmatchcase
from itertools import product
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

from flowbot.fields import UserError, stable_hash
from flowbot.fields.files import read_text
from flowbot.fields.foreign import checked
from flowbot.fields.near import one_of
from flowbot.fields.values import dollars
from flowbot.fields.yaml import parse_json
from flowbot.lm.budget import Budget
from flowbot.run.result import CostEstimate

from . import peer_cell, search_cell
from .bench_file import BenchFile
from .cell import Cell, CellResult
from .entries import MethodEntry, PeerMethod, SearchMethod, StartMethod
from .ground import CellJob, Ground, Outcome, Outlook

NAME = "cell.json"
MOST_CELLS = 10_000
_MOST_BYTES = 64_000_000


class Runner(Protocol):
    """How cells of one kind of method are foreseen and run."""

    async def foresee(self, cell: Cell, ground: Ground, shared: Budget) -> Outlook:
        """What a cell is and takes; nothing is paid for."""
        ...

    async def run(self, job: CellJob, ground: Ground) -> Outcome:
        """Run it, or go on with it."""
        ...


RUNNERS: Mapping[type[MethodEntry], Runner] = MappingProxyType(
    {StartMethod: search_cell, SearchMethod: search_cell, PeerMethod: peer_cell}
)


@dataclass(frozen=True, slots=True)
class PlannedCell:
    """One cell.

    Args:
        cell: which.
        identity: hash of all that decides what comes out.
        bounded: the same of a result that the cell's own ceilings cut short: they are part of that one.
        estimate: what it takes at most, roughly.
        earlier: what an earlier command wrote of the very same cell; None where there is nothing.
    """

    cell: Cell
    identity: str
    bounded: str
    estimate: CostEstimate
    earlier: CellResult | None = None

    def read_again(self, folder: Path) -> PlannedCell:
        """The same with what now stands in its place within the folder of the comparison."""
        earlier = read_cell(folder / self.cell.name)
        same = earlier is not None and earlier.cell == self.cell and earlier.identity in (self.identity, self.bounded)
        return replace(self, earlier=earlier if same else None)

    @property
    def done(self) -> bool:
        """Whether there is nothing left to do."""
        return self.earlier is not None and self.earlier.status == "done"


@dataclass(frozen=True, slots=True)
class BenchPlan:
    """A comparison that is ready to begin.

    Args:
        file: what is compared.
        folder: where its results are.
        cells: all of the file, in the order in which they are run.
        chosen: those that are wanted now.
    """

    file: BenchFile
    folder: Path
    cells: tuple[PlannedCell, ...]
    chosen: tuple[PlannedCell, ...]

    def read_again(self) -> BenchPlan:
        """The same with what now stands in the folder."""
        cells = {each.cell: each.read_again(self.folder) for each in self.cells}
        return replace(self, cells=tuple(cells.values()), chosen=tuple(cells[each.cell] for each in self.chosen))

    @property
    def open(self) -> tuple[PlannedCell, ...]:
        """Those that are to be run."""
        return tuple(each for each in self.chosen if not each.done)

    @property
    def estimate(self) -> CostEstimate:
        """What these take at most, roughly; USD is None where a price is unknown."""
        rows = [each.estimate for each in self.open]
        by_purpose: Counter[str] = Counter()
        for each in rows:
            by_purpose.update(each.by_purpose)
        calls, tokens = (sum(getattr(each, name) for each in rows) for name in ("calls", "tokens"))
        return CostEstimate(calls, tokens, dollars(each.usd for each in rows), by_purpose)

    def dump(self) -> dict[str, Any]:
        """The object that `bench --dry-run --json` prints."""
        whole, ceilings = self.estimate, self.file.budget
        return {
            "dry_run": True,
            "name": self.file.name,
            "folder": str(self.folder),
            "cells": [
                {**asdict(each.cell), "done": each.done, "estimate": _facts(each.estimate)} for each in self.chosen
            ],
            "estimate": {**_facts(whole), "by_purpose": dict(whole.by_purpose)},
            "ceilings": {
                "all": ceilings.model_dump(exclude={"cell"}, exclude_none=True),
                "cell": ceilings.cell.model_dump(exclude_none=True),
            },
        }


def _facts(estimate: CostEstimate) -> dict[str, Any]:
    return {name: getattr(estimate, name) for name in ("calls", "tokens", "usd")}


def cells_of(file: BenchFile) -> list[Cell]:
    """The cells of a file in order. A start is searched with no effort, so there is one of it whatever the efforts."""
    return [
        Cell(task, method, models, effort, seed)
        for task, (method, entry), models in product(file.tasks, file.methods.items(), file.models)
        if entry.tasks is None or task in entry.tasks
        for effort in ((0,) if isinstance(entry, StartMethod) else file.efforts)
        for seed in file.seeds
    ]


def chosen_cells(cells: Sequence[Cell], only: Sequence[str]) -> list[Cell]:
    """The cells that one of the patterns names: `TASK/METHOD`, either with `*`, or a whole name.

    Raises:
        UserError: for a pattern that names none.
    """
    for pattern in only:
        if not any(_matches(cell, pattern) for cell in cells):
            names = dict.fromkeys(f"{cell.task}/{cell.method}" for cell in cells)
            raise UserError("only", repr(pattern)[:80], f"TASK/METHOD with `*` for any: {one_of(pattern, names)}")
    return [cell for cell in cells if not only or any(_matches(cell, pattern) for pattern in only)]


def _matches(cell: Cell, pattern: str) -> bool:
    return any(fnmatchcase(name, pattern) for name in (f"{cell.task}/{cell.method}", cell.name))


async def plan_bench(ground: Ground, folder: Path, only: Sequence[str], around: Budget) -> BenchPlan:
    """Look at every cell of a file: whether it can be run, what it takes, and whether it is done.

    Args:
        ground: what cells share.
        folder: where results are.
        only: patterns of the cells that are wanted; see `chosen_cells`.
        around: ceilings around those of the file.

    Raises:
        UserError: for too many cells; naming the cell, for anything that would keep one that is wanted from being run.
    """
    file = ground.file
    cells = cells_of(file)
    if len(cells) > MOST_CELLS:
        raise UserError(str(file.path), f"{len(cells):,} cells", f"at most {MOST_CELLS:,}")
    wanted = set(chosen_cells(cells, only))
    known: dict[Cell, Outlook] = {}
    found: list[PlannedCell] = []
    for cell in cells:
        like = replace(cell, seed=0)
        if like not in known:
            shared = file.budget.budget("").within(around)  # nothing is used of it
            runner = RUNNERS[type(file.methods[cell.method])]
            try:
                known[like] = await runner.foresee(like, ground, shared)
            except UserError as error:
                where = f"{file.path}: {cell.task}/{cell.method}/{cell.models}"
                raise error.at(f"{where}: {error.where}") from None
        outlook = known[like]
        identity = stable_hash({**outlook.facts, "seed": cell.seed})
        bounded = stable_hash([identity, file.budget.cell.model_dump()])
        found.append(PlannedCell(cell, identity, bounded, outlook.estimate).read_again(folder))
    return BenchPlan(file, folder, tuple(found), tuple(each for each in found if each.cell in wanted))


def read_cell(folder: Path) -> CellResult | None:
    """What stands in a cell's folder; None for nothing, and for what cannot be read: such a cell is run anew."""
    path = folder / NAME
    with suppress(UserError):
        data = parse_json(read_text(path, limit=_MOST_BYTES, links=False), str(path), halves=True)
        return checked(CellResult, data, str(path))
    return None
