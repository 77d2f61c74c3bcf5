"""Who is let in at a port of the loopback address: programs that name a token, and no page in a browser."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Container

from aiohttp import web
from aiohttp.typedefs import Middleware

from .bodies import MOST_BYTES
from .faults import explain, told

HOST = "127.0.0.1"
_LAST_BYTES = 5.0
"""Seconds that a client has, at the end, to take the answer that is ready for it."""
_HEADER = 1_000_000
"""Bytes of a header: one says in which step, of how many around it, a call is made."""
_log = logging.getLogger(__name__)
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def guarded(tokens: Container[str], port: Callable[[], int], served: str, host: str = HOST) -> Middleware:
    """What gives each request an answer, whatever happens; nothing is said to whoever has no token.

    Args:
        tokens: that are taken, as the second part of the path.
        port: that is listened on.
        served: what there is, for whoever asks for something else.
        host: that is listened on.
    """

    @web.middleware
    async def guard(request: web.Request, handler: _Handler) -> web.StreamResponse:
        if request.headers.get("Host") not in (f"{host}:{port()}", f"localhost:{port()}"):
            return told(403, "not for that host", "bad_host")  # a page whose name was made to mean this machine
        if "Origin" in request.headers:
            return told(403, "not for pages in a browser", "bad_origin")
        # As it was sent: a quoted slash is part of it.
        if not any(token in tokens for token in request.rel_url.raw_parts[2:3]):
            return told(401, "unknown token", "invalid_api_key")
        try:
            return await handler(request)
        except web.HTTPException as error:
            return told(error.status, f"{error.reason}: {served}, and bodies of at most {MOST_BYTES:,} bytes", None)
        except asyncio.CancelledError as error:
            answer = explain(error)
            if answer is None or ((task := asyncio.current_task()) is not None and task.cancelling()):
                raise
            return answer
        except (ConnectionError, web.RequestPayloadError):
            return told(400, "the request broke off", None)
        except Exception as error:
            if (answer := explain(error)) is None:
                _log.exception("a request to the proxy failed")
                answer = told(500, "FlowBot's own fault; its log says more", "internal", kind="server_error")
            return answer

    return guard


async def silent_runner(app: web.Application) -> web.AppRunner:
    """What serves it, without a log: paths hold tokens. What is asked for by whoever hangs up is given up, unless it was sent."""
    silent = logging.Logger("silent", logging.CRITICAL + 1)
    runner = web.AppRunner(
        app,
        access_log=None,
        logger=silent,
        handler_cancellation=True,
        shutdown_timeout=_LAST_BYTES,
        max_field_size=_HEADER,
    )
    await runner.setup()
    return runner
