"""The process that speaks with a cluster: its package is imported here and not in FlowBot's own process, which it may end, fill
with threads and signal handlers, and where what it unpickles would be let in. It speaks lines of JSON with its owner:

    owner   {"path": [folders], "cluster": address}; then {"id": 1, "job": …}, and {"cancel": 1}
    bridge  {"places": 8, "programs": 64} or {"failed": why}; then {"id": 1, …} as `station.do` answers, and {"places": 9, "programs": 72} where that changes

A task of the cluster's is a job, or some quick jobs of one function. Which machine runs it, and which one runs it again where
that is lost, is the cluster's to say.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from typing import IO, Any, Protocol

from flowbot.fields import UserError

from .job import Job
from .protocol import MOST_TOGETHER, Address, Kind
from .shipping import Bundle, Shipping
from .station import release

OPEN_SECONDS = 120.0
"""Time until the first answer: a cluster may have to start a machine for it. So long may jobs also be without any machine."""
GONE_SECONDS = 40.0
"""So long may it leave us without an answer."""
LOOK_SECONDS = 0.5
TOGETHER_SECONDS = 0.25
"""Jobs that take no longer in all are sent together, for each task costs the cluster some milliseconds."""
_CLOSE_SECONDS = 10.0


class Cluster(Protocol):
    """Whatever it raises says in its first line what is wrong.

    Attributes:
        programs: that run side by side where one tool or metric does.
    """

    programs: int

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
        self._places = self._few = 0
        self._queue: dict[int, Job] = {}
        """Tools and metrics that no task has yet, the first first."""
        self._tasks: dict[asyncio.Task[None], dict[int, Job]] = {}
        """The cluster's tasks, with the jobs in each that somebody waits for."""
        self._seconds: dict[Address, float] = {}
        """What a function takes, its last calls above all."""

    async def serve(self, read: Callable[[], Any]) -> None:
        """Pass on what is read, until there is nothing more or the cluster is lost."""
        try:
            await self._cluster.open()
            async with asyncio.timeout(OPEN_SECONDS):
                first = json.loads(
                    await self._cluster.do(json.dumps({"release": release(), "folder": "", "jobs": []}), None, "tool")
                )
        except TimeoutError:
            return self._send({"failed": f"no machine has had room for a worker in {OPEN_SECONDS:g} s"})
        except Exception as error:  # of many kinds
            return self._send({"failed": line_of(error)})
        if "down" in first:
            return self._send({"failed": first["down"]})
        ends = asyncio.create_task(self._watch()), asyncio.create_task(self._pass_on(read))
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for task in (*ends, *self._tasks):
            task.cancel()
        await asyncio.wait((asyncio.create_task(self._cluster.close()),), timeout=_CLOSE_SECONDS)
        return None

    async def _pass_on(self, read: Callable[[], Any]) -> None:
        while (message := await asyncio.to_thread(read)) is not None:
            if "cancel" not in message:
                job = Job.load(message["job"])
                if job.kind == "program":
                    self._start({message["id"]: job})
                else:
                    self._queue[message["id"]] = job
                    self._send_on()
            elif self._queue.pop(message["cancel"], None) is None:
                for task, group in self._tasks.items():
                    if group.pop(message["cancel"], None) is not None and not group:
                        task.cancel()

    def _send_on(self) -> None:
        """Let as many tasks wait as keep the places at work while answers are on their way. Jobs of one function go together where they are quick for it, fewer as fewer
        are left, so that no machine has much to do when the others are done (guided self-scheduling, Polychronopoulos and Kuck 1987)."""
        room = 2 * max(1, self._places)
        while self._queue and self._few < room:
            function = next(iter(self._queue.values())).function
            quick = int(TOGETHER_SECONDS / max(1e-6, self._seconds.get(function, TOGETHER_SECONDS)))
            size = max(1, min(MOST_TOGETHER, quick, -(-len(self._queue) // room)))
            alike = (number for number, job in self._queue.items() if job.function == function)
            self._few += 1
            task = self._start({number: self._queue[number] for number in islice(alike, size)})
            task.add_done_callback(self._ended)

    def _ended(self, task: object) -> None:
        self._few -= 1
        self._send_on()

    def _start(self, group: dict[int, Job]) -> asyncio.Task[None]:
        task = asyncio.create_task(self._do(group))
        self._tasks[task] = group
        for number in group:
            self._queue.pop(number, None)
        task.add_done_callback(lambda done: self._tasks.pop(done, None))
        return task

    async def _watch(self) -> None:
        """Tell how many places there are; end where the cluster is lost."""
        why = ""
        answered = peopled = time.monotonic()
        while True:
            now = time.monotonic()
            try:
                async with asyncio.timeout(GONE_SECONDS / 4):
                    places = await self._cluster.places()
                answered = now
                if places or not (self._tasks or self._queue):
                    peopled = now
                if places > self._places:
                    self._places = places
                    self._send({"places": places, "programs": places * self._cluster.programs})
                    self._send_on()
            except Exception as error:  # of the cluster's package
                why = line_of(error)
            if now - answered > GONE_SECONDS:
                return self._send({"failed": f"it does not answer: {why}"})
            if now - peopled > OPEN_SECONDS:
                return self._send({"failed": f"it has had no machine for {OPEN_SECONDS:g} s"})
            await asyncio.sleep(LOOK_SECONDS)

    async def _do(self, group: dict[int, Job]) -> None:
        numbers = list(group)
        try:
            replies = await self._replies(list(group.values()))
        except Exception as error:  # of the cluster's package
            down: dict[str, Any] = {"down": line_of(error)}
            replies = [down] * len(numbers)
        for number, reply in zip(numbers, replies, strict=True):
            if (job := group.get(number)) is not None and "seconds" in reply:
                self._seconds[job.function] = (self._seconds.get(job.function, reply["seconds"]) + reply["seconds"]) / 2
        told = zip(numbers, replies, strict=True)
        self._send(*({"id": number, **reply} for number, reply in told if number in group))

    async def _replies(self, jobs: list[Job]) -> list[dict[str, Any]]:
        """What came of jobs of one function."""
        try:
            function, bundle = await asyncio.to_thread(self._shipping.of, jobs[0].function)
        except (UserError, OSError) as error:
            return [{"cannot": f"its folder cannot be sent: {error}"}] * len(jobs)
        sent = [replace(job, function=function).dump() for job in jobs]
        told = json.dumps({"release": release(), "folder": bundle.digest if bundle else "", "jobs": sent})
        found = json.loads(await self._cluster.do(told, None, jobs[0].kind))
        if "missing" in found:
            found = json.loads(await self._cluster.do(told, bundle, jobs[0].kind))
        return found.get("replies", [found] * len(jobs))

    def _send(self, *messages: dict[str, Any]) -> None:
        self._writing.write(b"".join(json.dumps(each).encode() + b"\n" for each in messages))
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
