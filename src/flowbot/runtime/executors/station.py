"""What stands on the machines of a cluster: runs jobs there, in worker processes of its own, so that one can be ended."""

from __future__ import annotations

import asyncio
import json
import platform
import shutil
import threading
import time
from concurrent.futures import Future
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from flowbot.fields import InfrastructureError

from .address import Unsendable
from .child import Lost, NotStarted
from .job import Job, described
from .processes import ProcessExecutor
from .shipping import unpacked

LEASE_SECONDS = 120.0


def release() -> str:
    """What must be the same on all machines, so that a function gives the same: FlowBot's version and Python's."""
    return f"FlowBot {version('flowbot')} on Python {platform.python_version().rpartition('.')[0]}"


class Station:
    """Runs jobs, told as text and answered as text: nothing of a user's own is ever an object in the process that it stands in.

    It works on an event loop of its own, in a thread: that of the cluster's package may be of a kind that starts no processes.

    Failure policy: a station that nobody asks anything for `LEASE_SECONDS` ends what it is at; its coordinator is gone.

    Args:
        workers: how many jobs run side by side.
    """

    def __init__(self, workers: int) -> None:
        self._executor = ProcessExecutor(workers)
        self._folders: dict[str, Path] = {}
        self._jobs: dict[str, Future[str]] = {}
        self._stopped = set[str]()
        self._asked, self._has_left = time.monotonic(), False
        self._loop = asyncio.SelectorEventLoop()
        self._leaving = self._loop.create_task(self._leave())
        threading.Thread(target=self._work, daemon=True, name="flowbot-station").start()

    async def release(self) -> str:
        """See `release`; it also says that somebody is there."""
        self._touch()
        return release()

    async def hold(self, digest: str, data: bytes) -> None:
        """Take a folder that jobs are in."""
        if digest not in self._folders:
            self._folders[digest] = await asyncio.to_thread(unpacked, data)

    async def do(self, key: str, text: str) -> str:
        """Run a job: `{"job": …, "folder": digest or ""}`.

        Args:
            key: by which it may be stopped.
            text: the job.

        Returns:
            `{"value": …, "seconds": s}`, `{"error": …, "seconds": s}`, `{"late": true}`, or `{"cannot": why}`, `{"lost": how}` where its
            process was lost each time, and `{"down": why}` where none can be started.
        """
        self._touch()
        job = self._jobs[key] = asyncio.run_coroutine_threadsafe(self._done(json.loads(text)), self._loop)
        if key in self._stopped:
            job.cancel()
        try:
            return await asyncio.wrap_future(job)
        except asyncio.CancelledError:
            return json.dumps({"down": "it was stopped"})
        finally:
            del self._jobs[key]

    async def stop(self, key: str) -> None:
        """End a job, which may not have come yet."""
        self._stopped.add(key)
        if key in self._jobs:
            self._jobs[key].cancel()

    async def close(self) -> None:
        """End its processes, and remove what it holds."""
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._end(), self._loop))

    def _work(self) -> None:
        self._loop.run_forever()
        self._loop.close()

    def _touch(self) -> None:
        """Somebody is there. One that was away too long, as a laptop that slept, has lost the station."""
        if self._has_left:
            raise RuntimeError("the station has left")
        self._asked = time.monotonic()

    async def _leave(self) -> None:
        while time.monotonic() - self._asked < LEASE_SECONDS:  # noqa: ASYNC110 - nothing tells of who is gone
            await asyncio.sleep(LEASE_SECONDS / 10)
        await self._end()

    async def _end(self) -> None:
        if self._leaving is not asyncio.current_task():
            self._leaving.cancel()
        self._has_left = True
        await self._executor.close()
        for folder in self._folders.values():
            shutil.rmtree(folder, ignore_errors=True)
        self._loop.call_later(1, self._loop.stop)

    async def _done(self, told: dict[str, Any]) -> str:
        job = Job.load(told["job"])
        if told["folder"]:
            file = self._folders[told["folder"]] / job.function.file
            job = replace(job, function=replace(job.function, file=str(file)))
        try:
            outcome = await self._executor.done(job)
        except Unsendable as reason:
            return json.dumps({"cannot": str(reason)})
        except (InfrastructureError, NotStarted) as fault:
            self._touch()
            return json.dumps({"down": f"worker processes do not start: {fault}"})
        except Lost as lost:
            return json.dumps({"lost": str(lost)})
        if isinstance(outcome.error, TimeoutError):
            return json.dumps({"late": True})
        told_of = {"value": outcome.value} if outcome.error is None else {"error": described(outcome.error)}
        return json.dumps({**told_of, "seconds": outcome.seconds})
