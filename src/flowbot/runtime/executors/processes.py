"""The executor on worker processes of this machine: functions that compute run side by side, and can be killed."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from flowbot.fields import InfrastructureError, StepError

from .address import Address, Unsendable, address_of
from .job import Job
from .link import Lost, NotStarted, Worker
from .loop import LoopExecutor
from .protocol import Call, Outcome

_log = logging.getLogger(__name__)

TRIES = 3
"""How often a job is run whose worker is lost each time."""


class ProcessExecutor:
    """Runs calls in worker processes, one at a time in each, metrics too. Processes are started when they are needed
    and kept until the end.

    They have the environment of this process whole, API keys included, since a user's tools may need them.

    Args:
        workers: how many at most; as many as there are processors for this process when None.
    """

    def __init__(self, workers: int | None = None) -> None:
        self._size = workers or _processors()
        self._here = LoopExecutor()
        self._turns = asyncio.Semaphore(self._size)
        self._places = asyncio.Semaphore(self._size)
        self._workers: list[Worker] = []
        self._ending: set[asyncio.Task[None]] = set()
        self._closed = False
        self._closing = asyncio.Lock()
        # By identity, for not all callables can be hashed; the callable is kept, so that no other gets its number.
        self._addresses: dict[int, tuple[Callable[..., Any], Address | str]] = {}
        self._told: set[str] = set()

    @property
    def pids(self) -> tuple[int, ...]:
        """The numbers of the processes that are there."""
        return tuple(sorted(worker.pid for worker in self._workers))

    def turn(self, call: Call) -> AbstractAsyncContextManager[None]:
        """As many as there are workers; those of this process for what cannot be sent."""
        return self._here.turn(call) if isinstance(self._address(call), str) else self._turns

    async def run(self, call: Call) -> Outcome:
        """Make one call; see `Executor`."""
        try:
            address = self._address(call)
            if isinstance(address, str):
                raise Unsendable(address)
            return await self._sent(Job.of(call, address), call)
        except Unsendable as reason:
            line = f"{call.kind} {call.name} runs in this process: {reason}"
            if line not in self._told:
                self._told.add(line)
                _log.info("%s", line, extra={"event": "executor.here", "tool": call.name})
            return await self._here.run(call)

    async def close(self) -> None:
        """End the processes: those without work by themselves, the others at once."""
        self._closed = True
        async with self._closing:
            for worker in tuple(self._workers):
                self._discard(worker, kill=not worker.free)
            for _ in range(self._size):  # until none is being started
                await self._places.acquire()
            for _ in range(self._size):
                self._places.release()
            while self._ending:
                await asyncio.wait(self._ending)

    async def _sent(self, job: Job, call: Call) -> Outcome:
        lost: Lost | None = None
        async with self._places:
            for _ in range(TRIES):
                try:
                    return await self._tried(job, fresh=lost is not None)
                except Lost as now:
                    lost = now
                    more = {"event": "executor.lost", "tool": job.name}
                    _log.info("%s %s: its process %s", job.kind, job.name, lost, extra=more)
                except Unsendable as reason:
                    self._addresses[id(call.function)] = (call.function, str(reason))
                    raise
        if isinstance(lost, NotStarted):
            raise InfrastructureError(f"worker processes do not start: the last of {TRIES} {lost}")
        return Outcome(error=StepError(f"its process was lost {TRIES} times out of {TRIES}; the last one {lost}"))

    async def _tried(self, job: Job, *, fresh: bool) -> Outcome:
        worker = await self._worker(fresh=fresh)
        try:
            return await worker.do(job)
        except TimeoutError as error:
            return Outcome(error=error, seconds=job.seconds or 0.0)
        finally:
            if not worker.free:
                self._discard(worker, kill=True)

    async def _worker(self, *, fresh: bool) -> Worker:
        """A worker that is free; a new one after one was lost, for others may be gone too and not yet be known to be."""
        for worker in tuple(self._workers):
            if not worker.free:
                continue
            if worker.alive and not fresh:
                return worker
            self._discard(worker, kill=not worker.alive)
            if fresh:
                break
        return await self._started()

    async def _started(self) -> Worker:
        if not self._closed:
            try:
                worker = await Worker.start()
            except OSError as error:
                raise InfrastructureError(f"worker processes do not start: {error}") from error
            self._workers.append(worker)
            if not self._closed:
                return worker
            self._discard(worker, kill=True)
        raise InfrastructureError("worker processes: closed while a call was under way")

    def _discard(self, worker: Worker, *, kill: bool) -> None:
        if worker not in self._workers:
            return
        self._workers.remove(worker)
        ending = asyncio.create_task(worker.end(kill=kill))
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)

    def _address(self, call: Call) -> Address | str:
        """Where the call's function is, or why it can only be called here."""
        known = self._addresses.get(id(call.function))
        if known is None:
            try:
                known = (call.function, address_of(call.function))
            except Unsendable as reason:
                known = (call.function, str(reason))
            self._addresses[id(call.function)] = known
        return known[1]


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):  # not on every system
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
