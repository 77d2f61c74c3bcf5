"""A cell of somebody else's: a command that searches by itself."""

from __future__ import annotations

from flowbot.fields import UserError
from flowbot.lm.budget import Budget

from .cell import Cell
from .ground import CellJob, Ground, Outcome, Outlook


async def foresee(cell: Cell, ground: Ground, shared: Budget) -> Outlook:
    """What a cell is and takes; nothing is paid for.

    Raises:
        UserError: for anything that would keep it from being run.
    """
    raise UserError(f"method {cell.method}", "a command", "a method, or a start")


async def run(job: CellJob, ground: Ground) -> Outcome:
    """Run a cell, or go on with it."""
    raise NotImplementedError
