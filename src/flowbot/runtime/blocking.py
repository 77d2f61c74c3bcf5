"""Async functions for code that is not async: in a script, in a notebook's cell, or inside any running event loop."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, wait
from dataclasses import dataclass
from functools import wraps
from typing import Any, ParamSpec, TypeVar, cast

from flowbot.fields import FlowBotError
from flowbot.fields.arguments import bound
from flowbot.lm.stop import StopSignal

from .workbench import Workbench

P = ParamSpec("P")
T = TypeVar("T")

WAIT_SECONDS = 0.5
INTERRUPTED = "interrupted; what was paid for is stored, and the same call goes on from there"


def blocking(call: Callable[P, Coroutine[Any, Any, T]], name: str) -> Callable[P, T]:
    """`call` as a function that waits for its result, with the same arguments, hints and documentation.

    The work runs on an event loop in a thread of its own (that of the argument `workbench`, where there is one), with the caller's context variables, so it does not matter
    whether a loop runs already. Ctrl-C, or a notebook's stop button, sets the argument `stop`: the calls in flight
    finish and are stored, then `KeyboardInterrupt` is raised. A second one does not wait for them.

    Args:
        call: an async function; one without an argument `stop: StopSignal | None` is cancelled instead.
        name: what the function is called.

    Raises:
        UserError: by the function, for an argument that there is none of, with the nearest name.
    """
    signature = inspect.signature(call)

    @wraps(call)
    def waiting(*args: P.args, **kwargs: P.kwargs) -> T:
        given = cast("dict[str, Any]", kwargs)
        bound(signature, name, args, given)
        stop: StopSignal = given.get("stop") or StopSignal()
        bench, loop = given.get("workbench"), None
        if isinstance(bench, Workbench):
            bench.require_elsewhere()
            loop = bench.loop
        if "stop" in signature.parameters:
            given["stop"] = stop
            work = call(*args, **kwargs)
        else:
            work = _until(stop, call(*args, **kwargs))
        if loop is not None:
            return _outcome(asyncio.run_coroutine_threadsafe(work, loop), stop)
        return _waited(work, stop)

    waiting.__name__ = waiting.__qualname__ = name
    return waiting


async def _until(stop: StopSignal, work: Coroutine[Any, Any, T]) -> T:
    """Do the work; it is cancelled as soon as somebody asks to stop."""
    cancelling = _Cancelling(asyncio.ensure_future(work), asyncio.get_running_loop())
    stop.listen(cancelling)
    return await cancelling.task


@dataclass(eq=False)
class _Cancelling:
    """Cancels a task of a loop when it is told of a wish to stop, from whatever thread."""

    task: asyncio.Future[Any]
    loop: asyncio.AbstractEventLoop

    def asked(self, reason: str) -> None:
        self.loop.call_soon_threadsafe(self.task.cancel)


def _waited(work: Coroutine[Any, Any, T], stop: StopSignal) -> T:
    """Run on a loop in a daemon thread, and wait: whoever leaves at once is not held back by it."""
    done: Future[T] = Future()
    context = contextvars.copy_context()

    def target() -> None:
        try:
            result = context.run(asyncio.run, work)
        except BaseException as error:  # handed to the caller, whatever it is
            done.set_exception(error)
        else:
            done.set_result(result)

    thread = threading.Thread(target=target, daemon=True, name="flowbot-blocking")
    return _outcome(done, stop, thread)


def _outcome(done: Future[T], stop: StopSignal, thread: threading.Thread | None = None) -> T:
    """Begin, and wait for it. Ctrl-C, which may come as soon as it has begun, asks it to stop, and waits for that; a second one
    leaves at once."""
    try:
        if thread is not None:
            thread.start()
        error = _ending(done)
    except KeyboardInterrupt:
        stop.set("interrupted")
        if thread is None or thread.ident is not None:  # it has begun
            _ending(done)  # the pause; a second Ctrl-C leaves from here
        raise KeyboardInterrupt(INTERRUPTED) from None
    if isinstance(error, FlowBotError):
        raise error.with_traceback(None)  # its text says all; where in the other thread it was raised says nothing
    return done.result()


def _ending(done: Future[T]) -> BaseException | None:
    """Wait for the end, and say what was raised. In short waits: a long one cannot be interrupted everywhere."""
    while not done.done():
        wait((done,), timeout=WAIT_SECONDS)
    return done.exception()
