"""The executor on worker processes of this machine: functions that compute run side by side, and can be killed."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any

from flowbot.fields import InfrastructureError, StepError, UserError

from .address import Address, Unsendable, address_of
from .job import Job
from .loop import LoopExecutor
from .protocol import Call, Outcome
from .worker_process import Lost, NotStarted, Worker

_log = logging.getLogger(__name__)

TRIES = 3
"""How often a job is run whose worker is lost each time."""


class ProcessExecutor:
    """Runs calls in worker processes, one at a time in each, metrics too. Processes are started when they are needed
    and kept until the end.

    They have the environment of this process whole, API keys included, since a user's tools may need them. A process that
    is forked from this one can neither use them nor end them.

    Args:
        workers: how many at most; as many as there are processors for this process when None.
    """

    def __init__(self, workers: int | None = None) -> None:
        self._size = workers or _processors()
        self._here = LoopExecutor()
        self._turns = asyncio.Semaphore(self._size)
        self._places = asyncio.Semaphore(self._size)
        self._workers: list[Worker] = []
        self._closed = False
        self._closing = asyncio.Lock()
        self._process = os.getpid()
        # By identity, for not all callables can be hashed; the callable is kept, so that no other gets its number.
        self._addresses: dict[int, tuple[Callable[..., Any], Address | str]] = {}
        self._logged: set[str] = set()

    @property
    def pids(self) -> tuple[int, ...]:
        """The numbers of the processes that are there."""
        return tuple(sorted(worker.pid for worker in self._workers if worker.alive))

    def turn(self, call: Call) -> AbstractAsyncContextManager[None]:
        """As many as there are workers; those of this process for what cannot be sent."""
        return self._here.turn(call) if isinstance(self._address(call), str) else self._turns

    async def run(self, call: Call) -> Outcome:
        """Make one call; see `Executor`."""
        try:
            address = self._address(call)
            if isinstance(address, str):
                raise Unsendable(address)
            job = Job.of(call, address)
            try:
                return await self.done(job)
            except Unsendable as reason:
                self._addresses[id(call.function)] = (call.function, str(reason))
                raise
        except Unsendable as reason:
            line = f"{call.kind} {call.name} runs in this process: {reason}"
            if line not in self._logged:
                self._logged.add(line)
                _log.info("%s", line, extra={"event": "executor.here", "tool": call.name})
            return await self._here.run(call)
        except NotStarted as lost:
            raise InfrastructureError(f"worker processes do not start: the last of {TRIES} {lost}") from lost
        except Lost as lost:
            return Outcome(error=StepError(f"its process was lost {TRIES} times out of {TRIES}; the last one {lost}"))

    async def done(self, job: Job) -> Outcome:
        """Run a job to its end in a worker, in another one where that is lost.

        Raises:
            Unsendable: if the workers cannot find its function.
            Lost: how the last one was lost.
            InfrastructureError: if there can be no process.
            UserError: in a process that was forked from the workers' owner.
        """
        if self._process != os.getpid():
            raise UserError(
                "executor", "worker processes of the one that this was forked from", "its own: open it here"
            )
        lost = Lost()
        async with self._places:
            for number in range(TRIES):
                try:
                    return await self._tried(job, fresh=number > 0)
                except Lost as now:
                    lost = now
                    more = {"event": "executor.lost", "tool": job.name}
                    _log.info("%s %s: its process %s", job.kind, job.name, lost, extra=more)
        raise lost

    async def close(self) -> None:
        """End the processes: those without work by themselves, the others at once."""
        if self._process != os.getpid():
            return
        self._closed = True
        async with self._closing:
            ending = [worker.end(kill=not worker.free) for worker in self._workers]
            async with AsyncExitStack() as places:
                await asyncio.gather(*ending)
                for _ in range(self._size):  # until none is at work, or being started
                    await places.enter_async_context(self._places)
            await asyncio.gather(*(worker.end(kill=True) for worker in self._workers))

    async def _tried(self, job: Job, *, fresh: bool) -> Outcome:
        worker = await self._worker(fresh=fresh)
        try:
            return await worker.do(job)
        except TimeoutError as error:
            return Outcome(error=error, seconds=job.seconds or 0.0)
        finally:
            if not worker.free:
                worker.kill()

    async def _worker(self, *, fresh: bool) -> Worker:
        """A worker that is free; a new one after one was lost, for others may be gone too and not yet be known to be."""
        for worker in self._workers:
            if worker.free:
                if worker.alive and not fresh:
                    return worker
                worker.kill()
                if fresh:
                    break
        self._workers = [each for each in self._workers if not each.gone]
        if not self._closed:
            try:
                worker = await Worker.start()
            except OSError as error:
                raise InfrastructureError(f"worker processes do not start: {error}") from error
            self._workers.append(worker)
            if not self._closed:
                return worker
            worker.kill()
        raise InfrastructureError("worker processes: closed while a call was under way")

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
