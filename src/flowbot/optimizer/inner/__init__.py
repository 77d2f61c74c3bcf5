"""Inner strategies: what tunes the parameters of a structure. One file each, behind one protocol."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from flowbot.optimizer.search import Search
    from flowbot.task import Example
    from flowbot.workflow.workflow import Workflow


class Inner(Protocol):
    """One inner step: the same structure with changed parameters, or the same workflow when no change is better."""

    async def step(self, search: Search, workflow: Workflow, batch: Sequence[Example], number: int) -> Workflow:
        """The workflow to go on with, after inner step `number` (from 0) on `batch`."""
        ...
