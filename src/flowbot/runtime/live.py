"""What a flow runs on: a workbench's event loop, or a private one in a thread of its own, and the engine on it."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, AsyncExitStack, nullcontext, suppress
from typing import Any

from flowbot.fields import InfrastructureError, ToolSignature, UserError
from flowbot.workflow.workflow import Workflow

from .engine import Engine
from .forking import keep_when_forked
from .trace import Trace
from .workbench import Workbench, turn


class Live:
    """What a flow runs on in this process; opened by the first call.

    A process that was forked has the parent's memory and none of its threads: it opens all anew at its own first call, and
    lets be, unseen, what it inherited. To close that would be to close it for the parent.

    Args:
        engine: opens the engine, and closes it with all that belongs to it.
        workbench: whose event loop it works on; a private one in a thread of its own when None.
    """

    def __init__(
        self, engine: Callable[[], AbstractAsyncContextManager[Engine]], workbench: Workbench | None = None
    ) -> None:
        self._open = engine
        self._bench = workbench
        self._by_process: dict[int, _Running] = {}
        keep_when_forked(self)

    def begin(self, workflow: Workflow, inputs: Mapping[str, Any]) -> Future[Trace]:
        """Start a run on the private loop, which the first call opens."""
        return self._here().begin(workflow, inputs)

    async def awaited(self, workflow: Workflow, inputs: Mapping[str, Any]) -> Trace:
        """As `begin`, to its end; on the workbench's own loop without a way through another thread."""
        here = self._here()
        if self._bench is not None and self._bench.loop is asyncio.get_running_loop():
            return await here.begun(workflow, inputs)
        return await asyncio.wrap_future(here.begin(workflow, inputs))

    def waited(self, workflow: Workflow, inputs: Mapping[str, Any]) -> Trace:
        """As `begin`, to its end.

        Raises:
            UserError: in the thread of the workbench's loop.
        """
        if self._bench is not None:
            self._bench.require_elsewhere()
        return self.begin(workflow, inputs).result()

    def signatures(self) -> dict[str, ToolSignature]:
        """What the engine's tools take and give; opens them.

        Raises:
            UserError: if one cannot be opened.
        """
        if self._bench is not None:
            self._bench.require_elsewhere()
        return self._here().signatures()

    def close(self) -> None:
        """End the loop and the engine. May be called twice."""
        here = self._by_process.get(os.getpid())
        if here is not None:
            here.close()

    def _here(self) -> _Running:
        own = os.getpid()
        return self._by_process.get(own) or self._by_process.setdefault(own, _Running(self._open, self._bench))


class _Running:
    """A thread with an event loop, and on it the engine; of one process."""

    def __init__(self, engine: Callable[[], AbstractAsyncContextManager[Engine]], workbench: Workbench | None) -> None:
        self._open = engine
        self._bench = workbench
        self._changing = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.current_thread()
        self._gate = asyncio.Lock()
        self._stack = AsyncExitStack()
        self._running: set[asyncio.Task[Any]] = set()
        self._engine: Engine | None = None
        self._ending: Future[None] | None = None

    def begin(self, workflow: Workflow, inputs: Mapping[str, Any]) -> Future[Trace]:
        with self._changing:
            loop = self._turning()
            return asyncio.run_coroutine_threadsafe(self._run(workflow, inputs), loop)

    def begun(self, workflow: Workflow, inputs: Mapping[str, Any]) -> asyncio.Task[Trace]:
        """On the loop that runs here, which is the workbench's."""
        with self._changing:
            return self._turning().create_task(self._run(workflow, inputs))

    def signatures(self) -> dict[str, ToolSignature]:
        with self._changing:
            loop = self._turning()
            opening = asyncio.run_coroutine_threadsafe(self._opened(), loop)
        return opening.result().signatures

    def close(self) -> None:
        with self._changing:
            loop, self._loop = self._loop, None
            if loop is None or loop.is_closed():
                return
            ended = self._ending = asyncio.run_coroutine_threadsafe(self._shut(loop), loop)
            # The garbage collector may call this from the loop's own thread, which cannot wait for itself.
            if self._bench is None and self._thread is not threading.current_thread():
                self._thread.join()
        if self._bench is not None:  # the lock is free: its loop must not wait for it to begin a call
            with suppress(UserError):  # its own thread goes on, and ends it
                self._bench.require_elsewhere()
                ended.result()

    def _turning(self) -> asyncio.AbstractEventLoop:
        """The workbench's loop, or the private one in its thread."""
        if self._bench is not None and self._loop is not self._bench.loop:  # opened, or opened again on another one
            self._loop, self._gate = self._bench.loop, asyncio.Lock()
        if self._loop is None:
            loop = asyncio.new_event_loop()
            thread = threading.Thread(target=turn, args=(loop,), name="flowbot-flow", daemon=True)
            try:
                thread.start()
            except RuntimeError as error:
                loop.close()
                raise InfrastructureError(f"no thread to run the flow in: {error}") from error
            self._gate = asyncio.Lock()
            self._loop, self._thread = loop, thread
        return self._loop

    async def _opened(self) -> Engine:
        async with self._gate:
            if self._engine is None:
                self._engine = await self._stack.enter_async_context(self._open())
                if self._bench is not None:
                    self._bench.guests.add(self._end)
            return self._engine

    async def _run(self, workflow: Workflow, inputs: Mapping[str, Any]) -> Trace:
        own = asyncio.current_task()
        assert own is not None
        if self._bench is not None and self._ending is not None and not self._ending.done():
            await asyncio.wait([asyncio.wrap_future(self._ending)])  # what was open is closed before it is opened again
        self._running.add(own)
        try:
            async with nullcontext() if self._bench is None else self._bench.working():
                engine = await self._opened()
                trace = await engine.run(workflow, inputs, purpose="run")
        except asyncio.CancelledError:
            if self._loop is asyncio.get_running_loop():  # not closed: whoever waited gave up, as at a time-out
                raise
            raise UserError(
                "flow", what="closed while a call was under way", mend="close it after the last call"
            ) from None
        finally:
            self._running.discard(own)
        return trace

    async def _shut(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            await self._end()
        finally:
            if self._bench is None:
                loop.stop()

    async def _end(self) -> None:
        self._engine = None
        if self._bench is not None:
            self._bench.guests.discard(self._end)
        stack, self._stack = self._stack, AsyncExitStack()  # what a later call opens is not closed here
        running = tuple(self._running)
        for each in running:
            each.cancel()  # whoever waits for it is told
        await asyncio.gather(*running, return_exceptions=True)
        await stack.aclose()
