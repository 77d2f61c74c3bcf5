"""The executor on worker processes of this machine: functions that compute run side by side, and can be killed."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from pathlib import Path
from typing import Any

from flowbot.fields import InfrastructureError

from .child import START_SECONDS, Child, Lost
from .job import Job, outcome_of
from .protocol import BEAT_SECONDS, PROGRAMS, Call, Kind, Outcome, Unsendable
from .sending import TRIES, SendingExecutor

SILENT_SECONDS = 60.0
"""Nothing is heard of a worker of programs for so long, or for the time of its program if that is more: it is taken for lost."""
_log = logging.getLogger(__name__)


class Worker(Child):
    """A worker process: for one tool or metric after the other, or for programs, many at once.

    Attributes:
        jobs: that it has.
        spent: it gets no more: one was not answered, and may go on in it.
        environment: as of its jobs.
        number: of those of its executor, in the order in which they were begun.
        messages: that it has sent.
    """

    jobs = number = messages = 0
    spent = False
    environment: Mapping[str, str | None] = {}

    async def do(self, job: Job) -> Outcome:
        """Run a job to its end. Ended in between, by an error or by being cancelled, the worker is spent.

        Raises:
            Unsendable: if the worker cannot find the function; it is spent if finding took too long.
            Lost: if the worker ended.
        """
        was_answered = False
        try:
            with self.numbered() as (number, answers):
                await self.send({"id": number, "job": job.dump()})
                try:
                    # Not `wait_for`, which before Python 3.12 loses a cancellation that comes together with the line.
                    async with asyncio.timeout(START_SECONDS):
                        reply = await self.answer(answers)
                except TimeoutError:
                    raise Unsendable(f"its module was not imported in {START_SECONDS:g} s") from None
                if "begun" in reply and job.kind == "program":
                    reply = await self._while_heard(answers, max(SILENT_SECONDS, job.arguments["timeout"]))
                elif "begun" in reply:
                    async with asyncio.timeout(job.seconds):
                        reply = await self.answer(answers)
                was_answered = "late" not in reply
                return outcome_of(reply)
        except TimeoutError as error:
            if _is_stopped(self.pid):  # it had no time of its own: another one shall try
                await self.end(kill=True)
                raise Lost("was stopped") from None
            return Outcome(error=error, seconds=job.seconds or 0.0)
        finally:
            self.spent |= not was_answered

    async def _while_heard(self, answers: asyncio.Queue[dict[str, Any]], seconds: float) -> dict[str, Any]:
        """What comes next for a program, which watches its time itself: a process of which nothing is heard for so long, since it is
        stopped or one of its programs never lets the interpreter go, is lost."""
        silent = 0.0
        while silent < seconds:
            heard = self.messages
            try:
                async with asyncio.timeout(BEAT_SECONDS):
                    return await self.answer(answers)
            except TimeoutError:  # counted by looks: this process may have had no time of its own, either
                silent = silent + BEAT_SECONDS if self.messages == heard else 0.0
        await self.end(kill=True)
        raise Lost(f"said nothing for {seconds:g} s")

    def heard(self, message: dict[str, Any]) -> None:
        """It said something, if only that it is alive."""
        self.messages += 1
        super().heard(message)


class ProcessExecutor(SendingExecutor):
    """Runs calls in worker processes, tools and metrics one at a time in each. Processes are started when they are needed
    and kept until the end.

    Those of tools and metrics have the environment of this process whole, API keys included, since a user's tools may need them. A
    process that is forked from this one can neither use them nor end them.

    Args:
        workers: how many at most; as many as there are processors for this process when None. Programs have as many again.
    """

    def __init__(self, workers: int | None = None) -> None:
        super().__init__()
        self._size = workers or _processors()
        self._turns = _places(self._size)
        self._places = _places(self._size)
        self._alone = asyncio.Semaphore(min(self._size, _processors()))
        self._workers: list[Worker] = []
        self._starting = asyncio.Lock()
        self._closed = False
        self._closing = asyncio.Lock()
        self._begun = self._under_way = 0
        self._ended = asyncio.Event()

    @property
    def pids(self) -> tuple[int, ...]:
        """The numbers of the processes that are there."""
        return tuple(sorted(worker.pid for worker in self._workers if worker.alive))

    async def ready(self) -> None:
        """Processes are started when they are needed."""

    async def done(self, job: Job) -> Outcome:
        """Run a job to its end in a worker, in another one where that is lost; see `SendingExecutor`."""
        self.require_own()
        self._under_way += 1
        try:
            async with self._places[job.kind]:
                return await self._done(job)
        finally:
            self._under_way -= 1
            self._ended.set()

    async def close(self) -> None:
        """End the processes: those without work by themselves, the others at once."""
        if not self.is_own:
            return
        self._closed = True
        async with self._closing:
            ending = [worker.end(kill=worker.spent or worker.jobs > 0) for worker in self._workers]
            await asyncio.gather(*ending)
            while self._under_way:  # one may be being started
                self._ended.clear()
                await self._ended.wait()
            await asyncio.gather(*(worker.end(kill=True) for worker in self._workers))

    async def _done(self, job: Job) -> Outcome:
        lost, after = Lost(), 0
        for left in reversed(range(TRIES)):
            # The last time a program has a process for itself: it may be one beside it that ends each that they share.
            alone = job.kind == "program" and not left
            try:
                async with self._alone if alone else nullcontext():
                    return await self._tried(job, after, alone=alone)
            except Lost as now:
                lost, after = now, self._begun
                more = {"event": "executor.lost", "tool": job.name}
                _log.info("%s %s: its process %s", job.kind, job.name, lost, extra=more)
        raise lost

    async def _tried(self, job: Job, after: int, *, alone: bool) -> Outcome:
        # Those of programs start one after the other: many may share each.
        async with self._starting if job.kind == "program" else nullcontext():
            worker = await (self._new_worker(job) if alone else self._worker(job, after))
            worker.spent |= alone  # no other job gets it
        try:
            return await worker.do(job)
        finally:
            worker.jobs -= 1
            if worker.spent and not worker.jobs:
                worker.kill()

    async def _worker(self, job: Job, after: int) -> Worker:
        """A worker that has a place for the job, which is taken; after one was lost one that was begun later, for others may be gone too
        and not yet be known to be."""
        alike = (each for each in self._workers if not each.spent and each.environment == job.environment)
        some = sorted((each for each in alike if job.kind == "program" or not each.jobs), key=lambda each: each.jobs)
        for worker in some:
            if worker.alive and worker.number > after:
                if not worker.jobs or len(some) >= min(self._size, _processors()):
                    worker.jobs += 1
                    return worker
            elif not worker.jobs:
                worker.spent = True
                worker.kill()
                if after:
                    break
        return await self._new_worker(job)

    async def _new_worker(self, job: Job) -> Worker:
        self._workers = [each for each in self._workers if not each.gone]
        if not self._closed:
            try:
                told = {**os.environ, **job.environment}
                worker = await Worker.start(environment={name: text for name, text in told.items() if text is not None})
            except OSError as error:
                raise InfrastructureError(f"worker processes do not start: {error}") from error
            self._begun += 1
            worker.environment, worker.jobs, worker.number = job.environment, 1, self._begun
            self._workers.append(worker)
            if not self._closed:
                return worker
            worker.kill()
        raise InfrastructureError("worker processes: closed while a call was under way")

    def _turn(self, call: Call) -> AbstractAsyncContextManager[None]:
        return self._turns[call.kind]


def _places(size: int) -> Mapping[Kind, asyncio.Semaphore]:
    """How many run side by side of each kind."""
    plain = asyncio.Semaphore(size)
    return {"tool": plain, "metric": plain, "program": asyncio.Semaphore(size * PROGRAMS)}


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):  # not on every system
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _is_stopped(pid: int) -> bool:
    """Whether a signal has stopped the process. Only known on Linux."""
    try:
        status = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return False
    return status[status.rfind(b")") + 1 :].split()[0] in (b"T", b"t")
