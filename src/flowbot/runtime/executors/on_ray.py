"""A Ray cluster: a job runs in an actor of one processor, a program as a task of next to none. An actor answers at once where each further task waits for its turn
at one machine after the other, which took some ten milliseconds of their processors."""

from __future__ import annotations

import asyncio
import os
import time
from importlib import import_module
from typing import Any

from .protocol import Kind
from .sending import TRIES
from .shipping import Bundle
from .station import do

IDLE_SECONDS = 20.0
"""So long does an actor hold its processor without a job."""
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
        self._idle = asyncio.LifoQueue[tuple[float, Any]]()
        """Actors without a job, and since when; or why one did not start."""
        self._hiring = set[asyncio.Task[None]]()
        self._many, self._most, self._waiting = 0, 2, 0

    async def open(self) -> None:
        """See `Cluster`."""
        await asyncio.to_thread(self._ray.init, address=self._address, log_to_driver=False, logging_level="ERROR")
        self._program = self._ray.remote(num_cpus=_PROGRAM, max_retries=0)(do)
        self._actor = self._ray.remote(num_cpus=1 - self.programs * _PROGRAM, max_restarts=0)(Place)

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
        tries = 0
        while True:
            actor = asked = None
            try:
                actor = None if kind == "program" else await self._free_actor()
                asked = (self._program if actor is None else actor.do).remote(
                    told, bundle and self._bundles[bundle.digest]
                )
                answer: str = await asked
            except BaseException as error:
                if actor is not None:
                    self._let_go(actor)  # and with it its job, where that was cancelled
                    self._let_go_idle(time.monotonic())  # they may have stood on the same lost machine
                elif asked is not None and isinstance(error, asyncio.CancelledError):
                    self._ray.cancel(asked)
                tries += 1
                errors = self._ray.exceptions
                if not isinstance(error, errors.RayError) or isinstance(error, errors.RayTaskError) or tries == TRIES:
                    raise
                await asyncio.sleep(tries / 2)  # Ray may not know yet that the machine is gone
            else:
                if actor is not None:
                    self._idle.put_nowait((time.monotonic(), actor))
                return answer

    async def close(self) -> None:
        """See `Cluster`."""
        await asyncio.to_thread(self._ray.shutdown)

    async def _free_actor(self) -> Any:
        """The one that was last at work, or the next one to be free; one more is asked of the cluster where none is.

        Raises:
            RayError: if the next one could not be started.
        """
        self._waiting += 1
        self._hire_for_waiting()
        try:
            _, actor = await self._idle.get()
        finally:
            self._waiting -= 1
        if isinstance(actor, Exception):
            raise actor
        return actor

    def _hire_for_waiting(self) -> None:
        """One for each job that waits, as far as the cluster may have room."""
        wanted = self._waiting - len(self._hiring) - self._idle.qsize()
        for _ in range(min(wanted, self._most - self._many)):
            self._many += 1
            hiring = asyncio.create_task(self._hire(self._actor.remote()))
            self._hiring.add(hiring)
            hiring.add_done_callback(self._hiring.discard)

    async def _hire(self, actor: Any) -> None:
        """Wait until the cluster has room for it."""
        try:
            await actor.ready.remote()
        except asyncio.CancelledError:
            self._let_go(actor)
            raise
        except self._ray.exceptions.RayError as error:
            self._let_go(actor)
            actor = error
        self._idle.put_nowait((time.monotonic(), actor))

    def _let_go_idle(self, since: float) -> None:
        """Those without a job since then or before."""
        for began, actor in reversed([self._idle.get_nowait() for _ in range(self._idle.qsize())]):
            if began > since:
                self._idle.put_nowait((began, actor))
            elif not isinstance(actor, Exception):
                self._let_go(actor)

    def _let_go(self, actor: Any) -> None:
        self._many -= 1
        self._ray.kill(actor)


class Place:
    """What an actor is: it does jobs one after the other."""

    def ready(self) -> None:
        """Answer."""

    def do(self, told: str, packed: bytes | None) -> str:
        """See `station.do`."""
        return do(told, packed)
