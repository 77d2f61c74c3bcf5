"""Cells of a comparison as a table that can be trusted: means, intervals, corrected differences, costs and ranks.

>>> table = compare_cells(read_cells("bench/mine"), baseline="cot")
>>> print(table.markdown())
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flowbot.fields import UserError
from flowbot.fields.files import read_text
from flowbot.fields.foreign import checked
from flowbot.fields.near import one_of
from flowbot.fields.yaml import parse_json

from .cell import CellResult, Cost
from .published import Published
from .ranks import Ranking, rankings
from .rows import Key, Row, grouped, with_differences
from .sheet import cells_csv, markdown, rows_csv

MOST_BYTES = 50_000_000
"""Of a cell's file."""


@dataclass(frozen=True, slots=True)
class Table:
    """What a comparison came to.

    Args:
        rows: by what they are of, in the order of the cells.
        baseline: the method that the others are compared with; None for none.
        cells: all of them, in the order given.
        ranks: by models and effort.
        published: columns of others' figures; in none of the statistics.
    """

    rows: dict[Key, Row]
    baseline: str | None
    cells: tuple[CellResult, ...]
    ranks: tuple[Ranking, ...]
    published: tuple[Published, ...] = ()

    @property
    def spent(self) -> Cost:
        """What all cells took, those that failed too."""
        return sum((cell.took for cell in self.cells), Cost())

    def markdown(self) -> str:
        """As GitHub's Markdown."""
        return markdown(self.rows, self.baseline, self.ranks, self.published)

    def csv(self) -> str:
        """A line a row, numbers in full; scores in [0, 1]."""
        return rows_csv(self.rows, self.ranks)

    def cells_csv(self) -> str:
        """A line a cell, numbers in full; scores in [0, 1]."""
        return cells_csv(self.cells)

    def dump(self) -> dict[str, Any]:
        """The object that `--json` prints; scores in [0, 1]."""
        failed = [cell for cell in self.cells if cell.status != "done"]
        return {
            "baseline": self.baseline,
            "comparisons": sum(row.difference is not None for row in self.rows.values()),
            "rows": [row.dump() for row in self.rows.values()],
            "ranks": [each.dump() for each in self.ranks],
            "published": [each.model_dump() for each in self.published],
            "not_done": [{"cell": cell.cell.name, "status": cell.status, "error": cell.error} for cell in failed],
            "took": self.spent.model_dump(),
        }


def compare_cells(
    cells: Sequence[CellResult],
    *,
    baseline: str | None,
    published: Sequence[Published] = (),
) -> Table:
    """The table of a comparison.

    Args:
        cells: each once; tasks, models and methods are shown in the order in which they come.
        baseline: the method that every other is compared with, on the same task with the same models: at the same effort, or
            at effort 0 where it searches nothing. None: nothing is compared.
        published: others' figures to stand beside ours; see `read_published`.

    Raises:
        UserError: if there are no cells, none is of the baseline, one stands there twice, or those of one task have several
            metrics.
    """
    if not cells:
        raise UserError("the comparison", "no cell", "at least one")
    methods = list(dict.fromkeys(cell.method for cell in cells))
    if baseline is not None and baseline not in methods:
        raise UserError("baseline", repr(baseline), f"a method: {one_of(baseline, methods)}")
    rows = grouped(cells)
    return Table(
        rows=rows if baseline is None else with_differences(rows, baseline),
        baseline=baseline,
        cells=tuple(cells),
        ranks=rankings(rows.values()),
        published=tuple(published),
    )


def read_cells(folder: str | Path) -> list[CellResult]:
    """The cells of a comparison from its folder, by name; those without a file yet are not there.

    Raises:
        UserError: if there is none, or naming a file that is broken or stands in a place that is not its own.
    """
    folder = Path(folder)
    found: list[CellResult] = []
    for path in sorted(folder.glob("*/*/*/*/*/cell.json")):
        cell = checked(CellResult, parse_json(read_text(path, limit=MOST_BYTES, links=False), str(path)), str(path))
        place = path.parent.relative_to(folder).as_posix()
        if cell.cell.name != place:
            raise UserError(str(path), f"the cell {cell.cell.name}", f"{place}, as its folder says")
        found.append(cell)
    if not found:
        raise UserError(
            str(folder), "no cell.json", "the folder of a comparison: TASK/METHOD/MODELS/EFFORT/SEED/cell.json"
        )
    return sorted(found, key=lambda cell: (cell.task, cell.method, cell.models, cell.effort, cell.seed))
