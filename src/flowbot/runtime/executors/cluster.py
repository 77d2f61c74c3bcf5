"""The executor on a cluster of Ray or Dask: functions run on its machines, and all else, store, ledger and journal, stays here."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from typing import Any

from flowbot.fields import InfrastructureError, UserError

from .child import Child, Lost
from .job import Job, outcome_of
from .protocol import MOST_TOGETHER, TRACE_BYTES, Call, Outcome
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
    async def _turn(self, call: Call) -> AsyncGenerator[None]:
        async with (await self._opened()).turns[call.kind == "program"]:
            yield

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
        turns: for as many tools and metrics as may be on their way, and for as many programs as run side by side.
        failed: the cluster is lost; "" while it is not known to be.
    """

    end_seconds = 20.0
    most_bytes = 2 * TRACE_BYTES  # what a worker may send, and a little around it

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        super().__init__(process)
        self.turns = asyncio.Semaphore(0), asyncio.Semaphore(0)
        self.failed = self._at = ""
        self._places = [0, 0]

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
        bridge._at = address
        bridge.heard(bridge.hello)
        if bridge.why:
            await bridge.end(kill=True)
            raise InfrastructureError(f"{address} cannot be reached: {bridge.why}", kind="connection")
        return bridge

    async def run(self, job: Job) -> Outcome:
        """Run a job to its end.

        Raises:
            Unsendable, Lost, InfrastructureError: as `SendingExecutor.done`.
        """
        with self.numbered() as (number, answers):
            try:
                await self.send({"id": number, "job": job.dump()})
                reply = await self.answer(answers)
            except Lost as lost:
                reply = {"down": str(lost) if self.failed else f"the cluster is lost: what speaks with it {lost}"}
            except asyncio.CancelledError:
                self._input.write(f'{{"cancel": {number}}}\n'.encode())
                raise
        if "down" in reply:
            raise InfrastructureError(f"{self._at}: {reply['down']}", kind="connection")
        return outcome_of(reply)

    def heard(self, message: dict[str, Any]) -> None:
        """How many places there are, that the cluster is lost, or what came of a job."""
        self.why = self.failed = message.get("failed", self.failed)
        for kind, many in ((0, message.get("places", 0) * 2 * MOST_TOGETHER), (1, message.get("programs", 0))):
            for _ in range(many - self._places[kind]):
                self._places[kind] += 1
                self.turns[kind].release()
        super().heard(message)
