"""What a flow runs on: a private event loop in a thread of its own, with an engine that keeps nothing on disk."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowbot.fields import InfrastructureError, UserError
from flowbot.store import Kind, Store, default_cache_dir

if TYPE_CHECKING:
    from flowbot.fields import ToolSignature
    from flowbot.lm import LM, Pace
    from flowbot.task import Tool, ToolSource
    from flowbot.workflow import Workflow

    from .engine import Engine
    from .trace import Trace


class Live:
    """A thread with an event loop, and on it what a flow needs. Opened by the first call.

    Args:
        engine: opens the engine, and closes it with all that belongs to it.
    """

    def __init__(self, engine: Callable[[], AbstractAsyncContextManager[Engine]]) -> None:
        self._open = engine
        self._changing = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.current_thread()
        self._gate = asyncio.Lock()
        self._stack = AsyncExitStack()
        self._running: set[asyncio.Task[Any]] = set()
        self._engine: Engine | None = None

    def begin(self, workflow: Workflow, inputs: Mapping[str, Any]) -> Future[Trace]:
        """Start a run on the private loop, which the first call opens."""
        with self._changing:
            return asyncio.run_coroutine_threadsafe(self._run(workflow, inputs), self._turning())

    def signatures(self) -> dict[str, ToolSignature]:
        """What the engine's tools take and give; opens them.

        Raises:
            UserError: if one cannot be opened.
        """
        with self._changing:
            opening = asyncio.run_coroutine_threadsafe(self._opened(), self._turning())
        return opening.result().signatures

    def close(self) -> None:
        """End the loop and the engine. May be called twice."""
        with self._changing:
            loop, self._loop = self._loop, None
            if loop is not None:
                asyncio.run_coroutine_threadsafe(self._shut(loop), loop)
                # The garbage collector may call this from the loop's own thread, which cannot wait for itself.
                if self._thread is not threading.current_thread():
                    self._thread.join()

    def _turning(self) -> asyncio.AbstractEventLoop:
        """The private loop, in its thread."""
        if self._loop is None:
            loop = asyncio.new_event_loop()
            thread = threading.Thread(target=_turn, args=(loop,), name="flowbot-flow", daemon=True)
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
            return self._engine

    async def _run(self, workflow: Workflow, inputs: Mapping[str, Any]) -> Trace:
        own = asyncio.current_task()
        assert own is not None
        self._running.add(own)
        try:
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
        engine.session.charged.clear()  # nothing is counted here, and nothing shall grow with every call
        return trace

    async def _shut(self, loop: asyncio.AbstractEventLoop) -> None:
        self._engine = None
        running = tuple(self._running)
        for each in running:
            each.cancel()  # whoever waits for it is told
        await asyncio.gather(*running, return_exceptions=True)
        try:
            await self._stack.aclose()
        finally:
            loop.stop()


def _turn(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
    finally:
        loop.close()


class _Forgetful(Store):
    """Remembers what an endpoint can do and no response: a workflow in use asks anew, and grows with no call."""

    async def put(self, key: str, value: dict[str, Any], *, kind: Kind = "lm", replace: bool = False) -> dict[str, Any]:
        return await super().put(key, value, kind=kind, replace=replace) if kind == "probe" else value


@asynccontextmanager
async def opened_engine(
    lm: str | None,
    tools: Sequence[Callable[..., Any] | Tool | ToolSource],
    *,
    models: Collection[str],
    pace: Pace | None,
    sandbox: str | None,
    cache_dir: Path | str | None,
    say: Callable[[str], None] | None,
) -> AsyncGenerator[Engine]:
    """An engine for a workflow in use, its tools opened; arguments as of `Flow`."""
    from flowbot.lm import Pace, Session, open_lm

    from .engine import Engine
    from .sandbox import ChosenSandbox
    from .toolbox import opened_tools

    cache = Path(cache_dir or default_cache_dir())
    session = Session(store=_Forgetful(None, None, None), pace=pace or Pace(), lasting=False)

    def opened(name: str) -> LM:
        return open_lm(name, session, cache_dir=cache, say=say)

    box = ChosenSandbox(sandbox)
    async with opened_tools(tools, sandbox=box, cache_dir=cache, say=say) as by_name:
        model = None if lm is None else opened(lm)
        engine = Engine(model, session, tools=by_name, sandbox=box, open_model=opened, models=models, live=True)
        try:
            yield engine
        finally:
            await engine.close()
            if engine.lm is not None:
                await engine.lm.close()
