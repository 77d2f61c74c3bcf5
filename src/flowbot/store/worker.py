"""A thread that takes what has gathered meanwhile as one group, and tells those who wait in one hop back to their loop."""

from __future__ import annotations

import asyncio
import os
import queue
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, Generic, TypeVar

from flowbot.fields import InfrastructureError

MAX_GROUP = 1000

Job = TypeVar("Job")
Answer = tuple["asyncio.Future[Any]", object]
"""A future, and its result or, if that is an exception, its error."""


class Worker(Generic[Job]):
    """Takes jobs from any thread, in order.

    What arrives while a group is at work forms the next group, so that nothing waits for a timer: under load groups
    grow, and alone a job is done at once. The thread starts with the first job.

    Args:
        name: of the thread.
        work: does a group; must not raise.
    """

    def __init__(self, name: str, work: Callable[[list[Job]], None]) -> None:
        self._name = name
        self._work = work
        self._queue: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._process = os.getpid()

    def submit(self, job: Job) -> None:
        """Queue one job.

        Raises:
            InfrastructureError: if the system gives no thread, or this process was forked from the one that made it.
        """
        if not self.is_here:
            raise InfrastructureError(f"{self._name}: opened before this process was forked; open it anew", kind="disk")
        if self._thread is None:
            with self._starting:  # jobs come from several threads
                if self._thread is None:
                    thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                    try:
                        thread.start()
                    except RuntimeError as error:
                        raise InfrastructureError(f"{self._name}: {error}", kind="disk") from None
                    self._thread = thread  # only now: a job for a thread that never began would wait for ever
        self._queue.put(job)

    @property
    def is_here(self) -> bool:
        """Whether this is the process that made it, and not one that was forked from that, where the thread is not."""
        return self._process == os.getpid()

    def stop(self) -> None:
        """Do what is queued and end the thread. Blocks; call it off the loop."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        while True:
            job = self._queue.get()
            group: list[Job] = []
            with suppress(queue.Empty):
                while job is not None:
                    group.append(job)
                    if len(group) == MAX_GROUP:
                        break
                    job = self._queue.get_nowait()
            if group:
                self._work(group)
            if job is None:
                return


def settle(answers: Iterable[Answer]) -> None:
    """Give futures their results from another thread: one call into each loop, however many futures it has."""
    by_loop: dict[asyncio.AbstractEventLoop, list[Answer]] = {}
    for answer in answers:
        by_loop.setdefault(answer[0].get_loop(), []).append(answer)
    for loop, its in by_loop.items():
        # A loop that has ended meanwhile has nobody left to tell; what was committed is committed all the same.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(_tell, its)


def _tell(answers: list[Answer]) -> None:
    for future, result in answers:
        if future.done():
            continue
        if isinstance(result, BaseException):
            future.set_exception(result)
        else:
            future.set_result(result)
