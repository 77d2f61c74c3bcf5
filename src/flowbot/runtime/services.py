"""What the nodes of a workflow need of whatever runs them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from flowbot.fields import ToolSignature
from flowbot.lm.lm import LM

from .tools import ToolRunner


class Services(Protocol):
    """Models, tools and a sandbox for code: `Engine` is one."""

    @property
    def tools(self) -> ToolRunner:
        """Calls tools by name."""
        ...

    @property
    def signatures(self) -> Mapping[str, ToolSignature]:
        """Of the tools, by name."""
        ...

    def model(self, name: str | None) -> LM:
        """The model of that model string; None: the one of nodes that name none."""
        ...

    async def run_code(self, code: str, values: Mapping[str, Any]) -> Any:
        """What `run(**values)` returns; raises `StepError`."""
        ...
