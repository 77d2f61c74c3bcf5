"""A Dask cluster: a job is a task, which its scheduler gives to a worker that has a thread free, and to another one where that is lost."""

from __future__ import annotations

import asyncio
from importlib import import_module
from typing import Any
from uuid import uuid4

from .protocol import PROGRAMS, Kind
from .shipping import Bundle
from .station import do

OPEN_SECONDS = 60.0
"""Time until the scheduler answers."""


class DaskCluster:
    """See `Cluster`.

    Args:
        address: of the scheduler, `HOST:PORT`; also with a protocol of Dask's before it, as `tls://HOST:PORT`.
    """

    programs = PROGRAMS

    def __init__(self, address: str) -> None:
        self._address = address if "://" in address else f"tcp://{address}"
        self._client: Any = None

    async def open(self) -> None:
        """See `Cluster`."""
        kind: Any = import_module("distributed").Client
        self._client = await kind(self._address, asynchronous=True, timeout=OPEN_SECONDS)

    async def places(self) -> int:
        """Its workers' threads."""
        return sum((await self._client.nthreads()).values())

    async def do(self, told: str, bundle: Bundle | None, kind: Kind) -> str:
        """See `Cluster`."""
        key = f"flowbot-{uuid4()}"
        asked = self._client.submit(_do, key, told, bundle and bundle.data, kind, key=key, pure=False)
        try:
            return await asked
        except asyncio.CancelledError:
            await asked.cancel()
            raise

    async def close(self) -> None:
        """See `Cluster`."""
        await self._client.close()


def _do(key: str, told: str, packed: bytes | None, kind: Kind) -> str:
    """On a worker: ended where Dask has given the task up, because it was cancelled or who asked for it is gone. A program leaves its
    thread to others: it waits for models most of its time."""
    distributed: Any = import_module("distributed")
    tasks: Any = distributed.get_worker().state.tasks
    if kind == "program":
        distributed.secede()
    return do(told, packed, lambda: key not in tasks or tasks[key].state not in ("executing", "long-running"))
