"""A Ray cluster: a job runs in an actor of one processor, a program as a task of next to none. Jobs were tasks once: each one that waited was offered to all
machines in turn, at some ten milliseconds of their processors; an actor is asked straight away.
"""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from threading import Lock
from typing import Any

from .protocol import Kind
from .sending import TRIES
from .shipping import Bundle
from .station import do, leave

IDLE_SECONDS = 20.0
"""So long does an actor hold its processor without a job."""
SERVICE_SECONDS = 60.0
"""So long does it hold it in all, so that others who wait for one on a full cluster get their turn."""
END_SECONDS = 5.0
"""Time to end its processes and remove its folders."""
_PROGRAM = 0.01
"""Of a processor: what a program takes beside the one tool or metric that computes on it."""


class RayCluster:
    """See `Cluster`.

    Args:
        address: `HOST:PORT` of Ray's client server; empty for the cluster of `RAY_ADDRESS`, or the one of this machine, which is
            started where there is none.
    """

    programs = 4  # each has processes of its own there, which take room

    def __init__(self, address: str) -> None:
        os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")  # it would start workers on another Python
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        # Of a cluster that is started here: it would end the processes of programs after a second without one.
        os.environ.setdefault("RAY_idle_worker_killing_time_threshold_ms", "120000")
        self._address = f"ray://{address}" if address else None
        self._ray: Any = import_module("ray")
        self._program: Any = None
        self._actor: Any = None
        self._bundles: dict[str, Any] = {}
        self._hired = set[_Hired]()
        """Actors that are there or asked for."""
        self._idle = asyncio.LifoQueue[tuple[float, _Hired | Exception]]()
        """Those without a job, and since when; or why one did not start."""
        self._hiring, self._leaving = set[asyncio.Task[None]](), set[asyncio.Task[None]]()
        self._most, self._waiting = 2, 0

    async def open(self) -> None:
        """See `Cluster`."""
        await asyncio.to_thread(self._ray.init, address=self._address, log_to_driver=False, logging_level="ERROR")
        self._program = self._ray.remote(num_cpus=_PROGRAM, max_retries=0)(do)
        self._actor = self._ray.remote(num_cpus=1 - self.programs * _PROGRAM, max_restarts=0, max_concurrency=2)(Place)

    async def places(self) -> int:
        """Its processors. Actors that have long had nothing to do are let go meanwhile, and those that nobody waits for any more."""
        places = int((await asyncio.to_thread(self._ray.cluster_resources)).get("CPU", 0))
        self._most = 2 * max(1, places)  # the cluster sees what it could use
        self._hire_for_waiting()
        while self._hiring and not self._waiting:
            self._hiring.pop().cancel()
        self._let_go_idle(time.monotonic() - IDLE_SECONDS)
        return places

    async def do(self, told: str, bundle: Bundle | None, kind: Kind) -> str:
        """See `Cluster`. The tries are counted here: Ray's own are endless where a machine has too little memory."""
        if bundle is not None and bundle.digest not in self._bundles:
            self._bundles[bundle.digest] = self._ray.put(bundle.data)
        errors, tries = self._ray.exceptions, 0
        while True:
            hired = asked = None
            try:
                hired = None if kind == "program" else await self._free()
                ask = self._program if hired is None else hired.actor.do
                asked = ask.remote(told, bundle and self._bundles[bundle.digest])
                answer: str = await asked
            except BaseException as error:
                is_lost = isinstance(error, errors.RayError) and not isinstance(error, errors.RayTaskError)
                if hired is not None:
                    self._let_go(hired)  # and with it its job, where that was cancelled
                    if is_lost:
                        self._let_go_idle(time.monotonic())  # they may have stood on the same machine
                elif asked is not None and isinstance(error, asyncio.CancelledError):
                    self._ray.cancel(asked)
                tries += 1
                if not is_lost or tries == TRIES:
                    raise
                await asyncio.sleep(tries / 2)  # Ray may not know yet that the machine is gone
            else:
                if hired is not None and time.monotonic() - hired.since > SERVICE_SECONDS:
                    self._let_go(hired)
                    self._hire_for_waiting()
                elif hired is not None:
                    self._idle.put_nowait((time.monotonic(), hired))
                return answer

    async def close(self) -> None:
        """See `Cluster`."""
        for hiring in self._hiring:
            hiring.cancel()
        for hired in tuple(self._hired):
            self._let_go(hired)
        if ending := (*self._hiring, *self._leaving):
            await asyncio.wait(ending, timeout=END_SECONDS)
        await asyncio.to_thread(self._ray.shutdown)

    async def _free(self) -> _Hired:
        """The actor that was last at work, or the next one to be free; one more is asked of the cluster where none is.

        Raises:
            RayError: if the next one could not be started.
        """
        self._waiting += 1
        try:
            self._hire_for_waiting()
            _, hired = await self._idle.get()
        finally:
            self._waiting -= 1
        if isinstance(hired, Exception):
            raise hired
        return hired

    def _hire_for_waiting(self) -> None:
        """One for each job that waits, as far as the cluster may have room."""
        wanted = self._waiting - len(self._hiring) - self._idle.qsize()
        for _ in range(min(wanted, self._most - len(self._hired))):
            hired = _Hired(self._actor.remote())
            self._hired.add(hired)
            hiring = asyncio.create_task(self._hire(hired))
            self._hiring.add(hiring)
            hiring.add_done_callback(self._hiring.discard)

    async def _hire(self, hired: _Hired) -> None:
        """Wait until the cluster has room for it."""
        try:
            await hired.actor.ready.remote()
        except asyncio.CancelledError:
            self._let_go(hired)
            raise
        except Exception as error:  # of Ray, or of its client
            self._let_go(hired)
            if self._waiting:
                self._idle.put_nowait((time.monotonic(), error))
        else:
            hired.since = time.monotonic()
            self._idle.put_nowait((hired.since, hired))

    def _let_go_idle(self, since: float) -> None:
        """Those without a job since then or before."""
        for began, hired in reversed([self._idle.get_nowait() for _ in range(self._idle.qsize())]):
            if began > since:
                self._idle.put_nowait((began, hired))
            elif isinstance(hired, _Hired):
                self._let_go(hired)

    def _let_go(self, hired: _Hired) -> None:
        if hired in self._hired:
            self._hired.discard(hired)
            leaving = asyncio.create_task(self._end(hired.actor))
            self._leaving.add(leaving)
            leaving.add_done_callback(self._leaving.discard)

    async def _end(self, actor: Any) -> None:
        """Its processes and folders, where it is there to do that, and then itself."""
        with suppress(Exception):
            async with asyncio.timeout(END_SECONDS):
                await actor.leave.remote()
        with suppress(Exception):
            self._ray.kill(actor)


@dataclass(eq=False)
class _Hired:
    actor: Any
    since: float = 0.0


class Place:
    """What an actor is: it does jobs one after the other, and may be told meanwhile to leave."""

    def __init__(self) -> None:
        self._is_over = False
        self._at_work = Lock()

    def ready(self) -> None:
        """Answer."""

    def do(self, told: str, packed: bytes | None) -> str:
        """See `station.do`."""
        with self._at_work:
            return do(told, packed, lambda: self._is_over)

    def leave(self) -> None:
        """End the job, the worker processes and their folders."""
        self._is_over = True
        with self._at_work:
            leave()
