"""The tools that need no declaration, each made when a workflow first calls it."""

from __future__ import annotations

from flowbot.runtime.sandbox.protocol import Sandbox
from flowbot.task import Tool


def tool_at_hand(name: str, sandbox: Sandbox) -> Tool | None:
    """The tool of that name among those of `flowbot.task.builtin_tools`; None where it is none of them.

    Args:
        name: how workflows call it.
        sandbox: where the interpreter runs its scripts.

    Raises:
        UserError: for `python` where no sandbox can be had.
    """
    if name == "calculator":
        from .calculator import calculator

        return calculator()
    if name == "python":
        from .interpreter import interpreter

        return interpreter(sandbox)
    return None
