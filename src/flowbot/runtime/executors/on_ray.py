"""A Ray cluster: a job is a task of one processor, which Ray gives to a machine that has one free; of a program, of next to nothing."""

from __future__ import annotations

import asyncio
import os
from importlib import import_module
from typing import Any, get_args

from .protocol import Kind
from .sending import TRIES
from .shipping import Bundle
from .station import do

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
        self._tasks: dict[str, Any] = {}
        self._bundles: dict[str, Any] = {}

    async def open(self) -> None:
        """See `Cluster`."""
        await asyncio.to_thread(self._ray.init, address=self._address, log_to_driver=False, logging_level="ERROR")
        self._tasks = {
            kind: self._ray.remote(
                num_cpus=_PROGRAM if kind == "program" else 1 - self.programs * _PROGRAM, max_retries=0
            )(do)
            for kind in get_args(Kind)
        }

    async def places(self) -> int:
        """Its processors."""
        return int((await asyncio.to_thread(self._ray.cluster_resources)).get("CPU", 0))

    async def do(self, told: str, bundle: Bundle | None, kind: Kind) -> str:
        """See `Cluster`. The tries are counted here: Ray's own are endless where a machine has too little memory."""
        if bundle is not None and bundle.digest not in self._bundles:
            self._bundles[bundle.digest] = self._ray.put(bundle.data)
        tries = 0
        while True:
            asked = self._tasks[kind].remote(told, bundle and self._bundles[bundle.digest])
            try:
                return await asked
            except asyncio.CancelledError:
                self._ray.cancel(asked)
                raise
            except self._ray.exceptions.RayError as error:
                tries += 1
                if tries == TRIES or isinstance(error, self._ray.exceptions.RayTaskError):
                    raise
                await asyncio.sleep(tries / 2)  # Ray may not know yet that the machine is gone

    async def close(self) -> None:
        """See `Cluster`."""
        await asyncio.to_thread(self._ray.shutdown)
