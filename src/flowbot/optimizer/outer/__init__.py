"""Outer strategies: what changes the structure. One file each, behind one protocol."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from flowbot.optimizer.search import Search
    from flowbot.task import Example
    from flowbot.workflow.workflow import Workflow


class Outer(Protocol):
    """One outer step: a new structure, or the same workflow when none is better.

    A step journals what it proposed and why. It raises Paused and BudgetExceeded as they come; what it had decided before
    stands in the pool.
    """

    async def step(self, search: Search, workflow: Workflow, batch: Sequence[Example], number: int) -> Workflow:
        """The workflow to go on with, after outer step `number` (from 0) on `batch`."""
        ...
