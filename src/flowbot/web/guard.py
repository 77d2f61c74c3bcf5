"""Who may ask, and how much: what stands before every page and endpoint of ours."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Collection
from functools import lru_cache
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from flowbot.fields.later import Cut

from .refusal import refusal

if TYPE_CHECKING:
    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST_BYTES = 4 * 2**20
"""Of a request's body, where nothing else is said."""
DROPPED = 256 * 2**20
"""Of one that is too long, so much is let in before it is answered."""
SECONDS = 30.0
"""That a body may take to come."""


class Guard:
    """An ASGI app before another one, which hears only of requests that it may serve, each with its whole body.

    - A page of another site cannot ask: the `Host` must be an address, `localhost` or one of `names` (a name that an attacker
      lets point here is none of these), and an `Origin` must be that same host.
    - The key, where there is one, is `Authorization: Bearer KEY` or `X-Api-Key: KEY`.
    - A body that is too large is refused and not kept; one that comes too slowly is not waited for.

    What is refused is answered as `refusal` says: 401, 403, 408, 413. Web sockets are refused.

    Args:
        app: what is served.
        names: host names by which it may be asked, beside `localhost` and plain addresses.
        key: what a client must show; None: nothing.
        public: paths that need no key.
        most_bytes: of a body.
        seconds: that a body may take to come.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        names: Collection[str] = (),
        key: str | None = None,
        public: Collection[str] = (),
        most_bytes: int = MOST_BYTES,
        seconds: float = SECONDS,
    ) -> None:
        self._app = app
        self._names = {"localhost", *(name.lower() for name in names)}
        self._key = None if key is None else key.encode()
        self._public = frozenset(public)
        self._most, self._seconds = most_bytes, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or refuse it."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] == "http":
            headers = dict[bytes, bytes](scope["headers"])
            refused, too_long = self._stranger(scope["path"], headers), self._too_long(headers)
            if refused is None and too_long and b"expect" in headers:
                refused = self._too_large()
            if refused is None and (b"content-length" in headers or b"transfer-encoding" in headers):
                body = await self._whole(receive, too_long)
                if body is None:
                    return
                if isinstance(body, bytes):
                    receive = _again(body, receive)
                else:
                    refused = body
            if refused is not None:
                await refused(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _stranger(self, path: str, headers: dict[bytes, bytes]) -> Response | None:
        host, origin = headers.get(b"host", b"").decode("latin-1"), headers.get(b"origin")
        name = _host_name(host)
        if name not in self._names and not _is_address(name):
            allowed = ", ".join(sorted(self._names))
            return refusal(403, f"Host: found {host!r:.100}; expected an address, or one of {allowed}")
        if origin is not None and _netloc(origin.decode("latin-1")) != host.lower():
            return refusal(
                403, f"Origin: found {origin.decode('latin-1')!r:.100}; expected {host}: no other site may ask"
            )
        if self._key is not None and path not in self._public:
            scheme, _, shown = headers.get(b"authorization", b"").partition(b" ")
            if scheme.lower() != b"bearer":
                shown = headers.get(b"x-api-key", b"")
            if not hmac.compare_digest(shown.strip(), self._key):
                return refusal(401, "key: found none, or a wrong one; expected Authorization: Bearer KEY")
        return None

    def _too_long(self, headers: dict[bytes, bytes]) -> bool:
        length = headers.get(b"content-length", b"0")
        return not length.isdigit() or len(length) > 18 or int(length) > self._most

    def _too_large(self) -> Response:
        return refusal(413, f"body: found more than {self._most:,} bytes; expected fewer")

    async def _whole(self, receive: Receive, too_long: bool) -> bytes | Response | None:
        """The body, or why it is refused; None: the client has gone.

        One that is too long is let in and dropped, up to `DROPPED`: most clients read no answer before they have sent all.
        """
        parts, size, cut = list[bytes](), 0, Cut(self._seconds)
        try:
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return None
                size += len(part := message.get("body", b""))
                too_long = too_long or size > self._most
                if too_long:
                    parts.clear()
                else:
                    parts.append(part)
                if not message.get("more_body", False) or size > DROPPED:
                    return self._too_large() if too_long else b"".join(parts)
        except asyncio.CancelledError:
            if not cut.owns():
                raise
            return refusal(408, f"body: did not come whole within {self._seconds:g} s; send it at once", close=True)
        finally:
            cut.off()


def _again(body: bytes, receive: Receive) -> Receive:
    """What gives a body that was read, then what is still to come: that the client has gone."""
    left = [body]

    async def again() -> Message:
        return {"type": "http.request", "body": left.pop(), "more_body": False} if left else await receive()

    return again


@lru_cache(256)
def _host_name(host: str) -> str:
    """The name or address in a `Host`; empty if it is none."""
    try:
        return "" if "@" in host else (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def _netloc(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


@lru_cache(256)
def _is_address(name: str) -> bool:
    try:
        _ = ip_address(name)
    except ValueError:
        return False
    return True
