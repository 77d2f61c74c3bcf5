"""Code run by monty for a process that was forked after it had used monty itself: in workers that are started anew.

The library's threads are the parent's and are not there after a fork: whatever waits for them waits for ever.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flowbot.fields import InfrastructureError
from flowbot.fields.files import sha256
from flowbot.runtime.executors.address import Address
from flowbot.runtime.executors.job import Job
from flowbot.runtime.executors.link import Lost, Worker

_FILE = Path(__file__).resolve().with_name("in_worker.py")
_MODULE = f"{__package__}.in_worker"


class Elsewhere:
    """Workers, started when they are needed and kept until the end; one run at a time in each."""

    def __init__(self) -> None:
        self._free: list[Worker] = []
        self._places = asyncio.Semaphore(os.cpu_count() or 1)

    async def ask(self, name: str, arguments: Mapping[str, Any]) -> Any:
        """What the function `name` of `in_worker` gives in a worker.

        Raises:
            StepError, UserError: as the sandbox does.
            InfrastructureError: if there can be no worker, or it is lost.
        """
        address = Address(name, _MODULE, str(_FILE), sha256(_FILE))
        async with self._places:
            try:
                worker = self._free.pop() if self._free else await Worker.start()
            except (Lost, OSError) as error:
                raise InfrastructureError(f"the sandbox for code nodes did not start: its process {error}") from error
            try:
                outcome = await worker.do(Job("tool", name, address, arguments, None))
            except Lost as lost:
                raise InfrastructureError(f"the sandbox for code nodes: its process {lost}") from lost
            finally:
                if worker.free:
                    self._free.append(worker)
                else:
                    await worker.end(kill=True)
        if outcome.error is not None:
            raise outcome.error
        return outcome.value

    async def close(self) -> None:
        """End the workers."""
        free, self._free = self._free, []
        await asyncio.gather(*(each.end() for each in free))
