"""The executor of this process: each call in a thread of its own, coroutine functions on the event loop."""

from __future__ import annotations

import asyncio
import time
from contextlib import AbstractAsyncContextManager, nullcontext
from functools import partial
from typing import Any

from flowbot.runtime.threads import in_thread

from .calling import awaited_result_of, is_async, result_of
from .protocol import Call, Outcome


class LoopExecutor:
    """Runs calls in daemon threads of this process, metrics one at a time.

    A thread cannot be killed: a call past its time limit is left to itself and goes on.
    """

    def __init__(self) -> None:
        self._metrics_turn = asyncio.Semaphore(1)
        self._metric = asyncio.Lock()

    def turn(self, call: Call) -> AbstractAsyncContextManager[None]:
        """One at a time for metrics; tools run side by side."""
        return self._metrics_turn if call.kind == "metric" else nullcontext()

    async def run(self, call: Call) -> Outcome:
        """Make one call; see `Executor`."""
        if call.kind == "metric":
            async with self._metric:
                return await _outcome(call)
        return await _outcome(call)

    async def close(self) -> None:
        """Nothing is left to end."""


async def _outcome(call: Call) -> Outcome:
    began = time.monotonic()
    try:
        value = await _value(call)
    except Exception as error:  # whatever somebody's function raises
        return Outcome(error=error, seconds=time.monotonic() - began)
    return Outcome(value, seconds=time.monotonic() - began)


async def _value(call: Call) -> Any:
    if is_async(call.function):
        return await asyncio.wait_for(awaited_result_of(call), call.seconds)
    return await in_thread(partial(result_of, call), seconds=call.seconds)
