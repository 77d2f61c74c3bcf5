"""Runs somebody else's blocking function off the event loop."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import Future
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
    done: Future[T] = Future()
    done.set_running_or_notify_cancel()  # what was begun cannot be taken back, whoever has ceased to wait
    context = contextvars.copy_context()

    def work() -> None:
        try:
            result = context.run(call)
        except BaseException as error:  # its sys.exit() is not ours
            done.set_exception(as_exception(error))
        else:
            done.set_result(result)

    waiting = asyncio.wrap_future(done)
    try:
        threading.Thread(target=work, daemon=True, name="flowbot-call").start()
    except RuntimeError as error:
        raise InfrastructureError(f"no thread to call a function in: {error}") from error
    return await asyncio.wait_for(waiting, seconds)
