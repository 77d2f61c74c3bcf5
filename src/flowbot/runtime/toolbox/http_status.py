"""What a remote MCP server's HTTP status means. The SDK does not tell it, so it is handed on inside the error."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from flowbot.fields import InfrastructureError

if TYPE_CHECKING:
    import httpx2
    from mcp import MCPError

    from flowbot.fields.errors import FaultKind

T = TypeVar("T")
TRIES = 4
"""Sendings in all to a server that is busy or down."""
FIRST_WAIT = 1.0
"""Seconds before the second try, where the server asks for no more; doubled each time."""
_FAULTS = {401, 402, 403, 404, 408, 429}
_log = logging.getLogger(__name__)


def status_client(headers: Mapping[str, str], *, connect: float, read: float) -> httpx2.AsyncClient:
    """An HTTP client for the SDK: an answer that is a fault of the server's becomes an error of the protocol with its status.

    Args:
        headers: sent with every request.
        connect: seconds that connecting may take.
        read: seconds between two pieces of an answer.
    """
    import httpx2

    class Client(httpx2.AsyncClient):
        async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
            response = await super().send(request, **options)
            status = response.status_code
            if request.method != "POST" or (status not in _FAULTS and status < 500):
                return response
            content = await response.aread()
            await response.aclose()
            if status == 404 and "mcp-session-id" not in request.headers and _is_protocol_error(content):
                return response  # how a server without sessions says that it has no such method
            told = json.dumps(_protocol_error(status, response.reason_phrase, response.headers))
            kind = {"content-type": "application/json"}
            return httpx2.Response(status, headers=kind, content=told, request=request)

    return Client(headers=dict(headers), timeout=httpx2.Timeout(connect, read=read))


def status_fault(error: MCPError, who: str) -> InfrastructureError | None:
    """The fault behind an error that `status_client` handed on; None for an error of the server's own."""
    from flowbot.lm.http_faults import classify

    data: Any = error.data
    match data:
        case {"flowbot_http_status": int(status), "flowbot_retry_after": wait}:
            kind, fatal = classify(status)
            return InfrastructureError(f"{who}: {error.message}", kind=kind, fatal=fatal, retry_after=wait)
        case _:
            return None


async def patiently(call: Callable[[], Awaitable[T]], *, again: frozenset[FaultKind]) -> T:
    """What `call` gives; made again a few times after a fault of these kinds, no sooner than the server asks for.

    Raises:
        InfrastructureError: the last fault.
    """
    from tenacity import retry_if_exception

    from flowbot.lm.retry import LONGEST_WAIT, RetryPolicy

    def helps(error: BaseException) -> bool:
        if not isinstance(error, InfrastructureError) or error.fatal:
            return False
        return error.kind in again and (error.retry_after or 0.0) <= LONGEST_WAIT

    def tell(tries: int, wait: float, error: BaseException) -> None:
        kind = error.kind if isinstance(error, InfrastructureError) else type(error).__name__
        said = {"event": "tool.retry", "try": tries, "kind": kind, "wait": wait}
        _log.info("%s; try %d of %d in %.1f s", error, tries + 1, TRIES, wait, extra=said)

    policy = RetryPolicy(tries=TRIES, base=FIRST_WAIT).retrying(0, asyncio.sleep, tell)
    return await policy.copy(retry=retry_if_exception(helps))(call)


def _is_protocol_error(content: bytes) -> bool:
    try:
        found: Any = json.loads(content)
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and "jsonrpc" in found and "error" in found


def _protocol_error(status: int, reason: str, headers: Any) -> dict[str, Any]:
    from flowbot.lm.http_faults import retry_after_seconds

    data = {"flowbot_http_status": status, "flowbot_retry_after": retry_after_seconds(headers)}
    # The code by which the SDK knows a server of an older protocol, or the one for all other faults.
    error = {"code": -32601 if status == 404 else -32603, "message": f"HTTP {status} {reason}".strip(), "data": data}
    return {"jsonrpc": "2.0", "id": None, "error": error}
