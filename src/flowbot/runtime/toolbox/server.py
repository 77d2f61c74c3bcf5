"""A connection to one MCP server: started, watched and closed by a task of its own."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import shutil
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

from flowbot.fields import InfrastructureError, UserError, stable_hash
from flowbot.fields.bounds import MESSAGE_BYTES, NAME, bounded, raised
from flowbot.fields.errors import FaultKind
from flowbot.fields.files import sha256
from flowbot.fields.secrets import declare_headers, declare_passed, declare_url, hide_known, public_url
from flowbot.task import MCPSource

from .http_status import patiently, status_client, status_fault
from .stdio import Ending, stdio_transport

if TYPE_CHECKING:
    import mcp
    from mcp.client import Transport


CLOSE_SECONDS = 5.0
"""Time that a server elsewhere may take to answer that its session ends."""
_MOST_PAGES = 100
_MOST_TOOLS = 1000
_log = logging.getLogger(__name__)
_REFERENCE = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*)")


@dataclass
class Server:
    """An open connection.

    Args:
        client: the SDK's client.
        tools: what the server offers, by name.
        name: what the server calls itself.
        label: its name and version.
        identity: these, and how it is declared; holds no secret.
        lost: the connection has ended, or is not to be used any more.
        calls: how many are under way.
        fault: what the server sent that ended it; "" where it was nothing of that kind.
    """

    client: mcp.Client
    tools: Mapping[str, mcp.Tool]
    name: str
    label: str
    identity: str
    lost: bool = False
    calls: int = 0
    fault: str = ""


class Connection:
    """The connection to the server of a source: opened, and opened anew where it has ended.

    Args:
        source: what is declared.
        pinned: the server that answers later must be the one that answered first, by its name and version: what it gave is
            stored under these.
    """

    def __init__(self, source: MCPSource, *, pinned: bool) -> None:
        self._source = source
        self._pinned = pinned
        self._server: Server | None = None
        self._opened: list[tuple[Server, Callable[[], Awaitable[None]]]] = []
        self._turn = asyncio.Lock()
        self._identity = ""
        self._closed = False

    async def server(self) -> Server:
        """The server, connected.

        Raises:
            UserError: the first time, if a program or variable that is named does not exist, or the program does not speak
                the protocol; later, if another server answers than before.
            InfrastructureError: if a server elsewhere cannot be reached, or a program not be started again.
        """
        async with self._turn:
            if self._closed:
                raise InfrastructureError(f"MCP server {_place(self._source)}: closed while a call was under way")
            if self._server is None or self._server.lost:
                self._server = await self._connected(first=not self._identity)
            return self._server

    async def close(self) -> None:
        """End the connection, and a server that was started, with its children. May be called twice."""
        async with self._turn:
            self._closed = True
            await self._left(busy=True)

    async def _connected(self, *, first: bool) -> Server:
        again: set[FaultKind] = {"rate_limit", "server"}
        if not first:
            # What one call takes for the end of a session elsewhere may not be the end of another's; a program is one for all.
            await self._left(busy=not self._source.url)
            _log.info("MCP server %s: connected anew", _place(self._source), extra={"event": "tool.reconnect"})
            again.add("connection")
        try:
            opened = partial(_opened, self._source)
            found = await (patiently(opened, again=frozenset(again)) if self._source.url else opened())
        except UserError as error:
            if first:
                raise
            raise InfrastructureError(str(error), kind="connection") from error  # it started before
        self._opened.append(found)
        server = found[0]
        self._identity = self._identity or server.identity
        if self._pinned and server.identity != self._identity:
            server.lost = True
            raise UserError(
                self._source.where, f"another server than before ({server.label})", "the one that the run began with"
            )
        return server

    async def _left(self, *, busy: bool) -> None:
        """Close what was opened; `busy`: also where calls are under way."""
        for each in tuple(self._opened):
            if busy or not each[0].calls:
                self._opened.remove(each)
                await each[1]()


async def _opened(source: MCPSource) -> tuple[Server, Callable[[], Awaitable[None]]]:
    """A connection, and what closes it."""
    opening: asyncio.Future[Server] = asyncio.get_running_loop().create_future()
    opening.add_done_callback(lambda done: done.cancelled() or done.exception())
    leave = asyncio.Event()
    ending = Ending()
    # The SDK's task groups are left by the task that entered them, so the connection has one to itself.
    owner = asyncio.create_task(_own(source, ending, opening, leave), name="flowbot-mcp")

    async def close() -> None:
        leave.set()
        if not opening.done():
            owner.cancel()
        # A program is ended in a time that the SDK bounds; a server elsewhere need not answer the farewell.
        await asyncio.wait([owner], timeout=CLOSE_SECONDS if source.url else None)
        if not owner.done():
            owner.cancel()
            await asyncio.wait([owner])

    try:
        return await asyncio.wait_for(asyncio.shield(opening), source.seconds), close
    except BaseException as error:
        await close()
        if isinstance(error, UserError | InfrastructureError) or not isinstance(error, Exception):
            raise
        raise _refused(source, error, ending) from error


async def _own(source: MCPSource, ending: Ending, opening: asyncio.Future[Server], leave: asyncio.Event) -> None:
    """Hold the connection open until `leave` is set or it breaks."""
    import mcp

    server: Server | None = None

    def broke() -> None:
        if server is not None:
            server.lost, server.fault = True, ending.fault

    try:
        async with AsyncExitStack() as stack:
            transport = await _transport(source, stack, ending, broke)
            client = await stack.enter_async_context(mcp.Client(transport, cache=None))
            server = await _introduced(source, client)
            opening.set_result(server)
            await leave.wait()
    except Exception as error:  # a broken connection; calls find it out by `lost`
        if not opening.done():
            opening.set_exception(_first(error))
    finally:
        if server is not None:
            server.lost = True


async def _transport(source: MCPSource, stack: AsyncExitStack, ending: Ending, broke: Callable[[], None]) -> Transport:
    if source.url:
        from mcp.client.streamable_http import streamable_http_client

        headers = {name: _filled(text, f"{source.where}.mcp.headers.{name}") for name, text in source.headers.items()}
        declare_url(source.url)
        declare_headers(headers)
        client = await stack.enter_async_context(status_client(headers, connect=source.seconds, read=300))
        return streamable_http_client(source.url, http_client=client, max_sse_event_size=MESSAGE_BYTES)
    from mcp.client.stdio import get_default_environment

    passed = {name: _filled(f"${name}", f"{source.where}.mcp.env") for name in source.env}
    command = [_program(source), *source.command[1:]]
    return stdio_transport(command, {**get_default_environment(), **passed}, Path(source.folder), ending, broke)


async def _introduced(source: MCPSource, client: mcp.Client) -> Server:
    """What the server offers and what it is."""
    tools: dict[str, mcp.Tool] = {}
    cursor: str | None = None
    for _ in range(_MOST_PAGES):
        page = await client.list_tools(cursor=cursor)
        tools.update({tool.name: tool for tool in page.tools})
        cursor = page.next_cursor
        if cursor is None or len(tools) > _MOST_TOOLS:
            break
    info = client.server_info
    name: str = bounded(hide_known(info.name), NAME) if info else _place(source)
    label = f"{name} {bounded(info.version, NAME) if info else ''}"
    return Server(client, tools, name, label, f"{label} {_declared(source)}")


def _declared(source: MCPSource) -> str:
    """A hash of how the server is declared, and of the files beside the task that its command names."""
    files = {
        part: sha256(Path(source.folder, part))
        for part in source.command
        if not Path(part).is_absolute() and Path(source.folder, part).is_file()
    }
    told = [source.command, files, source.url, dict(source.headers), source.env]
    return stable_hash(told)[:16]


def _program(source: MCPSource) -> str:
    """The program's path: on the search path, beside this Python (an environment that is not activated), or in the folder."""
    name = source.command[0]
    beside = str(Path(sys.executable).parent)
    found = (
        shutil.which(name) or shutil.which(name, path=beside) or shutil.which(str(Path(source.folder, name).absolute()))
    )
    if found is None:
        raise UserError(f"{source.where}.mcp.command", f"no program {name!r}", "one that is installed")
    return found


