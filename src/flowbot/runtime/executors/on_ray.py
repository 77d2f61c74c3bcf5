"""A Ray cluster: a station a processor, each an actor. Lost ones are replaced by us and not by Ray, so that no job waits for that."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from .shipping import Bundle
from .station import Station


class RayCluster:
    """See `Cluster`.

    Args:
        address: `HOST:PORT` of Ray's client server; empty for the cluster of `RAY_ADDRESS`, or the one of this machine, which is
            started where there is none.
    """

    def __init__(self, address: str) -> None:
        os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")  # it would start workers on another Python
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        self._address = f"ray://{address}" if address else None
        self._ray: Any = import_module("ray")
        self._kind: Any = None
        self._size = 1
        self._bundles: dict[str, Any] = {}

    async def open(self) -> None:
        """See `Cluster`."""
        ray = self._ray
        await asyncio.to_thread(ray.init, address=self._address, log_to_driver=False, logging_level="ERROR")
        self._kind = ray.remote(num_cpus=1, max_restarts=0)(Station)

    async def wanted(self) -> Mapping[str, int]:
        """As many as there were processors at any time: Ray starts what waits for a machine once there is one."""
        found = await asyncio.to_thread(self._ray.cluster_resources)
        self._size = max(self._size, int(found.get("CPU", 0)))
        return dict.fromkeys(map(str, range(self._size)), 1)

    async def start(self, where: str, slots: int) -> _Actor:
        """See `Cluster`."""
        return _Actor(self._ray, self._kind.remote(slots), self._bundles)

    async def close(self) -> None:
        """See `Cluster`."""
        await asyncio.to_thread(self._ray.shutdown)


class _Actor:
    def __init__(self, ray: Any, actor: Any, bundles: dict[str, Any]) -> None:
        self._ray, self._actor, self._bundles = ray, actor, bundles

    async def ask(self, method: str, *arguments: str) -> Any:
        return await getattr(self._actor, method).remote(*arguments)

    async def hold(self, bundle: Bundle) -> None:
        if bundle.digest not in self._bundles:
            self._bundles[bundle.digest] = self._ray.put(bundle.data)
        await self._actor.hold.remote(bundle.digest, self._bundles[bundle.digest])

    def end(self) -> None:
        self._ray.kill(self._actor)
