"""The executor on a cluster of Ray or Dask: functions run on its machines, and all else, store, ledger and journal, stays here."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.util import find_spec
from itertools import count
from typing import Any

from flowbot.fields import InfrastructureError, UserError
from flowbot.fields.bounds import MESSAGE_BYTES

from .address import Unsendable
from .child import Child, Lost
from .job import Job, rebuilt
from .protocol import Outcome
from .sending import SendingExecutor

ADDRESSES = "ray, ray://HOST:PORT or dask://HOST:PORT"
_PACKAGES = {"ray": "ray", "dask": "distributed"}
_ADDRESS = re.compile(r"(ray)|(ray|dask)://(\w+://)?[^\s/@?#]+:\d{1,5}")
_START_SECONDS = 300.0


def is_cluster(name: str) -> bool:
    """Whether an executor's name is the address of a cluster."""
    return _ADDRESS.fullmatch(name) is not None


class ClusterExecutor(SendingExecutor):
    """Runs calls on a cluster, through a process of its own that speaks with it; see `bridge.py`.

    Args:
        address: of the cluster.

    Raises:
        UserError: if its package is not installed.
    """

    def __init__(self, address: str) -> None:
        super().__init__()
        kind = address.partition("://")[0]
        if find_spec(_PACKAGES[kind]) is None:
            raise UserError(f"executor {kind}", f"no package {_PACKAGES[kind]}", f"pip install -e '.[{kind}]'")
        self._at = address
        self._bridge: Bridge | None = None
        self._opening = asyncio.Lock()
        self._closed = False

    async def ready(self) -> None:
        """Reach the cluster; see `Executor`."""
        await self._opened()

    async def done(self, job: Job) -> Outcome:
        """Run a job to its end on some machine; see `SendingExecutor`."""
        return await (await self._opened()).run(job)

    async def close(self) -> None:
        """End what was started, here and there."""
        self._closed = True
        async with self._opening:
            if self._bridge is not None and self.is_own:
                await self._bridge.end()

    @asynccontextmanager
    async def _waiting(self) -> AsyncGenerator[None]:
        async with (await self._opened()).turns:
            yield

    def _turn(self) -> AbstractAsyncContextManager[None]:
        return self._waiting()

    async def _opened(self) -> Bridge:
        self.require_own()
        async with self._opening:
            if self._closed:
                raise InfrastructureError(f"{self._at}: closed while a call was under way")
            if self._bridge is None or self._bridge.why:
                self._bridge = await Bridge.reach(self._at)
            return self._bridge


class Bridge(Child):
    """The process that speaks with the cluster: many jobs at once.

    Attributes:
        turns: for as many as run side by side.
        why: it was lost; "" while it is there.
    """

    end_seconds = 20.0
    most_bytes = 2 * MESSAGE_BYTES  # what a worker may send, and a little around it

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        super().__init__(process)
        self.turns = asyncio.Semaphore(0)
        self.at = self.why = ""
        self._places = 0
        self._numbers = count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._listening: asyncio.Task[None] | None = None

    @classmethod
    async def reach(cls, address: str) -> Bridge:
        """Start it, and reach the cluster.

        Raises:
            InfrastructureError: if it cannot be reached, saying why.
        """
        try:
            bridge = await cls.start(seconds=_START_SECONDS, silent=True, cluster=address)
        except (Lost, OSError) as error:
            raise InfrastructureError(f"{address} cannot be reached: {error}", kind="connection") from None
        bridge.at = address
        bridge._heard(bridge.hello)
        if bridge.why:
            await bridge.end(kill=True)
            raise InfrastructureError(f"{address} cannot be reached: {bridge.why}", kind="connection")
        bridge._listening = asyncio.create_task(bridge._listen())
        return bridge

    async def run(self, job: Job) -> Outcome:
        """Run a job to its end.

        Raises:
            Unsendable, Lost, InfrastructureError: as `SendingExecutor.done`.
        """
        number, waiting = next(self._numbers), asyncio.get_running_loop().create_future()
        self._waiting[number] = waiting
        try:
            if not self.why:
                await self.send({"id": number, "job": job.dump()})
            reply: dict[str, Any] = {"down": self.why} if self.why else await waiting
        except Lost as lost:
            reply = {"down": self.why or str(lost)}
        except asyncio.CancelledError:
            self._input.write(f'{{"cancel": {number}}}\n'.encode())
            raise
        finally:
            del self._waiting[number]
        if "cannot" in reply:
            raise Unsendable(reply["cannot"])
        if "down" in reply:
            raise InfrastructureError(f"{self.at}: {reply['down']}", kind="connection")
        if "lost" in reply:
            raise Lost(reply["lost"])
        if "late" in reply:
            return Outcome(error=TimeoutError(), seconds=job.seconds or 0.0)
        error = rebuilt(reply["error"]) if "error" in reply else None
        return Outcome(reply.get("value"), error, reply["seconds"])

    async def _listen(self) -> None:
        try:
            while True:
                self._heard(await self.receive())
        except Lost as lost:
            self.why = self.why or f"the cluster is lost: what speaks with it {lost}"
            for waiting in self._waiting.values():
                if not waiting.done():
                    waiting.set_result({"down": self.why})

    def _heard(self, message: dict[str, Any]) -> None:
        if "failed" in message:
            self.why = message["failed"]
        for _ in range(message.get("places", 0) - self._places):
            self._places += 1
            self.turns.release()
        waiting = self._waiting.get(message.get("id", 0))
        if waiting is not None and not waiting.done():
            waiting.set_result(message)
