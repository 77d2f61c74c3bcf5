"""Runs somebody else's blocking function off the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import Callable
from typing import TypeVar

from flowbot.fields import InfrastructureError
from flowbot.fields.bounds import raised

T = TypeVar("T")


def as_exception(error: BaseException) -> Exception:
    """What somebody's function raised, as what may be raised to those who asked for it.

    What would end the program (`SystemExit`) or cannot be held by a future (`StopIteration`) becomes a `RuntimeError`
    that names it.
    """
    if isinstance(error, Exception) and not isinstance(error, StopIteration):
        return error
    return RuntimeError(raised(error))


async def in_thread(call: Callable[[], T], *, seconds: float | None = None) -> T:
    """What `call()` returns, run in a thread of its own.

    The thread is a daemon, unlike those of the loop's executor: a function that never returns keeps neither the others
    waiting nor the program from ending.

    Args:
        call: the blocking function.
        seconds: how long to wait for it; None for ever. After that the thread is left to itself.

    Raises:
        TimeoutError: when `seconds` have passed.
        InfrastructureError: if the system gives no thread.
        Exception: what `call` raises.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()
    context = contextvars.copy_context()

    def settle(result: T | None, error: Exception | None) -> None:
        if done.done():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)  # pyright: ignore[reportArgumentType] - with no error it is a T

    def work() -> None:
        result: T | None = None
        fault: Exception | None = None
        try:
            result = context.run(call)
        except BaseException as error:  # its sys.exit() is not ours
            fault = as_exception(error)
        with contextlib.suppress(RuntimeError):  # the loop ended while the function was still running
            loop.call_soon_threadsafe(settle, result, fault)

    try:
        threading.Thread(target=work, daemon=True, name="flowbot-call").start()
    except RuntimeError as error:
        raise InfrastructureError(f"no thread to call a function in: {error}") from error
    return await asyncio.wait_for(done, seconds)
