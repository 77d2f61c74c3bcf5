"""`flowbot serve`: a workflow over HTTP, in the chat protocol, and as an MCP tool."""

from __future__ import annotations

import asyncio
import gc
import os
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from flowbot.fields import UserError
from flowbot.fields.secrets import SHORTEST, declare

from .console import Console
from .options import PORT, Calls, FlowFile, Output, StepsModel, whole
from .run import tools_of

if TYPE_CHECKING:
    import socket

    from flowbot.lm.stop import StopSignal
    from flowbot.serve.face import Face
    from flowbot.serve.service import Service
    from flowbot.task import Task
    from flowbot.workflow.workflow import Workflow

_COLLECTED_AFTER = 10_000
"""New objects after which the garbage collector looks at them; Python's own 700 are less than what a few requests at once hold."""


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Serving:
    """How it is served."""

    host: str = "127.0.0.1"
    """Name or address to listen on; where others can reach it, --api-key-env is needed."""
    port: Annotated[int, PORT] = 8000
    """0 takes one that is free."""
    api_key_env: str | None = None
    """Variable that holds the key that clients must show (Authorization: Bearer KEY)."""
    allow_host: Annotated[list[str] | None, Parameter(negative=(), show_default=False)] = None
    """A host name by which it may be asked, beside localhost and addresses, as behind a proxy; once for each."""
    served_name: str | None = None
    """What clients call the workflow; the file's or run's name otherwise."""
    max_in_flight: Annotated[int, Parameter(converter=whole)] = 64
    """Requests under way at most; more are told to come again (429)."""
    max_usd_per_day: float | None = None
    """US dollars a day (UTC), over restarts and all processes that serve under the same name."""
    max_body_mb: float = 4.0
    """Megabytes of a request."""
    timeout: float = 120.0
    """Seconds that a request may take."""
    record: Path | None = None
    """File (.jsonl) that inputs, outputs and feedback are added to, as rows for optimize."""
    mcp: Annotated[bool, Parameter(negative=(), show_default=False)] = False
    """Serve it as an MCP tool, too, at /mcp."""
    stdio: Annotated[bool, Parameter(negative=(), show_default=False)] = False
    """Serve it as an MCP tool on standard input and output, and nowhere else."""


def serve(
    flow: FlowFile,
    /,
    *,
    task: Annotated[Path | None, Parameter(name="--task")] = None,
    model: StepsModel = None,
    serving: Serving = Serving(),
    calls: Calls = Calls(),  # noqa: B008
    output: Output = Output(),  # noqa: B008
) -> int:
    """Serve a workflow: POST /run, OpenAI's chat completions, an MCP tool.

    Parameters
    ----------
    task
        The task file that defines the workflow's tools, and says what its fields mean.
    """
    from flowbot.run.folders import flow_file
    from flowbot.runtime.allowed_models import allowed_models, require_allowed_models
    from flowbot.task import Task
    from flowbot.web.extra import require_extra
    from flowbot.workflow.workflow import Workflow

    # Standard output is the protocol's.
    console = Console.open(replace(output, json=False, quiet=True) if serving.stdio else output)
    require_extra("flowbot serve", "serve", "starlette", "uvicorn", "prometheus_client")
    if serving.mcp or serving.stdio:
        require_extra("flowbot serve --mcp", "mcp", "mcp")
    from flowbot.serve.face import Face

    file = flow_file(flow)
    workflow = Workflow.load(file)
    own = allowed_models(model, models=calls.listed())
    require_allowed_models(own, workflow=workflow, where=str(file))
    loaded = None if task is None else Task.load(task)
    name = serving.served_name or (flow.name if flow != file else file.name.partition(".")[0])
    face = Face.of(workflow, name, loaded)
    _require_limits(serving)
    opened = _Opening(file, workflow, face, model, own, loaded, serving, calls, console)
    try:
        asyncio.run(opened.serve())
    except KeyboardInterrupt:
        if not serving.stdio:
            raise
        os._exit(
            0
        )  # all is closed but a thread that waits for input, and Python would wait for it as long as nobody writes
    return 0


def _require_limits(serving: Serving) -> None:
    from flowbot.fields.numbers import require_above_0

    for option in ("max_in_flight", "max_usd_per_day", "max_body_mb", "timeout"):
        require_above_0(getattr(serving, option), f"--{option.replace('_', '-')}")


