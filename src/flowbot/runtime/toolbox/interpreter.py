"""The Python interpreter as a tool: a script runs in the sandbox, and what it prints, or why it failed, is the result."""

from __future__ import annotations

import ast
import asyncio
import os

from flowbot.fields import StepError
from flowbot.lm.mending import unfenced
from flowbot.runtime.sandbox.protocol import MEMORY_MB, Sandbox
from flowbot.task import Timed, Tool
from flowbot.task.builtin_tools import PYTHON

SECONDS = 5.0
"""Time that one script may take."""


def interpreter(sandbox: Sandbox) -> Tool:
    """The tool `python`: `code` in; `result` out, what the script printed or else the value of its last line, and `error`, why it failed ("" if it did not).

    Args:
        sandbox: where scripts run; whoever opened it closes it.

    Raises:
        UserError: if the sandbox is not installed.
    """

    # As many as a sandbox runs at once: the wait for a place is no time of the script's.
    places = asyncio.Semaphore(os.cpu_count() or 1)

    async def run(code: str) -> Timed:
        async with places:
            try:
                script = unfenced(code)
                said = await sandbox.script(script, seconds=SECONDS, memory_mb=MEMORY_MB)
                if not said.strip() and (shown := printing(script)):
                    said = await sandbox.script(shown, seconds=SECONDS, memory_mb=MEMORY_MB)
                nothing = "" if said.strip() else "the script printed nothing: print() what is wanted"
                outputs = {"result": said.rstrip(), "error": nothing}
            except StepError as error:
                outputs = {"result": "", "error": str(error)}
            # As a code step: what time it takes is the machine's, and would tell two equal runs apart.
            return Timed(outputs, 0.0)

    identity = f"python 4 {sandbox.identity} {SECONDS:g} s {MEMORY_MB} MB"
    return Tool(PYTHON, run, None, identity, plain=False, timed=True)


def printing(script: str) -> str:
    """The script with the value of its last line printed, as a notebook shows it; "" where it ends with none."""
    try:
        tree = ast.parse(script)
        *before, last = tree.body or [ast.Pass()]
        if not isinstance(last, ast.Expr):
            return ""
        tree.body = [*before, *ast.parse(f"_ = {ast.unparse(last)}\nif _ is not None: print(_)").body]
        return ast.unparse(tree)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ""
