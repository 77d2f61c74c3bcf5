"""The strategy that changes nothing: `none` on the outer or on the inner side."""

from __future__ import annotations

from collections.abc import Sequence

from flowbot.task import Example
from flowbot.workflow.workflow import Workflow

from .search import Search


class Nothing:
    """Leaves the workflow as it is, at no cost."""

    async def step(self, search: Search, workflow: Workflow, batch: Sequence[Example], number: int) -> Workflow:
        """The same workflow."""
        return workflow
