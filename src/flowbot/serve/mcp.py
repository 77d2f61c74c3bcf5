"""The workflow as the one tool of an MCP server, over HTTP (`/mcp`, no sessions) or standard input and output."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.types import CallToolRequestParams, CallToolResult, ListToolsResult, TextContent, Tool, ToolAnnotations

from flowbot.fields.field import fields_schema
from flowbot.web.gone import ClientGone, while_there

from .denial import Denial, denial_of

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from .service import Service


def mcp_server(service: Service) -> Server[Any]:
    """A server whose only tool is the workflow. A request that gets no result is a tool error, in the words of the command line."""
    face = service.face
    reads = all(each.effects == "reads" for each in service.engine.signatures.values())
    tool = Tool(
        name=face.name,
        description=face.about,
        input_schema=fields_schema(face.inputs),
        output_schema=fields_schema(face.outputs),
        annotations=ToolAnnotations(read_only_hint=reads),
    )

    async def listed(_: Any, __: Any) -> ListToolsResult:
        return ListToolsResult(tools=[tool])

    async def called(_: Any, asked: CallToolRequestParams) -> CallToolResult:
        try:
            if asked.name != face.name:
                raise Denial(404, f"tool: found {asked.name!r:.80}; expected {face.name!r}")
            served = await service.run(asked.arguments or {})
        except Exception as error:
            return CallToolResult(content=[TextContent(type="text", text=denial_of(error).message)], is_error=True)
        text = json.dumps(served.outputs, ensure_ascii=False)
        return CallToolResult(content=[TextContent(type="text", text=text)], structured_content=served.outputs)

    return Server(face.name, on_list_tools=listed, on_call_tool=called)


@asynccontextmanager
async def mcp_app(service: Service, most_bytes: int) -> AsyncGenerator[ASGIApp]:
    """What answers `POST /mcp`, behind a guard that has checked Host, Origin and size."""
    manager = StreamableHTTPSessionManager(
        mcp_server(service), json_response=True, stateless=True, max_request_body_size=most_bytes
    )

    async def answered(scope: Scope, receive: Receive, send: Send) -> None:
        whole = [await receive()]  # the guard gives a body in one piece

        async def again() -> Message:
            if not whole:
                await asyncio.Event().wait()  # that the client has gone is seen here, and ends this too
            return whole.pop()

        try:
            with while_there(receive):
                await manager.handle_request(scope, again, send)
        except ClientGone:
            pass

    async with manager.run():
        yield answered


async def serve_stdio(service: Service) -> None:
    """Serve on standard input and output until the input ends."""
    server = mcp_server(service)
    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())
