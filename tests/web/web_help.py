"""An app on a loopback port, in the test's own loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from flowbot.web.server import WebServer, listening, url_of


@asynccontextmanager
async def on_port(app: Any, *, drain: int = 1) -> AsyncGenerator[tuple[str, WebServer]]:
    """Its address, and the server."""
    ready = asyncio.Event()
    listener = listening()
    server = WebServer(app, listener, drain=drain, ready=ready.set)
    url = url_of(listener)
    serving = asyncio.create_task(server.run_here())
    await asyncio.wait((serving, asyncio.ensure_future(ready.wait())), return_when=asyncio.FIRST_COMPLETED)
    try:
        yield url, server
    finally:
        server.stop()
        await serving
