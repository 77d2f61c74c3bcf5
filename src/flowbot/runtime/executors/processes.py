"""The executor on worker processes of this machine: functions that compute run side by side, and can be killed."""

from __future__ import annotations

import asyncio
import logging
import os
from contextlib import AbstractAsyncContextManager, AsyncExitStack

from flowbot.fields import InfrastructureError

from .child import Lost
from .job import Job
from .protocol import Outcome
from .sending import TRIES, SendingExecutor
from .worker_process import Worker

_log = logging.getLogger(__name__)


class ProcessExecutor(SendingExecutor):
    """Runs calls in worker processes, one at a time in each, metrics too. Processes are started when they are needed
    and kept until the end.

    They have the environment of this process whole, API keys included, since a user's tools may need them. A process that
    is forked from this one can neither use them nor end them.

    Args:
        workers: how many at most; as many as there are processors for this process when None.
    """

    def __init__(self, workers: int | None = None) -> None:
        super().__init__()
        self._size = workers or _processors()
        self._turns = asyncio.Semaphore(self._size)
        self._places = asyncio.Semaphore(self._size)
        self._workers: list[Worker] = []
        self._closed = False
        self._closing = asyncio.Lock()

    @property
    def pids(self) -> tuple[int, ...]:
        """The numbers of the processes that are there."""
        return tuple(sorted(worker.pid for worker in self._workers if worker.alive))

    async def ready(self) -> None:
        """Processes are started when they are needed."""

    async def done(self, job: Job) -> Outcome:
        """Run a job to its end in a worker, in another one where that is lost; see `SendingExecutor`."""
        self.require_own()
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
        if not self.is_own:
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
                worker = await Worker.begin()
            except OSError as error:
                raise InfrastructureError(f"worker processes do not start: {error}") from error
            self._workers.append(worker)
            if not self._closed:
                return worker
            worker.kill()
        raise InfrastructureError("worker processes: closed while a call was under way")

    def _turn(self) -> AbstractAsyncContextManager[None]:
        return self._turns


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):  # not on every system
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
