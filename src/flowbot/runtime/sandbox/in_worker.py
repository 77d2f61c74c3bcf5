"""What a worker process runs for `MontySandbox` where that is of a forked process: the sandbox, opened and closed for one run."""

from __future__ import annotations

import asyncio
from typing import Any

from .monty import MontySandbox


def call(method: str, arguments: dict[str, Any]) -> Any:
    """What that method of `MontySandbox` gives in this process."""

    async def once() -> Any:
        sandbox = MontySandbox()
        try:
            return await getattr(sandbox, method)(**arguments)
        finally:
            await sandbox.close()

    return asyncio.run(once())
