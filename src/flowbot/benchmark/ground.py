"""What the cells of one comparison share, and what each of them is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flowbot.lm.budget import Budget
from flowbot.lm.stop import StopSignal
from flowbot.optimizer.progress import ProgressEvent
from flowbot.run.result import CostEstimate
from flowbot.run.sessions import Spent
from flowbot.runtime.workbench import Workbench
from flowbot.task import Task

from .bench_file import BenchFile
from .cell import Cell, CellResult
from .entries import MethodEntry, ModelsEntry

OWN, SHARED = "the cell's ceiling", "a ceiling over all cells"


@dataclass(frozen=True, slots=True)
class Ground:
    """What all cells share.

    Args:
        file: what is compared.
        bench: what cells are run on.
        settings: those that each run is given besides its own budget, stop and progress.
    """

    file: BenchFile
    bench: Workbench
    settings: Mapping[str, Any]

    def parts(self, cell: Cell) -> tuple[Task, MethodEntry, ModelsEntry]:
        """What a cell's names stand for."""
        return self.file.tasks[cell.task], self.file.methods[cell.method], self.file.models[cell.models]

    def budget_of(self, cell: Cell, shared: Budget) -> Budget:
        """A new budget of a cell, within that of all."""
        return self.file.budget.cell.budget(cell.name).within(shared)


@dataclass(frozen=True, slots=True)
class Outlook:
    """What is known of a cell before it is run.

    Args:
        facts: all that decides what comes out, as JSON data.
        estimate: what it takes at most, roughly.
    """

    facts: dict[str, Any]
    estimate: CostEstimate


@dataclass(frozen=True, slots=True)
class CellJob:
    """One cell to be run.

    Args:
        cell: which.
        identity: hash of all that decides what comes out.
        folder: its own.
        budget: its own, within that of all.
        stop: pauses it.
        progress: is told how it goes, on the event loop.
    """

    cell: Cell
    identity: str
    folder: Path
    budget: Budget
    stop: StopSignal
    progress: Callable[[ProgressEvent], object]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a cell.

    Args:
        result: to be written.
        now: what of it was really paid, by this command.
        short: whose ceiling ended it before its plan did: `OWN`, `SHARED`, or another text where that is not known; "" for none.
    """

    result: CellResult
    now: Spent
    short: str = ""
