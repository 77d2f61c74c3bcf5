"""Tools of Model Context Protocol servers, by the official SDK.

A server is started, or connected to, when the run begins, and closed with it. Failure policy: a server that cannot be
started is the user's error; a connection that fails is an infrastructure error, in mid-run too, and never a result; nor
is the HTTP status of a server elsewhere, or that it gives no answer in time. A program here that is late is asked whether it
is there: if it says so, its tool is slow, which is the step's. What a tool answers with, errors included, is the step's too,
and so is an answer that is too large or cannot be read. A server that is busy is asked again a few times; one that is down
too, for tools that only read. A connection that has ended is opened anew by the next call; what was asked when it ended is
asked again of a tool that only reads, and where the server says that it did nothing; else whether it was done is not known,
and that is said.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from flowbot.fields import Field, InfrastructureError, StepError, ToolSignature, UserError, stable_hash
from flowbot.fields.bounds import ABOUT, TOOL_BYTES, bounded, error_text
from flowbot.fields.errors import FaultKind
from flowbot.fields.secrets import hide_known
from flowbot.runtime.tools import SECONDS
from flowbot.task import MCPSource, Timed, Tool
from flowbot.task.identity import callable_identity, is_told_apart
from flowbot.task.signature import read_signature

from . import http_status
from .http_status import patiently, status_fault
from .schema import input_fields, output_fields, whole_numbers, without_pictures
from .server import Connection, Server
from .stdio import TOO_LARGE

if TYPE_CHECKING:
    import mcp
    from mcp.types import CallToolResult


_PING_SECONDS = 5.0
_EVENT_TOO_LARGE = "SSE stream failed: Server-sent event exceeded"
_BROKEN = (
    # What the SDK says when the connection, and not the server's tool, is what failed. Its codes do not tell: servers
    # use the same numbers for errors of their own.
    "Connection closed",
    "Server returned an error response",
    "Session terminated",
    "SSE stream ended without a response",
    "SSE stream failed",
)


@asynccontextmanager
async def opened_server(source: MCPSource, *, pinned: bool = True) -> AsyncGenerator[list[Tool]]:
    """The tools that a source declares, while its server runs.

    Args:
        source: what is declared.
        pinned: see `Connection`.

    Raises:
        UserError: if the SDK is not installed, the server cannot be started or does not offer a declared tool.
        InfrastructureError: if a server elsewhere cannot be reached.
    """
    try:
        import mcp
    except ImportError:
        raise UserError(source.where, "no MCP SDK", mend="install it: pip install 'flowbot[mcp]'") from None
    del mcp
    connection = Connection(source, pinned=pinned)
    try:
        server = await connection.server()
        yield [_tool(source, connection, server, offered, own) for offered, own in source.only.items()]
    finally:
        await connection.close()


def _tool(source: MCPSource, connection: Connection, server: Server, offered: str, own: str) -> Tool:
    known = server.tools.get(offered)
    if known is None:
        names = ", ".join(sorted(server.tools)) or "no tools"
        raise UserError(f"{source.where}.only", repr(offered), f"what the server offers: {names}")
    try:
        _check_size(known)
        inputs, optional = input_fields(hide_known(known.input_schema))
        outputs, taken = output_fields(hide_known(known.output_schema))
    except ValueError as error:
        raise UserError(f"{source.where}.only: tool {offered}", str(error), "a tool with named inputs") from None
    except (TypeError, AttributeError, RecursionError):
        found, expected = "a schema that cannot be read", "JSON schemas of its inputs and outputs"
        raise UserError(f"{source.where}.only: tool {offered}", found, expected) from None
    hinted = known.annotations is not None and known.annotations.read_only_hint is True
    signature = ToolSignature(
        own,
        bounded(hide_known(" ".join((known.description or known.title or "").split())), ABOUT),
        tuple(inputs.values()),
        outputs,
        effects=source.effects or ("reads" if hinted else "writes"),
        optional=optional,
        simulated=offered in source.simulate,
    )
    # Whether a call that failed was made after all is not known.
    again: frozenset[FaultKind] = frozenset(
        {"rate_limit"} if signature.effects == "writes" else {"rate_limit", "server"}
    )
    theirs = {field.name: name for name, field in inputs.items()}

    async def call(**arguments: Any) -> Timed:
        sent = {theirs[name]: whole_numbers(value) for name, value in arguments.items()}
        result, seconds = await answered(sent)
        return Timed(shaped(result), seconds)

    async def answered(sent: Mapping[str, Any]) -> tuple[CallToolResult, float]:
        for last in (False, True):
            now = await connection.server()
            if (there := now.tools.get(offered)) is None or _schema_hash(there) != _schema_hash(known):
                now.lost = True
                raise UserError(
                    f"{source.where}.only: tool {offered}", "another tool than before", "the one that was there"
                )
            try:
                asked = partial(_bounded_answer, now, offered, sent, here=not source.url)
                return await patiently(asked, again=again)
            except InfrastructureError as error:
                # A program that says nothing for so long, not even that it is there, is started anew by the next call.
                now.lost = now.lost or error.kind == "connection" or (error.kind == "timeout" and not source.url)
                if error.kind != "connection":
                    raise
                undone = isinstance(error, _Undone)
                if signature.effects == "writes" and not undone:
                    message = f"{error}; whether {own} was carried out is not known, so it is not called again"
                    raise InfrastructureError(message, kind=error.kind, fatal=True) from error
                if last and undone:  # a server that has just been initialised, and does not know it
                    raise InfrastructureError(str(error), kind="not_found", fatal=True) from error
                if last:
                    raise
        raise AssertionError

    def shaped(result: CallToolResult) -> dict[str, Any]:
        match taken:
            case "members":
                return without_pictures(result.structured_content)
            case "whole":
                return {"result": without_pictures(result.structured_content)}
            case "text":
                return {"result": _text(result)}

    identity = f"mcp {server.identity} {offered} {_schema_hash(known)}"
    simulate, kept = None, True
    if offered in source.simulate:
        simulate, stood_in = _stand_in(source, signature, offered)
        kept = is_told_apart(simulate)
        identity += f" simulated by {stood_in}"
    return Tool(signature, call, simulate, identity, plain=False, kept=kept, timed=True)


class _Undone(InfrastructureError):
    """A connection that failed before the server took the call."""


def _check_size(tool: mcp.Tool) -> None:
    size = len(json.dumps([tool.input_schema, tool.output_schema]))
    if size > TOOL_BYTES:
        raise ValueError(f"schemas of {size:,} bytes, larger than {TOOL_BYTES:,}")


async def _bounded_answer(
    server: Server, name: str, arguments: Mapping[str, Any], *, here: bool
) -> tuple[CallToolResult, float]:
    """As `_answer`, in bounded time, and the seconds it took; `here`: the server is a program of this machine."""
    began = time.monotonic()
    server.calls += 1
    try:
        return await asyncio.wait_for(_answer(server, name, arguments), SECONDS), time.monotonic() - began
    except TimeoutError:
        if here and await _is_there(server):
            raise StepError(f"took longer than {SECONDS:g} s") from None
        raise InfrastructureError(f"MCP server {server.name}: no answer within {SECONDS:g} s", kind="timeout") from None
    finally:
        server.calls -= 1


async def _is_there(server: Server) -> bool:
    """Whether the server says anything."""
    from mcp import MCPError

    try:
        await asyncio.wait_for(server.client.session.send_ping(), _PING_SECONDS)
    except MCPError:
        return not server.lost  # it knows no such question, and says so
    except Exception:  # whatever the SDK makes of it, it is no sign of life
        return False
    return True


async def _answer(server: Server, name: str, arguments: Mapping[str, Any]) -> CallToolResult:
    """What the server's tool gives.

    Raises:
        StepError: if it gives an error.
        InfrastructureError: if the connection failed.
    """
    from mcp import MCPError

    try:
        result = await server.client.call_tool(name, dict(arguments))
    except MCPError as error:
        match error.data:
            case {http_status.SESSION_GONE: True}:
                raise _Undone(f"MCP server {server.name}: {error.message}", kind="connection") from error
            case _:
                pass
        if (fault := status_fault(error, f"MCP server {server.name}")) is not None:
            raise fault from error
        if error.message.startswith(_EVENT_TOO_LARGE):
            raise StepError(TOO_LARGE) from None
        if server.lost or error.message.startswith(_BROKEN):
            why = server.fault or error.message
            raise InfrastructureError(f"MCP server {server.name}: {why}", kind="connection") from error
        raise StepError(error.message) from None
    except Exception as error:
        if server.lost:
            raise InfrastructureError(
                f"MCP server {server.name}: the connection is closed", kind="connection"
            ) from error
        # The SDK checks results by the tool's own schema, and says so with this class.
        if isinstance(error, RuntimeError | ValueError):
            raise StepError(error_text(error).splitlines()[0]) from None
        raise
    if result.is_error:
        raise StepError(_text(result) or "an error without a word")
    return result


def _text(result: CallToolResult) -> str:
    """The content of a result as text; what is no text is named."""
    from mcp import types

    parts: list[str] = []
    for each in result.content:
        match each:
            case types.TextContent():
                parts.append(each.text)
            case types.EmbeddedResource(resource=types.TextResourceContents(text=text, uri=uri)):
                parts.append(f"[{uri}]\n{text}")
            case types.EmbeddedResource(resource=types.BlobResourceContents(uri=uri)):
                parts.append(f"[{uri}]")
            case types.ResourceLink():
                parts.append(f"[{each.name}: {each.uri}]")
            case _:
                parts.append(f"[{each.type}]")
    if not parts and result.structured_content is not None:
        return json.dumps(without_pictures(result.structured_content), ensure_ascii=False)
    return "\n".join(parts)


def _stand_in(source: MCPSource, signature: ToolSignature, offered: str) -> tuple[Any, str]:
    """What is called in the tool's place, giving outputs by name, and its identity."""
    where = f"{source.where}.simulate.{offered}"
    function = source.simulate[offered]
    shape, _ = read_signature(function, where)
    if _names(shape.inputs) != _names(signature.inputs) or _names(shape.outputs) != _names(signature.outputs):
        wanted = ", ".join(f"{field.name}: {field.type}" for field in signature.inputs)
        given = ", ".join(f"{field.name}: {field.type}" for field in signature.outputs)
        raise UserError(where, "other parameters or results", f"those of the tool: ({wanted}) -> {given}")
    return function, callable_identity(function)


def _names(fields: tuple[Field, ...]) -> set[str]:
    return {field.name for field in fields}


def _schema_hash(tool: mcp.Tool) -> str:
    return stable_hash([tool.description, tool.input_schema, tool.output_schema])[:16]
