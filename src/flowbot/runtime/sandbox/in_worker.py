"""What a worker process runs for `Elsewhere`: the sandbox on pydantic-monty, opened and closed for one run."""

from __future__ import annotations

import asyncio
from typing import Any

from .monty import MontySandbox


def run(code: str, inputs: dict[str, Any], seconds: float, memory_mb: int) -> Any:
    """What `MontySandbox.run` gives in this process."""

    async def once() -> Any:
        sandbox = MontySandbox()
        try:
            return await sandbox.run(code, inputs, seconds=seconds, memory_mb=memory_mb)
        finally:
            await sandbox.close()

    return asyncio.run(once())


def script(code: str, seconds: float, memory_mb: int) -> str:
    """What `MontySandbox.script` gives in this process."""

    async def once() -> str:
        sandbox = MontySandbox()
        try:
            return await sandbox.script(code, seconds=seconds, memory_mb=memory_mb)
        finally:
            await sandbox.close()

    return asyncio.run(once())
