"""What stands on the machines of a cluster: runs jobs there, in worker processes of its own, so that one can be ended."""

from __future__ import annotations

import asyncio
import json
import platform
import threading
from collections.abc import Callable
from concurrent.futures import wait
from contextlib import ExitStack
from dataclasses import replace
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from flowbot.fields import InfrastructureError

from .child import Lost, NotStarted
from .job import Job, reply_of
from .processes import ProcessExecutor
from .protocol import Unsendable
from .shipping import unpacked

IDLE_SECONDS = 120.0
"""So long are worker processes and folders kept without a job."""
_LOOK_SECONDS = 0.2
_MOST_WORKERS = 256  # the cluster says how many run side by side


@cache
def release() -> str:
    """What must be the same on all machines, so that a function gives the same: FlowBot's version and Python's."""
    return f"FlowBot {version('flowbot')} on Python {platform.python_version().rpartition('.')[0]}"


def do(told: str, packed: bytes | None, is_over: Callable[[], bool] = lambda: False) -> str:
    """Run jobs of the cluster's here, one after the other, and wait for them: told as text and answered as text, so that nothing of a user's own is ever
    an object in the process that this is called in.

    Args:
        told: `{"release": …, "folder": digest or "", "jobs": […]}`, of one function; without jobs it asks whether one could be run.
        packed: the folder, where it was asked for.
        is_over: whether nobody waits for them any more. They are ended then, and where this is interrupted.

    Returns:
        `{"replies": […]}`, each as of `reply_of`, or `{"cannot": why}`, `{"lost": how}` where its process was lost each time, and
        `{"down": why}` where none can be started; or `{"down": why}` alone, or `{"missing": true}` to be told again with the folder.
    """
    asked = asyncio.run_coroutine_threadsafe(_Station.here().reply(json.loads(told), packed), _Station.here().loop)
    try:
        while not wait((asked,), _LOOK_SECONDS).done:
            if is_over():
                return ""
        return json.dumps(asked.result())
    finally:
        asked.cancel()


def leave() -> None:
    """End the worker processes of this one and remove their folders, and wait for that."""
    asyncio.run_coroutine_threadsafe(_Station.here().leave(), _Station.here().loop).result()


class _Station:
    """The one of this process. It works on an event loop of its own, in a thread: that of the cluster's package may be of a kind
    that starts no processes."""

    _lock = threading.Lock()
    _here: _Station | None = None

    def __init__(self) -> None:
        self.loop = asyncio.SelectorEventLoop()
        self._executor, self._folders, self._ends = ProcessExecutor(_MOST_WORKERS), dict[str, Path](), ExitStack()
        self._jobs, self._unpacking = 0, asyncio.Lock()
        self._leaving: asyncio.Task[None] | None = None
        self._left = self._leaving
        threading.Thread(target=self.loop.run_forever, daemon=True, name="flowbot-station").start()

    @classmethod
    def here(cls) -> _Station:
        """It starts when it is first asked for."""
        with cls._lock:
            cls._here = cls._here or _Station()
            return cls._here

    async def reply(self, told: dict[str, Any], packed: bytes | None) -> dict[str, Any]:
        if told["release"] != release():
            return {"down": f"{release()} there, {told['release']} here: install the same on its machines"}
        self._jobs += 1
        try:
            if told["folder"] and not await self._has(told["folder"], packed):
                return {"missing": True}
            return {"replies": [await self._done(Job.load(each), told["folder"]) for each in told["jobs"]]}
        finally:
            self._jobs -= 1
            if self._leaving is not None:
                self._leaving.cancel()
            self._leaving = self.loop.create_task(self._leave())

    async def _has(self, folder: str, packed: bytes | None) -> bool:
        async with self._unpacking:
            if folder not in self._folders and packed is not None:
                self._folders[folder] = await asyncio.to_thread(self._ends.enter_context, unpacked(packed))
            return folder in self._folders

    async def _done(self, job: Job, folder: str) -> dict[str, Any]:
        if folder:
            file = self._folders[folder] / job.function.file
            job = replace(job, function=replace(job.function, file=str(file)))
        try:
            return reply_of(await self._executor.done(job))
        except Unsendable as reason:
            return {"cannot": str(reason)}
        except (InfrastructureError, NotStarted) as fault:
            return {"down": f"worker processes do not start: {fault}"}
        except Lost as lost:
            return {"lost": str(lost)}

    async def _leave(self) -> None:
        """End the processes and remove the folders of whoever had them, once there has been no job for some time."""
        await asyncio.sleep(IDLE_SECONDS)
        if self._jobs:
            return
        self._left, self._leaving = self._leaving, None
        await self.leave()

    async def leave(self) -> None:
        """End the processes and remove the folders."""
        executor, ends = self._executor, self._ends
        self._executor, self._folders, self._ends = ProcessExecutor(_MOST_WORKERS), {}, ExitStack()
        await executor.close()
        ends.close()
