"""What a remote MCP server answers over HTTP, read with bounds, and what its status means.

The SDK reads what comes to its end and does not tell the status; both are seen to here, and handed on inside an error.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from flowbot.fields import InfrastructureError
from flowbot.fields.bounds import MESSAGE_BYTES
from flowbot.fields.errors import FaultKind

from .stdio import MOST_MARKS, TOO_LARGE, marks

if TYPE_CHECKING:
    import httpx2
    from mcp import MCPError


T = TypeVar("T")
SESSION_GONE = "flowbot_session_gone"
"""In the data of an error: the server knows no session of that number, as after its restart, and did nothing."""
TRIES = 4
"""Sendings in all to a server that is busy or down."""
FIRST_WAIT = 1.0
"""Seconds before the second try, where the server asks for no more; doubled each time."""
_FAULTS = {401, 402, 403, 404, 405, 408, 429}
_MOST_STREAMED = 16 * MESSAGE_BYTES
"""Bytes of one stream of events; the SDK bounds each event."""
_PIECE = 1 << 16
_JSON = {"content-type": "application/json"}
_CODED = {"content-encoding", "content-length", "transfer-encoding"}
"""Headers of a body as it was sent, and not as it was read."""
_PLAIN = {"", "identity"}
"""Codings of a body that is read: no other is asked for, and a few bytes may unpack to any size at once."""
_log = logging.getLogger(__name__)


def status_client(headers: Mapping[str, str], *, connect: float, read: float) -> httpx2.AsyncClient:
    """An HTTP client for the SDK: an answer that is a fault of the server's becomes an error of the protocol with its status,
    and one that is too large, or packed, an error that says so.

    Args:
        headers: sent with every request.
        connect: seconds that connecting may take.
        read: seconds between two pieces of an answer.
    """
    import httpx2

    class Bounded(httpx2.AsyncByteStream):
        def __init__(self, stream: Any) -> None:
            self._stream = stream

        async def __aiter__(self) -> AsyncGenerator[bytes]:
            size = seen = 0
            async for piece in self._stream:
                size += len(piece)
                _, ended, rest = piece.rpartition(b"\n\n")  # of the event before, and of the next
                seen = marks(rest) if ended else seen + marks(piece)
                if size > _MOST_STREAMED or seen > MOST_MARKS:
                    raise httpx2.ReadError("events without end")
                yield piece

        async def aclose(self) -> None:
            await self._stream.aclose()

    class Client(httpx2.AsyncClient):
        async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
            response = await super().send(request, **options)
            status = response.status_code
            fault = request.method == "POST" and (status in _FAULTS or status >= 500)
            packed = response.headers.get("content-encoding", "").strip().lower() not in _PLAIN
            events = response.headers.get("content-type", "").lower().startswith("text/event-stream")
            if events and not fault and not packed:
                response.stream = Bounded(response.stream)
                return response
            content = bytearray()
            if not packed:
                async for piece in response.aiter_bytes(_PIECE):
                    content += piece
                    if len(content) > MESSAGE_BYTES:
                        break
            await response.aclose()

            def told(error: dict[str, Any], status: int = 200) -> httpx2.Response:
                return httpx2.Response(status, headers=_JSON, content=json.dumps(error), request=request)

            if not fault and (packed or len(content) > MESSAGE_BYTES or marks(content) > MOST_MARKS):
                return told(_error(_id(request.content), -32603, TOO_LARGE))
            named = request.method == "POST" and "mcp-session-id" in request.headers
            if named and (status == 404 or (status == 400 and b"session" in content.lower())):
                # A server that was started anew: 404 as the protocol has it, 400 as many servers do.
                message = f"HTTP {status}: no such session"
                return told(_error(_id(request.content), -32600, message, {SESSION_GONE: True}))
            if fault and not (status == 404 and _is_protocol_error(bytes(content))):
                return told(_protocol_error(status, response.reason_phrase, response.headers), status)
            # A fault here is how a server without sessions says that it has no such method.
            kept = [(name, text) for name, text in response.headers.multi_items() if name not in _CODED]
            sent = list(_JSON.items()) if fault else kept
            return httpx2.Response(status, headers=sent, content=bytes(content), request=request)

    return Client(headers={"accept-encoding": "identity", **headers}, timeout=httpx2.Timeout(connect, read=read))


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
    return _error(None, -32601 if status == 404 else -32603, f"HTTP {status} {reason}".strip(), data)


def _error(own: Any, code: int, message: str, data: Any = None) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": own, "error": {"code": code, "message": message, "data": data}}


def _id(request: bytes) -> Any:
    try:
        return json.loads(request)["id"]
    except (ValueError, KeyError, TypeError):
        return None