def _key(serving: Serving) -> str | None:
    """The key that clients must show; declared, so that no text shows it."""

    if serving.api_key_env is None:
        if not serving.stdio and not _is_loopback(serving.host):
            where = f"--host {serving.host}"
            raise UserError(where, "an address that others can reach, and no key", "--api-key-env NAME beside it")
        return None
    key = os.environ.get(serving.api_key_env, "").strip()
    if len(key) < SHORTEST:
        where = f"--api-key-env {serving.api_key_env}"
        raise UserError(where, "no such variable, or a short one", f"one that holds at least {SHORTEST} characters")
    declare(key)
    return key


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class _Opening:
    """What is opened to serve a workflow, and closed behind it."""

    file: Path
    workflow: Workflow
    face: Face
    model: str | None
    own: frozenset[str]
    task: Task | None
    serving: Serving
    calls: Calls
    console: Console

    async def serve(self) -> None:
        """Open, serve until a signal, or the end of the input, and close."""
        from flowbot.lm.stop import StopSignal
        from flowbot.web.server import listening

        key = _key(self.serving)
        stop = StopSignal()
        async with AsyncExitStack() as stack:
            listener = None
            if not self.serving.stdio:
                listener = stack.enter_context(listening(self.serving.host, self.serving.port))
            service = await self._service(stack, stop)
            # Whoever leaves lets calls end that were sent; one that an endpoint never answers must not keep the process.
            stack.callback(stop.set)
            if self.calls.dry_run:
                self.console.json({"dry_run": True, "name": self.face.name})
                self.console.result(f"{self.face.name} can be served; nothing was called.")
            elif listener is None:
                from flowbot.serve.mcp import serve_stdio

                await serve_stdio(service)
            else:
                await self._over_http(stack, service, listener, key)

    async def _service(self, stack: AsyncExitStack, stop: StopSignal) -> Service:
        from flowbot.runtime.toolbox import opened_tools
        from flowbot.runtime.workbench import Workbench
        from flowbot.serve.record import Recording
        from flowbot.serve.service import Service
        from flowbot.serve.spending import FILE, Spending
        from flowbot.task.builtin_tools import signatures_of
        from flowbot.workflow.check import require_valid

        from .engine import require_model, require_price

        say = partial(self.console.say, style="soft")
        serving = self.serving
        record = None
        if serving.record is not None:
            record = Recording(serving.record, self.face)
            stack.callback(record.close)
        bench = await stack.enter_async_context(Workbench(**self.calls.settings(stop), stored=False))
        opening = opened_tools(
            tools_of(self.task), sandbox=bench.sandbox, cache_dir=bench.cache_dir, say=say, pinned=False
        )
        tools = await stack.enter_async_context(opening)
        signatures = signatures_of(tools.values())
        require_valid(self.workflow, where=str(self.file), tools=signatures, allow_writes=True)
        require_model(self.workflow, self.model)
        require_price(self.calls, self.model)
        session = bench.session(say=say, stored=False)
        spending = None
        if serving.max_usd_per_day is not None:
            place = bench.cache_dir / FILE
            spending = Spending(place, self.face.name, serving.max_usd_per_day, within=bench.budget)
            stack.callback(spending.close)
            spending.watch(session)
        programs = () if self.task is None else self.task.programs
        opening = bench.engine(self.model, session, tools=tools, models=self.own, say=say, live=True, programs=programs)
        engine = await stack.enter_async_context(opening)
        engine.open_models(self.workflow)
        return Service(
            self.workflow,
            engine,
            self.face,
            most=serving.max_in_flight,
            seconds=serving.timeout,
            spending=spending,
            record=record,
        )

    async def _over_http(
        self, stack: AsyncExitStack, service: Service, listener: socket.socket, key: str | None
    ) -> None:
        from flowbot.serve.app import app_of
        from flowbot.web.server import WebServer, url_of

        url, most = url_of(listener), int(self.serving.max_body_mb * 2**20)
        mcp = None
        if self.serving.mcp:
            from flowbot.serve.mcp import mcp_app

            mcp = await stack.enter_async_context(mcp_app(service, most))
        names = (self.serving.host, *(self.serving.allow_host or ()))
        app = app_of(service, key=key, names=names, most_bytes=most, mcp=mcp)

        def ready() -> None:
            face, console = self.face, self.console
            paths = {"run": "/run", "chat": "/v1", "schema": "/openapi.json", **({"mcp": "/mcp"} if mcp else {})}
            urls = {name: url + path for name, path in paths.items()}
            console.json({"name": face.name, "url": url, **urls})
            console.result(f"{face.name} is served at {url}")
            for name, each in urls.items():
                console.row(name, each)
            console.say("Ctrl-C ends it, when the requests under way are answered.", "soft")

        # What is open now stays so: the collector, which would walk it again and again, takes a sixth of the time of a request.
        gc.collect()
        gc.freeze()
        gc.set_threshold(_COLLECTED_AFTER)
        await WebServer(app, listener, ready=ready).run_here()
