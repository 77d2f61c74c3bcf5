"""The executor of this process: each call in a thread of its own, coroutine functions on the event loop."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from functools import partial
from typing import Any

from flowbot.fields import FlowBotError
from flowbot.fields.bounds import error_text
from flowbot.runtime.jsonlike import to_json
from flowbot.runtime.threads import in_thread
from flowbot.task import Metric

from .protocol import Call, FunctionError, Outcome


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

    async def ready(self) -> None:
        """This process is there."""

    async def run(self, call: Call) -> Outcome:
        """Make one call; see `Executor`."""
        async with self._metric if call.kind == "metric" else nullcontext():
            began = time.monotonic()
            try:
                if is_async(call.function):
                    value = await asyncio.wait_for(_awaited(call), call.seconds)
                else:
                    value = await in_thread(partial(result_of, call), seconds=call.seconds)
            except Exception as error:  # whatever somebody's function raises
                return Outcome(error=error, seconds=time.monotonic() - began)
            return Outcome(value, seconds=time.monotonic() - began)

    async def close(self) -> None:
        """Nothing is left to end."""


def result_of(call: Call) -> Any:
    """Make the call, here and now, and give its result as JSON data: the same code wherever it runs.

    Raises:
        StepError: if a tool returns what JSON cannot hold.
        MetricError: if a metric raises, or returns what is no score.
        FunctionError: if a tool raises.
        BaseException: what else the function raises.
    """
    if call.kind == "tool":
        try:
            return to_json(call.function(**call.arguments))
        except Exception as error:
            raise _told(error) from error
    score = Metric(call.name, pure=False, identity="", call=call.function)(**call.arguments)
    parts = {name: float(part) for name, part in score.parts.items()}
    return {"value": float(score.value), "feedback": score.feedback, "parts": parts}


def is_async(function: Callable[..., Any]) -> bool:
    """Whether calling it gives a coroutine."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)


async def _awaited(call: Call) -> Any:
    """As `result_of`, of a tool that is a coroutine function."""
    try:
        return to_json(await call.function(**call.arguments))
    except Exception as error:
        raise _told(error) from error


def _told(error: Exception) -> Exception:
    """What a tool raised, as the one error that is the same wherever it ran."""
    return error if isinstance(error, FlowBotError) else FunctionError(type(error).__name__, error_text(error))
