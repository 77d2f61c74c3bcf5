"""What a comparison gives: its cells, and the table of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from flowbot.fields import InfrastructureError
from flowbot.fields.errors import StoppedBy
from flowbot.fields.files import write_text
from flowbot.fields.secrets import hide_text
from flowbot.fields.words import count
from flowbot.run.sessions import Spent

from .cell import Cell, CellResult
from .page import bench_page
from .published import Published
from .table import Table, compare_cells

PAGE = "index.html"
Ending: TypeAlias = Literal["", "budget"] | StoppedBy


def write_own(path: Path, text: str) -> None:
    """Write a file of a comparison, secrets masked, so that a kill leaves the old one or the new one.

    Raises:
        InfrastructureError: if the disk fails.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)  # somebody's program may have removed it
        write_text(path, hide_text(text), errors="replace")
    except OSError as error:
        raise InfrastructureError(f"{path}: {error.strerror or error}", kind="disk") from None


@dataclass(frozen=True, slots=True)
class BenchResult:
    """A comparison as it stands. Everything in it is also on disk in `folder`.

        >>> result = fb.bench("bench.yaml", jobs=2)
        >>> print(result.table())
        >>> [(cell.method, cell.error) for cell in result.cells if cell.status != "done"]

    Args:
        name: of the comparison.
        folder: where cells and tables stand.
        planned: all cells of the file, in order.
        chosen: those that were wanted this time.
        cells: what is known of those that were run, in the same order.
        baseline: the method that the others are compared with; "" for none.
        published: others' figures.
        stopped_by: what ended it before all cells were run; "" for nothing.
        reason: the same in words.
        now: what was really paid for this time.
        seconds: how long it took this time.
    """

    name: str
    folder: Path
    planned: tuple[Cell, ...]
    chosen: tuple[Cell, ...]
    cells: tuple[CellResult, ...]
    baseline: str
    published: tuple[Published, ...]
    stopped_by: Ending
    reason: str
    now: Spent
    seconds: float

    @property
    def status(self) -> Literal["done", "paused", "failed"]:
        """`done` if every chosen cell is; `paused` if the same call goes on; `failed` if one failed, or a ceiling ended it."""
        wanted = set(self.chosen)
        states = [each.status for each in self.cells if each.cell in wanted]
        if self.stopped_by not in ("", "budget"):
            return "paused"
        if self.stopped_by == "budget" or "failed" in states:
            return "failed"
        return "paused" if "paused" in states or len(states) < len(wanted) else "done"

    @property
    def open(self) -> tuple[Cell, ...]:
        """The chosen cells that have no scores yet."""
        done = {each.cell for each in self.cells if each.status == "done"}
        return tuple(each for each in self.chosen if each not in done)

    def table(self) -> Table:
        """What the cells came to. Where the baseline was not run there are no differences.

        Raises:
            UserError: if no cell was run.
        """
        methods = {each.method for each in self.cells}
        baseline = self.baseline if self.baseline in methods else None
        return compare_cells(self.cells, baseline=baseline, published=self.published)

    def save(self) -> None:
        """Write `table.md`, `table.csv` and the page `index.html`, so that a kill leaves the old ones or the new ones; nothing
        where no cell was run.

        Raises:
            InfrastructureError: if the disk fails.
        """
        if not self.cells:
            return
        table = self.table()
        write_own(self.folder / "table.md", f"# {self.name}\n\n{table.markdown()}")
        write_own(self.folder / "table.csv", table.csv())
        write_own(self.folder / PAGE, bench_page(table, title=self.name))

    def to_json(self) -> dict[str, Any]:
        """The object that `bench --json` prints."""
        return {
            "name": self.name,
            "folder": str(self.folder),
            "status": self.status,
            "stopped_by": self.stopped_by or None,
            "reason": self.reason,
            "cells": [each.model_dump(mode="json") for each in self.cells],
            "open": [each.name for each in self.open],
            "table": self.table().dump() if self.cells else None,
            "spent": self.now.model_dump(),
            "seconds": round(self.seconds, 2),
        }

    def __repr__(self) -> str:
        return f"BenchResult({self})"

    def __str__(self) -> str:
        done = len(self.chosen) - len(self.open)
        return f"{self.name}: {self.status}, {done} of {count(len(self.chosen), 'cell')} done; {self.folder}"
