"""The process that speaks with a cluster: its package is imported here and not in FlowBot's own process, which it may end, fill
with threads and signal handlers, and where what it unpickles would be let in. It speaks lines of JSON with its owner:

    owner   {"path": [folders], "cluster": address}; then {"id": 1, "job": …}, and {"cancel": 1}
    bridge  {"places": 8} or {"failed": why}; then {"id": 1, …} as `station.do` answers, and {"places": 9} where that changes

Which machine runs a job, and which one runs it again where that is lost, is the cluster's to say.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Callable
from dataclasses import replace
from typing import IO, Any, Protocol

from flowbot.fields import UserError

from .job import Job
from .protocol import Kind
from .shipping import Bundle, Shipping
from .station import release

OPEN_SECONDS = 120.0
"""Time until the first answer: a cluster may have to start a machine for it. So long may jobs also be without any machine."""
GONE_SECONDS = 40.0
"""So long may it leave us without an answer."""
LOOK_SECONDS = 0.5
_CLOSE_SECONDS = 10.0


class Cluster(Protocol):
    """Whatever it raises says in its first line what is wrong."""

    async def open(self) -> None:
        """Reach it."""
        ...

    async def places(self) -> int:
        """How many jobs run side by side."""
        ...

    async def do(self, told: str, bundle: Bundle | None, kind: Kind) -> str:
        """Run `station.do` on some machine, and on another one where that is lost. Cancelled, the job is ended there."""
        ...

    async def close(self) -> None:
        """Leave it."""
        ...


def serve(address: str, read: Callable[[], Any], writing: IO[bytes]) -> None:
    """Reach the cluster and pass jobs on until the owner is gone.

    Args:
        address: of the cluster, as the option has it.
        read: the owner's next message; None at the end.
        writing: where ours go.
    """
    asyncio.run(Bridge(cluster_at(address), writing).serve(read))
    os._exit(0)  # whatever threads its package has left


class Bridge:
    """See above.

    Args:
        cluster: which one.
        writing: where the owner reads.
    """

    def __init__(self, cluster: Cluster, writing: IO[bytes]) -> None:
        self._cluster = cluster
        self._writing = writing
        self._shipping = Shipping()
        self._jobs: dict[int, asyncio.Task[None]] = {}

    async def serve(self, read: Callable[[], Any]) -> None:
        """Pass on what is read, until there is nothing more or the cluster is lost."""
        try:
            await self._cluster.open()
            async with asyncio.timeout(OPEN_SECONDS):
                first = json.loads(await self._cluster.do(json.dumps({"release": release()}), None, "tool"))
        except TimeoutError:
            return self._send({"failed": f"no machine has had room for a worker in {OPEN_SECONDS:g} s"})
        except Exception as error:  # of many kinds
            return self._send({"failed": line_of(error)})
        if "down" in first:
            return self._send({"failed": first["down"]})
        ends = asyncio.create_task(self._watch()), asyncio.create_task(self._pass_on(read))
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for task in (*ends, *self._jobs.values()):
            task.cancel()
        await asyncio.wait((asyncio.create_task(self._cluster.close()),), timeout=_CLOSE_SECONDS)
        return None

    async def _pass_on(self, read: Callable[[], Any]) -> None:
        while (message := await asyncio.to_thread(read)) is not None:
            if "cancel" not in message:
                number: int = message["id"]
                task = self._jobs[number] = asyncio.create_task(self._do(number, Job.load(message["job"])))
                task.add_done_callback(lambda _, number=number: self._jobs.pop(number))
            elif (job := self._jobs.get(message["cancel"])) is not None:
                job.cancel()

    async def _watch(self) -> None:
        """Tell how many places there are; end where the cluster is lost."""
        told, why = 0, ""
        answered = peopled = time.monotonic()
        while True:
            now = time.monotonic()
            try:
                async with asyncio.timeout(GONE_SECONDS / 4):
                    places = await self._cluster.places()
                answered = now
                if places or not self._jobs:
                    peopled = now
                if places > told:
                    told = places
                    self._send({"places": told})
            except Exception as error:  # of the cluster's package
                why = line_of(error)
            if now - answered > GONE_SECONDS:
                return self._send({"failed": f"it does not answer: {why}"})
            if now - peopled > OPEN_SECONDS:
                return self._send({"failed": f"it has had no machine for {OPEN_SECONDS:g} s"})
            await asyncio.sleep(LOOK_SECONDS)

    async def _do(self, number: int, job: Job) -> None:
        try:
            self._send({"id": number, **await self._reply(job)})
        except Exception as error:  # of the cluster's package
            self._send({"id": number, "down": line_of(error)})

    async def _reply(self, job: Job) -> dict[str, Any]:
        try:
            function, bundle = await asyncio.to_thread(self._shipping.of, job.function)
        except (UserError, OSError) as error:
            return {"cannot": f"its folder cannot be sent: {error}"}
        job = replace(job, function=function)
        told = json.dumps({"release": release(), "folder": bundle.digest if bundle else "", "job": job.dump()})
        reply = json.loads(await self._cluster.do(told, None, job.kind))
        return json.loads(await self._cluster.do(told, bundle, job.kind)) if "missing" in reply else reply

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


def line_of(error: BaseException) -> str:
    """The first line that says something; where it announces another one, that one with it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return " ".join(lines[: 2 if lines[0].endswith(":") else 1])[:300]
