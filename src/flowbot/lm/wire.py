"""The wire: one POST, and what may come back of it in FlowBot's errors. It knows nothing of models.

The key is masked in errors, and in answers where an endpoint quotes it, after both are understood. Redirects are not
followed, because the key would follow them.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.request import getproxies, proxy_bypass

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError
from yarl import URL

from flowbot.fields import InfrastructureError, Usage, UserError
from flowbot.fields.bounds import MESSAGE_BYTES
from flowbot.fields.errors import FaultKind
from flowbot.fields.secrets import Redactor, declare, declare_url, hide_text, is_placeholder, public_url

from .addresses import address, check_certificates
from .client import Patience
from .http_faults import (
    ErrorDetails,
    HttpFault,
    classify,
    fault_in,
    json_object,
    read_error,
    retry_after_seconds,
    status_of,
)
from .waits import CURRENT, Connector, Deadline, Waits

_NO_PATIENCE = Patience()
PATIENCE = 300.0
"""Seconds of a call whose caller names none."""
EXCERPT = 4000
"""Characters at the beginning of an answer that are looked at to say what it is."""


FETCHING = 300.0
"""Seconds of a request for a file or a batch."""
FETCHED_BYTES = 500_000_000
_FETCH = Patience(FETCHING)
_Exchanged = tuple[int, Mapping[str, str], bytes]
"""Status, headers and body of an answer."""
STALE = 0.5
"""Seconds within which a kept connection that turns out to be closed fails."""


class Wire:
    """Connections to one endpoint, opened with the first call and kept.

    Failure policy: a call is sent once. Only where a kept connection turns out to be dead before anything came back on
    it, as when the endpoint closed it in that moment, is the call sent once more at once, since nobody has read it.

    Args:
        base_url: up to and without the paths that are posted to.
        key: sent in `key_header`; "" sends none.
        key_header: `Authorization` (as a bearer token), or the name of a header that takes the key alone.
        seconds: of a call whose caller names no patience.
        adapt: makes of a request's body the one that is sent.
    """

    def __init__(
        self,
        base_url: str,
        *,
        key: str = "",
        key_header: str = "Authorization",
        seconds: float = PATIENCE,
        adapt: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
    ) -> None:
        self._adapt = adapt
        self._base = URL(base_url)
        # An answer is a few kilobytes: to unpack it would cost more than to receive it.
        self._headers = {
            "Content-Type": "application/json",
            "Accept": "application/json",
            "Accept-Encoding": "identity",
        }
        if key:
            self._headers[key_header] = f"Bearer {key}" if key_header == "Authorization" else key
            # With what stands before it also a key that is as short as a word is known again.
            declare(self._headers[key_header])
        own = () if is_placeholder(key) else (key,)
        declare(*own)
        declare_url(base_url)
        self._own = Redactor(own)
        self._waits = Waits(seconds)
        self._urls: dict[str, URL] = {}
        self._session: aiohttp.ClientSession | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._proxy: URL | None = None
        self._shown = public_url(base_url).partition("?")[0]

    async def post(self, path: str, body: dict[str, Any], patience: Patience | None = None) -> dict[str, Any]:
        """Send `body` and return the JSON object that comes back, all within `patience`.

        Raises:
            HttpFault: if the endpoint answers with an error.
            InfrastructureError: if it cannot be reached, does not answer in time, or answers with something else.
        """
        session = self._open()
        url = self._urls.get(path) or self._url(path)
        data = json.dumps(body if self._adapt is None else self._adapt(body)).encode()
        now = asyncio.get_running_loop().time
        deadline = Deadline(self._waits, patience or _NO_PATIENCE, now())
        headers, text = await self._answer(self._exchange(session, url, data, deadline), deadline)
        found = json_object(text)
        if found is None:
            kind = headers.get("Content-Type", "no content type")
            raise self._fault(
                f"answered with something that is no JSON object ({kind}: {hide_text(text[:EXCERPT])[:60]!r})",
                "garbage",
                served=True,
            )
        details = fault_in(found)
        if details is not None:
            # Some gateways say 200 and put the fault of the endpoint behind them into the answer.
            raise self._http_fault(status_of(details), details, headers, found if found.get("choices") else None)
        deadline.ended(now())
        return self._own.data(found)

    async def fetch(
        self,
        method: str,
        path: str,
        data: dict[str, Any] | aiohttp.FormData | None = None,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> bytes:
        """What comes back of a request that asks no model, as of files and batches. It is sent once.

        Raises:
            HttpFault, InfrastructureError: as `post`.
        """
        session, deadline = self._open(), Deadline(self._waits, _FETCH, asyncio.get_running_loop().time())
        sent: Any = json.dumps(data).encode() if isinstance(data, dict) else None if data is None else data()
        kind = {"Content-Type": sent.headers["Content-Type"]} if isinstance(data, aiohttp.FormData) else {}
        more = {**kind, **(headers or {})}
        url = self._url(path).update_query(query or {})

        async def exchange() -> _Exchanged:
            asking = session.request(method, url, data=sent, headers=more, proxy=self._proxy, allow_redirects=False)
            async with asking as response:
                return response.status, response.headers, await _read(response, FETCHED_BYTES)

        return self._own.text((await self._answer(exchange(), deadline))[1]).encode()

    async def close(self) -> None:
        """Close the connections. May be called twice."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _open(self) -> aiohttp.ClientSession:
        loop = asyncio.get_running_loop()
        if self._session is None or self._loop is not loop:
            # The connections of a loop that has ended are gone with it.
            self._loop = loop
            self._proxy = proxy_for(self._base)
            if self._base.scheme == "https":
                check_certificates()
            # Not trust_env: besides proxies it reads ~/.netrc at every call, and fails where that names our host.
            # No time-out of aiohttp's: `Deadline` has them all in one timer.
            self._session = aiohttp.ClientSession(
                headers=self._headers,
                timeout=aiohttp.ClientTimeout(),
                connector=Connector(self._waits),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session

    def _url(self, path: str) -> URL:
        url = self._urls[path] = (self._base / path.lstrip("/")).with_query(self._base.query)
        return url

    async def _answer(self, exchange: Awaitable[_Exchanged], deadline: Deadline) -> tuple[Mapping[str, str], str]:
        """Headers and text of an answer that is no error, and comes in time."""
        CURRENT.set(deadline)
        try:
            status, headers, content = await exchange
        except (TimeoutError, asyncio.CancelledError) as error:
            if isinstance(error, asyncio.CancelledError) and not deadline.cut.owns():
                raise
            raise self._fault(deadline.struck, "timeout") from None
        except (aiohttp.ClientError, HttpProcessingError, OSError) as error:
            raise self._explained(error) from None
        finally:
            deadline.cut.off()
        text = content.decode("utf-8", "replace")
        if not 200 <= status < 300:
            raise self._http_fault(status, read_error(text), headers)
        return headers, text

    async def _exchange(self, session: aiohttp.ClientSession, url: URL, data: bytes, deadline: Deadline) -> _Exchanged:
        now = asyncio.get_running_loop().time
        again = False
        while True:
            deadline.fresh = False
            began = now()
            try:
                async with session.post(url, data=data, proxy=self._proxy, allow_redirects=False) as response:
                    deadline.answering(now(), whole=response.content.is_eof())
                    return response.status, response.headers, await _read(response, MESSAGE_BYTES)
            except aiohttp.ClientConnectionError as error:
                # A kept connection that the endpoint has closed meanwhile fails at once; later the call may be at work.
                if again or deadline.fresh or deadline.headers is not None or _began(error) or now() - began > STALE:
                    raise
                again = True

    def _explained(self, error: Exception) -> InfrastructureError | UserError:
        """What went wrong below HTTP, in FlowBot's errors."""
        brief = _brief(error)
        match error:
            case aiohttp.ClientConnectorCertificateError():
                text = f"no secure connection ({brief}); SSL_CERT_FILE names certificates to trust"
                return self._fault(text, "connection", fatal=True)
            case aiohttp.ClientSSLError():
                return self._fault(f"no secure connection ({brief})", "connection")
            case aiohttp.ClientPayloadError():
                return self._fault(f"the answer broke off ({brief})", "garbage", served=True)
            case _ if _began(error):
                return self._fault("the answer broke off in its headers", "garbage")
            case aiohttp.InvalidURL() | aiohttp.NonHttpUrlClientError():
                return UserError(f"endpoint {self._shown}", "an address that is no URL", "http(s)://HOST[:PORT][/PATH]")
            case aiohttp.ClientConnectorError():
                return self._fault(f"cannot be reached ({brief})", "connection")
            case aiohttp.ClientResponseError() | HttpProcessingError():
                return self._fault(f"no HTTP ({brief})", "garbage")
            case _:
                return self._fault(f"the connection broke ({brief})", "connection")

    def _fault(self, text: str, kind: FaultKind, *, fatal: bool = False, served: bool = False) -> InfrastructureError:
        took = Usage(calls=1) if served else None
        return InfrastructureError(f"{self._shown}: {text}", kind=kind, fatal=fatal, took=took)

    def _http_fault(
        self, status: int, details: ErrorDetails, headers: Mapping[str, str], answer: Mapping[str, Any] | None = None
    ) -> HttpFault:
        kind, fatal = classify(status, details.code)
        location = headers.get("Location") if 300 <= status < 400 else None
        moved = f" (redirects to {hide_text(location)[:200]}, which is not followed)" if location else ""
        return HttpFault(
            f"{self._shown}: {status}: {details.shown}{moved}",
            kind=kind,
            fatal=fatal,
            retry_after=retry_after_seconds(headers),
            status=status,
            details=details,
            answer=answer,
        )


async def _read(response: aiohttp.ClientResponse, most: int) -> bytes:
    content = response.content
    part = await content.readany()
    if content.at_eof() and len(part) <= most:
        return part
    parts: list[bytes] = []
    size = 0
    while part:
        parts.append(part)
        size += len(part)
        if size > most:
            raise aiohttp.ClientPayloadError(f"more than {most:,} bytes")
        part = await content.readany()
    return b"".join(parts)


def proxy_for(url: URL) -> URL | None:
    """The environment's proxy for `url`; none for this machine itself."""
    host = url.host or ""
    if host in ("localhost", "::1") or host.startswith("127.") or proxy_bypass(f"{host}:{url.port}"):
        return None
    proxies = getproxies()
    text = proxies.get(url.scheme) or proxies.get("all")
    if not text:
        return None
    return URL(address(text, f"{url.scheme if url.scheme in proxies else 'all'}_proxy").geturl())


def _began(error: Exception) -> bool:
    """Whether the connection ended within the answer's headers."""
    return isinstance(error, aiohttp.ServerDisconnectedError) and not isinstance(error.message, str)


def _brief(error: Exception) -> str:
    said = error.message if isinstance(error, aiohttp.ClientResponseError) else str(error)
    return hide_text(" ".join(said.split()))[:200] or type(error).__name__
