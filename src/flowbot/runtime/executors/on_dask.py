"""A Dask cluster: a station a worker, an actor that runs as many jobs side by side as the worker has threads."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from .shipping import Bundle
from .station import Station

OPEN_SECONDS = 60.0
"""Time until the scheduler answers."""


class DaskCluster:
    """See `Cluster`.

    Args:
        address: of the scheduler, `HOST:PORT`; also with a protocol of Dask's before it, as `tls://HOST:PORT`.
    """

    def __init__(self, address: str) -> None:
        self._address = address if "://" in address else f"tcp://{address}"
        self._client: Any = None

    async def open(self) -> None:
        """See `Cluster`."""
        kind: Any = import_module("distributed").Client
        self._client = await kind(self._address, asynchronous=True, timeout=OPEN_SECONDS)

    async def wanted(self) -> Mapping[str, int]:
        """Its workers, and their threads."""
        return await self._client.nthreads()

    async def start(self, where: str, slots: int) -> _Actor:
        """See `Cluster`."""
        asked = self._client.submit(Station, slots, actor=True, workers=[where], allow_other_workers=False, pure=False)
        return _Actor(asked, await asked)

    async def close(self) -> None:
        """See `Cluster`."""
        await self._client.close()


class _Actor:
    def __init__(self, asked: Any, actor: Any) -> None:
        self._asked, self._actor = asked, actor

    async def ask(self, method: str, *arguments: str) -> Any:
        return await getattr(self._actor, method)(*arguments)

    async def hold(self, bundle: Bundle) -> None:
        await self._actor.hold(bundle.digest, bundle.data)

    def end(self) -> None:
        self._asked.release()
