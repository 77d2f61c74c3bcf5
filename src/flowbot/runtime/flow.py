"""A workflow in use: `flow(question=...)` from plain code and notebooks, `await flow.acall(...)` from async code."""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowbot.fields import ModelError, UserError
from flowbot.store import Kind, Store
from flowbot.workflow import CodeNode, LLMParameters, Workflow, require_valid

from .sandbox import MontySandbox
from .trace import Trace

if TYPE_CHECKING:
    from flowbot.lm import LM
    from flowbot.task import Tool

    from .engine import Engine


class Flow:
    """A workflow with a model and tools, ready to be called.

    Calls run on a private event loop in a thread of its own, so that they may come from plain code, from inside another
    loop, and from several threads at once. Tools are called for real. Nothing is kept on disk.

    Args:
        workflow: the workflow.
        lm: model string of the steps that name no model; may be None when there is none.
        tools: plain callables or `Tool`s that the workflow names.
        concurrency: calls in flight at most; the endpoint's default when None.

    Raises:
        UserError: if the workflow is not valid, or a model, a tool or the sandbox is missing; says which.
    """

    def __init__(
        self,
        workflow: Workflow,
        *,
        lm: str | None = None,
        tools: Sequence[Callable[..., Any] | Tool] = (),
        concurrency: int | None = None,
    ) -> None:
        self.workflow = workflow
        self._tools = {tool.signature.name: tool for tool in map(_as_tool, tools)}
        require_valid(workflow, tools={name: tool.signature for name, tool in self._tools.items()})
        _require_parts(workflow, lm)
        self._live = _Live(partial(_build, lm, self._tools, concurrency))
        # Also at the end of the program, where nobody called `close`.
        self._finalizer = weakref.finalize(self, self._live.close)

    def __call__(self, **inputs: Any) -> dict[str, Any]:
        """The workflow's outputs by name.

        Raises:
            UserError: if an input is missing, unknown or of another type.
            ModelError: if a step failed so that an output is missing.
            InfrastructureError: if the endpoint fails.
        """
        return _outputs(self._begin(inputs).result())

    async def acall(self, **inputs: Any) -> dict[str, Any]:
        """As calling it, from async code."""
        return _outputs(await asyncio.wrap_future(self._begin(inputs)))

    def trace(self, **inputs: Any) -> Trace:
        """What every step received and gave; a failed step is told there and not raised."""
        return self._begin(inputs).result()

    async def atrace(self, **inputs: Any) -> Trace:
        """As `trace`, from async code."""
        return await asyncio.wrap_future(self._begin(inputs))

    def close(self) -> None:
        """End connections, workers and the thread. May be called twice; a later call opens them again."""
        self._live.close()

    def __enter__(self) -> Flow:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _begin(self, inputs: Mapping[str, Any]) -> Future[Trace]:
        return self._live.begin(self.workflow, inputs)


class _Live:
    """A thread with an event loop, and on it what a flow needs. Opened by the first call."""

    def __init__(self, build: Callable[[], Engine]) -> None:
        self._build = build
        self._changing = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.current_thread()
        self._engine: Engine | None = None

    def begin(self, workflow: Workflow, inputs: Mapping[str, Any]) -> Future[Trace]:
        with self._changing:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=_turn, args=(self._loop,), name="flowbot-flow", daemon=True)
                self._thread.start()
            return asyncio.run_coroutine_threadsafe(self._run(workflow, inputs), self._loop)

    def close(self) -> None:
        with self._changing:
            loop, self._loop = self._loop, None
            if loop is not None:
                asyncio.run_coroutine_threadsafe(self._shut(loop), loop)
                # The garbage collector may call this from the loop's own thread, which cannot wait for itself.
                if self._thread is not threading.current_thread():
                    self._thread.join()

    async def _run(self, workflow: Workflow, inputs: Mapping[str, Any]) -> Trace:
        if self._engine is None:
            self._engine = self._build()
        engine = self._engine
        trace = await engine.run(workflow, inputs, purpose="run")
        engine.session.charged.clear()  # nothing is counted here, and nothing shall grow with every call
        return trace

    async def _shut(self, loop: asyncio.AbstractEventLoop) -> None:
        engine, self._engine = self._engine, None
        try:
            if engine is not None:
                await engine.close()
                if engine.lm is not None:
                    await engine.lm.close()
        finally:
            loop.stop()


def _turn(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
    finally:
        loop.close()


def load(
    path: str | Path,
    *,
    lm: str | None = None,
    tools: Sequence[Callable[..., Any] | Tool] = (),
    concurrency: int | None = None,
) -> Flow:
    """A `Flow` from a workflow's file; see `Flow` for the arguments. Reading the file runs no code.

    Raises:
        UserError: if the file is not a valid workflow, or something that it needs is not given.
    """
    from flowbot.workflow import load as load_workflow

    return Flow(load_workflow(Path(path)), lm=lm, tools=tools, concurrency=concurrency)


def _as_tool(tool: Callable[..., Any] | Tool) -> Tool:
    from flowbot.task import Tool, tool_of

    return tool if isinstance(tool, Tool) else tool_of(tool)


def _require_parts(workflow: Workflow, lm: str | None) -> None:
    """Say now what the first call would miss."""
    nodes = workflow.sketch.nodes
    for name in nodes:
        parameters = workflow.parameter(name)
        if isinstance(parameters, LLMParameters) and parameters.model is None and lm is None:
            raise UserError(f"step {name}", "no model", 'lm="PROVIDER/NAME"')
    if any(isinstance(node, CodeNode) for node in nodes.values()):
        _ = MontySandbox().identity


def _outputs(trace: Trace) -> dict[str, Any]:
    if trace.outputs is None:
        raise ModelError(trace.error)
    return dict(trace.outputs)


class _Forgetful(Store):
    """Remembers what an endpoint can do and no response: a workflow in use asks anew, and grows with no call."""

    async def put(self, key: str, value: dict[str, Any], *, kind: Kind = "lm", replace: bool = False) -> dict[str, Any]:
        return await super().put(key, value, kind=kind, replace=replace) if kind == "probe" else value


def _build(lm: str | None, tools: Mapping[str, Tool], concurrency: int | None) -> Engine:
    from flowbot.lm import Session, open_lm

    from .engine import Engine

    session = Session(store=_Forgetful(None, None, None), max_concurrency=concurrency)

    def opened(name: str) -> LM:
        return open_lm(name, session, concurrency=concurrency)

    return Engine(None if lm is None else opened(lm), session, tools=tools, open_model=opened, live=True)
