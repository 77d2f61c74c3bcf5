"""A server on a socket of ours: it begins to listen before anything is opened, and ends in good order."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING

import uvicorn

from flowbot.fields import UserError
from flowbot.fields.errors import safe_text

if TYPE_CHECKING:
    from starlette.types import ASGIApp

LOOPBACK = "127.0.0.1"


def listening(host: str = LOOPBACK, port: int = 0) -> socket.socket:
    """A socket that listens.

    Args:
        host: name or address of this machine.
        port: 0: one that is free.

    Raises:
        UserError: if it is taken, or there is no such host or port.
    """
    if not 0 <= port <= 65535:
        raise UserError("--port", str(port), "0 to 65535; 0 takes one that is free")
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        created = socket.create_server((str(address[0]), port), family=family, backlog=2048)
        # With the protocol named asyncio sends small writes at once; without it, an answer's head and body on a connection that is kept wait
        # for each other's acknowledgement, 40 ms.
        return socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP, fileno=created.detach())
    except (OSError, UnicodeError) as error:
        number = error.errno if isinstance(error, OSError) else None
        reason = os.strerror(number) if number is not None and number > 0 else safe_text(str(error))
        raise UserError(f"--host {host} --port {port}", reason, "an address of this machine and a free port") from None


def url_of(listener: socket.socket) -> str:
    """The address of a socket that listens, as `http://127.0.0.1:8000`."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class WebServer(uvicorn.Server):
    """Serves an app until SIGINT or SIGTERM, or `stop`: then no new connection is taken, and requests under way are answered.

    A second signal ends it at once. Signals are its own while it runs in the main thread; `run_here` then returns, and raises nothing.
    Nothing is printed; what uvicorn says goes to the loggers `uvicorn.*`.

    Args:
        app: what is served; what it needs is open, as it is not asked at start and end.
        listener: see `listening`; closed at the end.
        drain: seconds that requests under way have at the end; then they are cancelled.
        ready: called once requests are taken.
    """

    def __init__(
        self, app: ASGIApp, listener: socket.socket, *, drain: int = 30, ready: Callable[[], None] | None = None
    ) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                lifespan="off",
                ws="none",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=drain,
            )
        )
        self._listener = listener
        self._ready = ready

    async def run_here(self) -> None:
        """Serve on this event loop, to the end."""
        await self.serve([self._listener])

    def stop(self) -> None:
        """End in good order, as at a first signal."""
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn calls it."""
        await super().startup(sockets)
        if self._ready is not None:
            self._ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """As uvicorn calls it at a signal, which it would send again once it has ended."""
        self.force_exit = self.should_exit
        self.should_exit = True
