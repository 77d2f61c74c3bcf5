"""The process that speaks with a cluster: its package is imported here and not in FlowBot's own process, which it may end, fill
with threads and signal handlers, and where what it unpickles would be let in. It speaks lines of JSON with its owner:

    owner   {"path": [folders], "cluster": address}; then {"id": 1, "job": …}, and {"cancel": 1}
    bridge  {"places": 8} or {"failed": why}; then {"id": 1, …} as `Station.do` answers, and {"places": 9} where that changes
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from dataclasses import replace
from typing import IO, Any

from flowbot.fields import UserError

from .job import Job
from .pool import LOOK_SECONDS, Cluster, ClusterError, Pool
from .shipping import Shipping

_CLOSE_SECONDS = 10.0


def serve(address: str, read: Callable[[], Any], writing: IO[bytes]) -> None:
    """Reach the cluster and pass jobs on until the owner is gone.

    Args:
        address: of the cluster, as the option has it.
        read: the owner's next message; None at the end.
        writing: where ours go.
    """
    asyncio.run(_Bridge(address, writing).serve(read))
    os._exit(0)  # whatever threads its package has left


class _Bridge:
    def __init__(self, address: str, writing: IO[bytes]) -> None:
        self._pool = Pool(cluster_at(address))
        self._writing = writing
        self._shipping = Shipping()
        self._jobs: dict[int, asyncio.Task[None]] = {}

    async def serve(self, read: Callable[[], Any]) -> None:
        try:
            await self._pool.open()
        except ClusterError as error:
            return self._send({"failed": str(error)})
        watching = asyncio.create_task(self._watch())
        while (message := await asyncio.to_thread(read)) is not None and not watching.done():
            if "cancel" in message:
                if (job := self._jobs.get(message["cancel"])) is not None:
                    job.cancel()
                continue
            task = asyncio.create_task(self._do(message["id"], Job.load(message["job"])))
            self._jobs[message["id"]] = task
        watching.cancel()
        for task in tuple(self._jobs.values()):
            task.cancel()
        await asyncio.wait((asyncio.create_task(self._pool.close()),), timeout=_CLOSE_SECONDS)
        return None

    async def _watch(self) -> None:
        """Tell how many places there are; end where the cluster is lost."""
        told = -1
        while not (lost := self._pool.lost):
            if (places := self._pool.places) != told:
                told = places
                self._send({"places": places})
            await asyncio.sleep(LOOK_SECONDS)
        self._send({"failed": lost})
        os._exit(1)

    async def _do(self, number: int, job: Job) -> None:
        try:
            try:
                function, bundle = await asyncio.to_thread(self._shipping.of, job.function)
            except (UserError, OSError) as error:
                return self._send({"id": number, "cannot": f"its folder cannot be sent: {error}"})
            job = replace(job, function=function)
            told = {"job": job.dump(), "folder": bundle.digest if bundle else ""}
            reply = await self._pool.do(json.dumps(told), bundle)
            self._send({"id": number, **json.loads(reply)})
        except ClusterError as error:
            self._send({"id": number, "down": str(error)})
        except Exception as error:  # of the cluster's package
            self._send({"id": number, "down": f"{type(error).__name__}: {str(error)[:500]}"})
        finally:
            del self._jobs[number]
        return None

    def _send(self, message: dict[str, Any]) -> None:
        self._writing.write(json.dumps(message).encode() + b"\n")
        self._writing.flush()


def cluster_at(address: str) -> Cluster:
    """The cluster of an address."""
    kind, _, at = address.partition("://")
    if kind == "ray":
        from .on_ray import RayCluster

        return RayCluster(at)
    from .on_dask import DaskCluster

    return DaskCluster(at)