def _filled(text: str, where: str) -> str:
    """The text with each `$NAME` replaced by that environment variable."""
    for name in _REFERENCE.findall(text):
        if name not in os.environ:
            raise UserError(where, f"no environment variable {name}", mend="set it to what the server needs")
        declare_passed({name: os.environ[name]})
    return _REFERENCE.sub(lambda match: os.environ[match[1]], text)


def _refused(source: MCPSource, error: Exception, ending: Ending) -> UserError | InfrastructureError:
    """Why a server could not be had."""
    late = isinstance(error, TimeoutError)
    why = f"no answer within {source.seconds:g} s; `seconds:` allows more" if late else raised(error).splitlines()[0]
    if source.url:
        from mcp import MCPError

        who = f"{source.where}: MCP server {_place(source)}"
        told = status_fault(error, who) if isinstance(error, MCPError) else None
        fault = told or InfrastructureError(f"{who}: {why}", kind="timeout" if late else "connection")
        if urlsplit(source.url).path.rstrip("/").endswith("/sse") or "HTTP 405" in str(fault):
            hint = "the old SSE transport is not spoken; streamable HTTP often answers at /mcp"
            return InfrastructureError(f"{fault}; {hint}", kind=fault.kind, fatal=True)
        return fault
    return UserError(
        f"{source.where}.mcp.command",
        f"{source.command[0]}, which did not start as an MCP server ({ending.fault or ending.last_line() or why})",
        "a program that speaks MCP on its standard input and output",
    )


def _place(source: MCPSource) -> str:
    """The server's address or program, without what may be secret in it."""
    if not source.url:
        return Path(source.command[0]).name
    return public_url(source.url).partition("?")[0]


def _first(error: BaseException) -> Exception:
    """The first error of a group, which is how the SDK raises what its tasks raise."""
    while isinstance(error, BaseExceptionGroup):
        error = cast("BaseExceptionGroup[BaseException]", error).exceptions[0]
    return error if isinstance(error, Exception) else RuntimeError(repr(error))
