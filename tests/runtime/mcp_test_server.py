"""A small MCP server for tests, over standard input and output or, with `--fd N`, over HTTP on a listening socket."""

from __future__ import annotations

import os
import sys
import time
from typing import Any, Literal

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import (
    BlobResourceContents,
    EmbeddedResource,
    ImageContent,
    ResourceLink,
    TextContent,
    TextResourceContents,
    ToolAnnotations,
)
from pydantic import BaseModel

server = MCPServer("shelf", version="1.2")
READS = ToolAnnotations(read_only_hint=True)


class Stock(BaseModel):
    count: int
    shelf: str | None = None


@server.tool(annotations=READS)
def add(a: int, b: int = 1) -> int:
    """Add two
    numbers."""
    return a + b


@server.tool(name="find-item", annotations=READS)
def find_item(name: str, kind: Literal["new", "old"], tags: list[str] | None = None) -> Stock:
    """Find an item."""
    if name == "none":
        raise ToolError("there is no such item")
    return Stock(count=len(tags or []), shelf=None)


@server.tool(annotations=READS, structured_output=False)
def show(text: str) -> list[Any]:
    """Show a text and a picture."""
    return [TextContent(type="text", text=text), ImageContent(type="image", data="", mime_type="image/png")]


@server.tool()
def refund(order: str) -> str:
    """Pay back."""
    return f"paid {order}"


@server.tool(annotations=READS)
def slow() -> str:
    """Take for ever."""
    time.sleep(600)
    return "done"


@server.tool(annotations=READS)
def huge() -> str:
    """Say much."""
    return "x" * 300_000


@server.tool(annotations=READS)
def die() -> str:
    """Break off."""
    os._exit(3)


@server.tool(annotations=READS)
def die_once(mark: str) -> str:
    """Break off, but not a second time."""
    if not os.path.exists(mark):
        open(mark, "x").close()
        os._exit(3)
    return "alive"


@server.tool()
def pay_and_die(ledger: str) -> str:
    """Pay, and break off before it can be said."""
    with open(ledger, "a") as file:
        file.write("paid\n")
    os._exit(3)


@server.tool()
def pay(ledger: str) -> str:
    """Pay."""
    with open(ledger, "a") as file:
        file.write("paid\n")
    return "paid"


@server.tool(annotations=READS)
def told(n: int | float, more: dict[str, Any]) -> str:
    """What numbers came."""
    return f"{n!r} {more}"


@server.tool(annotations=READS, structured_output=False)
def files() -> list[Any]:
    """Files, as texts and otherwise."""
    return [
        EmbeddedResource(type="resource", resource=TextResourceContents(uri="file:///a.txt", text="inside")),
        EmbeddedResource(type="resource", resource=BlobResourceContents(uri="file:///b.bin", blob="AAAA")),
        ResourceLink(type="resource_link", name="c", uri="file:///c"),
    ]


@server.tool(annotations=READS)
def gallery() -> dict[str, Any]:
    """Pictures as data."""
    return {"shown": [{"type": "image", "data": "A" * 100, "mimeType": "image/png"}], "n": 1}


@server.tool(annotations=READS)
def pid() -> int:
    """Which process this is."""
    return os.getpid()


@server.tool(annotations=READS)
def secret() -> str:
    """What it was told to keep."""
    return f"{os.environ.get('SHELF_KEY')} {os.environ.get('OTHER_KEY')}"


if __name__ == "__main__":
    if "--late" in sys.argv:  # until somebody says so
        with open(sys.argv[sys.argv.index("--late") + 1]) as turn:
            turn.read()
    if "--refuse" in sys.argv:
        sys.exit(f"the key {os.environ['SHELF_KEY']} is not valid")
    if "--fd" in sys.argv:
        import uvicorn

        app = server.streamable_http_app(json_response="--json" in sys.argv)
        uvicorn.run(app, fd=int(sys.argv[sys.argv.index("--fd") + 1]), log_level="critical")
    else:
        server.run()
