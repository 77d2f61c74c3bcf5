"""A cell of a comparison: one method on one task with one pair of models, one effort and one seed; and what was measured of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Strict

from flowbot.fields.foreign import Amount, Count, Record, Share
from flowbot.fields.values import dollars

CellStatus = Literal["done", "paused", "failed"]


@dataclass(frozen=True, slots=True)
class Cell:
    """What is compared, by the names that the bench file gives.

    Args:
        task, method, models: names.
        effort: planned search calls; 0 for a method that searches nothing, as a start.
        seed: of every random choice.
    """

    task: str
    method: str
    models: str
    effort: int
    seed: int

    @property
    def name(self) -> str:
        """Its folder: `TASK/METHOD/MODELS/EFFORT/SEED`."""
        return f"{self.task}/{self.method}/{self.models}/{self.effort}/{self.seed}"


class Cost(Record):
    """What calls took, counted logically: a stored response takes what it took when it was first paid.

    Args:
        calls: model calls.
        requests: that were served for them.
        tokens: read and written.
        usd: None where a price is unknown.
        seconds: of the clock on the wall; those of stored responses are not in it.
    """

    calls: Count = 0
    requests: Count = 0
    tokens: Count = 0
    usd: Amount | None = 0.0
    seconds: Amount = 0.0

    def __add__(self, other: Cost) -> Cost:
        both = (self, other)
        sums = {name: sum(getattr(each, name) for each in both) for name in Cost.model_fields if name != "usd"}
        return Cost(**sums, usd=dollars(each.usd for each in both))


class CellResult(Record):
    """What was measured of a cell; `cell.json` in its folder.

    Args:
        task, method, models, effort, seed: of the cell.
        identity: hash of all that decides what comes out; a cell whose file says otherwise is run anew.
        status: `done`, or why there are no scores.
        error: in a line, of one that failed or paused.
        metric: its identity.
        examples: ids of the test rows, in order.
        scores: of them, in the same order.
        val: mean on the validation rows; None where it was not run.
        search: what finding took, validation included.
        test: what running the test rows took.
        took: all that it took, which is what ceilings count; a run of ours also tests what it began with.
        nodes: of the workflow; None where it is none of ours.
        page: what opens it, relative to the folder of the comparison: a report or a folder.
        found: what was found, in a line.
    """

    task: str
    method: str
    models: str
    effort: Count
    seed: Count
    identity: str
    status: CellStatus
    error: str = ""
    metric: str = ""
    examples: Annotated[tuple[str, ...], Strict(False)] = ()
    scores: Annotated[tuple[Share, ...], Strict(False)] = ()
    val: Share | None = None
    search: Cost = Cost()
    test: Cost = Cost()
    took: Cost = Cost()
    nodes: Count | None = None
    page: str = ""
    found: str = ""

    @property
    def cell(self) -> Cell:
        """What it is of."""
        return Cell(self.task, self.method, self.models, self.effort, self.seed)
