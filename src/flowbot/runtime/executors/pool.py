"""The stations of a cluster, from the side of the process that speaks with it: which are there, which is free, and which is lost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Mapping
from itertools import count
from typing import Any, Protocol

from .sending import TRIES
from .shipping import Bundle
from .station import LEASE_SECONDS, release

LOOK_SECONDS = 0.5
OPEN_SECONDS = 120.0
"""Time until the first station is there: a cluster may have to start a machine for it. So long may it also be without any."""
GONE_SECONDS = 40.0
"""So long may it leave us without an answer."""


class ClusterError(Exception):
    """The cluster cannot be reached, was lost, or lost a job's machine each time; the text says how."""


class Remote(Protocol):
    """A station on some machine. Whatever it raises, the station is taken for lost."""

    async def ask(self, method: str, *arguments: str) -> Any:
        """What a method of `Station` gives there."""
        ...

    async def hold(self, bundle: Bundle) -> None:
        """Have it take a folder."""
        ...

    def end(self) -> None:
        """Let go of it, lost or not."""
        ...


class Cluster(Protocol):
    """Where stations are started."""

    async def open(self) -> None:
        """Reach it; whatever is raised says why it cannot be reached."""
        ...

    async def wanted(self) -> Mapping[str, int]:
        """Where there is, or will be, room for a station, and how many jobs are to run side by side in it."""
        ...

    async def start(self, where: str, slots: int) -> Remote:
        """Start a station there; it may wait until there is room."""
        ...

    async def close(self) -> None:
        """Leave it."""
        ...


class _Standing:
    """A station that is there."""

    def __init__(self, where: str, slots: int, remote: Remote) -> None:
        self.where, self.slots, self.remote = where, slots, remote
        self.held = set[str]()
        self.is_lost = False


class Pool:
    """Keeps a station wherever the cluster has room, and sends jobs to those that are free.

    Args:
        cluster: where stations are started.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._standing: dict[str, _Standing] = {}
        self._starting: dict[str, asyncio.Task[None]] = {}
        self._free: asyncio.Queue[_Standing] = asyncio.Queue()
        self._aside: set[asyncio.Task[Any]] = set()
        self._keys = count(1)
        self._why, self._is_unfit = "", False
        self._answered = self._peopled = 0.0

    @property
    def places(self) -> int:
        """Jobs that can run side by side now."""
        return sum(each.slots for each in self._standing.values())

    async def open(self) -> None:
        """Reach the cluster, and wait for the first station.

        Raises:
            ClusterError: if it cannot be reached, or has none, saying why.
        """
        try:
            await self._cluster.open()
        except Exception as error:  # of many kinds
            raise ClusterError(line_of(error)) from error
        self._answered = self._peopled = time.monotonic()
        self._spawn(self._look())
        while not self.places:
            await asyncio.sleep(LOOK_SECONDS / 5)
            if lost := self._why if self._is_unfit else self.lost:
                raise ClusterError(lost)

    @property
    def lost(self) -> str:
        """Why the cluster is given up; "" as long as it is not."""
        now = time.monotonic()
        if now - self._answered > GONE_SECONDS:
            return f"it does not answer{self._why and f': {self._why}'}"
        if now - self._peopled > OPEN_SECONDS and not self.places:
            return self._why or f"no machine has had room for a worker in {OPEN_SECONDS:g} s"
        return ""

    async def do(self, text: str, bundle: Bundle | None) -> str:
        """Have a station do a job, and another one where it is lost. Cancelled, the job is ended.

        Raises:
            ClusterError: if all tries were lost.
        """
        key, tries = str(next(self._keys)), 0
        while True:
            station = await self._free.get()
            if station.is_lost:
                continue
            try:
                if bundle is not None and bundle.digest not in station.held:
                    await station.remote.hold(bundle)
                    station.held.add(bundle.digest)
                reply: str = await station.remote.ask("do", key, text)
            except asyncio.CancelledError:
                self._spawn(self._stopped(station, key))
                raise
            except Exception as error:  # of the cluster's package
                self._lose(station)
                tries += 1
                if tries == TRIES:
                    what = f"a worker was lost {TRIES} times out of {TRIES}; the last one: {line_of(error)}"
                    raise ClusterError(what) from error
                continue
            self._free.put_nowait(station)
            return reply

    async def close(self) -> None:
        """End the stations, and leave the cluster."""
        for each in (*self._aside, *self._starting.values()):
            each.cancel()
        ending = (each.remote.ask("close") for each in self._standing.values())
        await asyncio.gather(*ending, return_exceptions=True)
        await self._cluster.close()

    async def _look(self) -> None:
        """Start what is missing, and tell all that we are there."""
        for number in count():
            wanted: Mapping[str, int] = {}
            try:
                async with asyncio.timeout(GONE_SECONDS / 4):
                    wanted = await self._cluster.wanted()
                self._answered = time.monotonic()
            except Exception as error:  # of the cluster's package
                self._why = line_of(error)
            if self.places:
                self._peopled = time.monotonic()
            for where, slots in wanted.items():
                if where not in self._standing and where not in self._starting:
                    self._starting[where] = asyncio.create_task(self._start(where, slots))
            if number % int(LEASE_SECONDS / LOOK_SECONDS / 4) == 0:
                for station in self._standing.values():
                    self._spawn(self._greeted(station))
            await asyncio.sleep(LOOK_SECONDS)

    async def _start(self, where: str, slots: int) -> None:
        remote: Remote | None = None
        try:
            remote = await self._cluster.start(where, slots)
            if (there := await remote.ask("release")) != release():
                raise ClusterError(f"{there} there, {release()} here: install the same on its machines")
        except Exception as error:  # of the cluster's package
            self._why, self._is_unfit = line_of(error), True
            if remote is not None:
                remote.end()
            await asyncio.sleep(LOOK_SECONDS)
        else:
            station = self._standing[where] = _Standing(where, slots, remote)
            for _ in range(slots):
                self._free.put_nowait(station)
        finally:
            del self._starting[where]

    async def _greeted(self, station: _Standing) -> None:
        try:
            await station.remote.ask("release")
        except Exception:  # of the cluster's package
            self._lose(station)

    async def _stopped(self, station: _Standing, key: str) -> None:
        """End a job that nobody waits for any more; then its place is free."""
        try:
            await station.remote.ask("stop", key)
        except Exception:  # of the cluster's package
            self._lose(station)
        self._free.put_nowait(station)

    def _lose(self, station: _Standing) -> None:
        """It is gone; another one is started where there is room."""
        if not station.is_lost:
            station.is_lost = True
            del self._standing[station.where]
            station.remote.end()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._aside.add(task)
        task.add_done_callback(self._aside.discard)


def line_of(error: BaseException) -> str:
    """The first line that says something; where it announces another one, that one with it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return " ".join(lines[: 2 if lines[0].endswith(":") else 1])[:300]
