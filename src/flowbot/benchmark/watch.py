"""How a comparison goes, as one stream of events: cells done, calls, and the share of all planned work."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from flowbot.fields import Paused
from flowbot.fields.values import dollars
from flowbot.optimizer.progress import ProgressCallback, ProgressEvent, Watch, What

from .cell import Cell


class BenchWatch(Watch):
    """Makes one stream of events of those of the cells.

    Args:
        callback: who watches.
        planned: calls that each cell to be run is expected to make at most.

    Raises:
        UserError: if the callback cannot be called as it is.
    """

    def __init__(self, callback: ProgressCallback | None, planned: Mapping[Cell, int]) -> None:
        super().__init__(callback)
        self.phase = "comparison"
        self.planned = sum(planned.values())
        self.calls = lambda: sum(each.calls for each in self._last.values())
        self.usd = lambda: dollars(each.usd for each in self._last.values())
        self._cells = planned
        self._last: dict[Cell, ProgressEvent] = {}
        self._over: set[Cell] = set()
        self._fault: Paused | None = None

    def cell(self, cell: Cell) -> Callable[[ProgressEvent], object]:
        """What a cell's own events are told to."""
        return partial(self._told, cell)

    def check(self) -> None:
        """Whether whoever watches is well.

        Raises:
            Paused: what became of it when it raised.
        """
        if self._fault is not None:
            raise self._fault

    def over(self, cell: Cell, text: str) -> None:
        """A cell has ended."""
        self._over.add(cell)
        self.news(f"{cell.name}: {text}")

    def _told(self, cell: Cell, event: ProgressEvent) -> None:
        self._last[cell] = event
        if event.what == "news":
            self.news(f"{cell.name}: {event.text}")
        elif event.what == "step":
            self.step(cell.name, len(self._over), len(self._cells))

    def _tell(self, text: str, what: What, score: float | None = None, *, done: int = 0, total: int = 0) -> None:
        try:
            super()._tell(text, what, score, done=done, total=total)
        except Paused as pause:
            self._fault = pause
            raise

    def _advance(self, done: int) -> None:
        shares = {cell: 1.0 if cell in self._over else event.share for cell, event in self._last.items()}
        work = sum(share * self._cells[cell] for cell, share in shares.items())
        self._share = max(self._share, min(0.99, work / max(1, sum(self._cells.values()))))
