"""The wire: one POST, and what may come back of it in FlowBot's errors. It knows nothing of models.

No text of an error holds the key. Redirects are not followed, because the key would follow them.
"""

from __future__ import annotations

import json
import re
import time
from email.utils import parsedate_to_datetime
from typing import Any, cast
from urllib.request import getproxies, proxy_bypass

import aiohttp
from yarl import URL

from flowbot.fields import InfrastructureError, UserError
from flowbot.fields.errors import FaultKind

MAX_BYTES = 32_000_000
_SAID = 400
_CONNECT_SECONDS = 15.0


class HttpFault(InfrastructureError):
    """The endpoint answered with an error. `status`, its own `said`, and the `code` and `param` it named."""

    def __init__(
        self,
        message: str,
        *,
        kind: FaultKind,
        fatal: bool,
        retry_after: float | None,
        status: int,
        said: str,
        code: str,
        param: str,
    ) -> None:
        super().__init__(message, kind=kind, fatal=fatal, retry_after=retry_after)
        self.status = status
        self.said = said
        self.code = code
        self.param = param


class Wire:
    """Connections to one endpoint, opened with the first call and kept.

    Args:
        base_url: up to and without the paths that are posted to.
        key: sent in `key_header`; "" sends none.
        key_header: `Authorization` (as a bearer token), or the name of a header that takes the key alone.
        seconds: of one call at most.
    """

    def __init__(
        self, base_url: str, *, key: str = "", key_header: str = "Authorization", seconds: float = 300.0
    ) -> None:
        self._base = URL(base_url)
        self._key = key
        self._headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if key:
            self._headers[key_header] = f"Bearer {key}" if key_header == "Authorization" else key
        self._seconds = seconds
        self._session: aiohttp.ClientSession | None = None
        self._proxy: URL | None = None
        self._shown = str(self._base.with_user(None).with_query(None))

    async def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Send `body` and return the JSON object that comes back.

        Raises:
            HttpFault: if the endpoint answers with an error.
            InfrastructureError: if it cannot be reached, does not answer in time, or answers with something else.
        """
        session = self._open()
        url = (self._base / path.lstrip("/")).with_query(self._base.query)
        data = json.dumps(body).encode()
        try:
            async with session.post(
                url, data=data, headers=self._headers, proxy=self._proxy, allow_redirects=False
            ) as response:
                content = await _read(response)
                status, headers = response.status, response.headers
        except TimeoutError:
            raise self._fault(f"no answer within {self._seconds:g} s", "timeout") from None
        except aiohttp.ClientSSLError as error:
            text = f"no secure connection ({_brief(error)}); SSL_CERT_FILE names certificates to trust"
            raise self._fault(text, "connection", fatal=True) from None
        except aiohttp.ClientPayloadError as error:
            raise self._fault(f"the answer broke off ({_brief(error)})", "garbage") from None
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError) as error:
            raise UserError(f"endpoint {self._shown}", _brief(error), "a URL") from None
        except aiohttp.ClientConnectorError as error:
            raise self._fault(f"cannot be reached ({_brief(error)})", "connection") from None
        except aiohttp.ClientResponseError as error:
            raise self._fault(f"no HTTP ({_brief(error)})", "garbage") from None
        except (aiohttp.ClientError, OSError) as error:
            raise self._fault(f"the connection broke ({_brief(error)})", "connection") from None
        text = content.decode("utf-8", "replace")
        if status != 200:
            raise self._http_fault(status, text, retry_after_seconds(headers))
        found = _json_object(text)
        if found is None:
            kind = headers.get("Content-Type", "no content type")
            raise self._fault(f"answered with something that is no JSON object ({kind}: {text[:60]!r})", "garbage")
        if found.get("error") and "choices" not in found:
            # Some gateways say 200 and put the fault of the endpoint behind them into the body.
            raise self._http_fault(_status_in(found), text, retry_after_seconds(headers))
        return found

    async def close(self) -> None:
        """Close the connections. May be called twice."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._proxy = _proxy_for(self._base)
            timeout = aiohttp.ClientTimeout(total=self._seconds, sock_connect=_CONNECT_SECONDS)
            # Not trust_env: besides proxies it reads ~/.netrc at every call, and fails where that names our host.
            self._session = aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0))
        return self._session

    def _fault(self, text: str, kind: FaultKind, *, fatal: bool = False) -> InfrastructureError:
        return InfrastructureError(self._clean(f"{self._shown}: {text}"), kind=kind, fatal=fatal)

    def _http_fault(self, status: int, text: str, retry_after: float | None) -> HttpFault:
        said, code, param = _said(text)
        kind, fatal = classify(status, code)
        return HttpFault(
            self._clean(f"{self._shown}: {status}: {said}"),
            kind=kind,
            fatal=fatal,
            retry_after=retry_after,
            status=status,
            said=self._clean(said),
            code=code,
            param=param,
        )

    def _clean(self, text: str) -> str:
        """Without the key, whole or as endpoints quote it back (`sk-ab****yz`)."""
        if self._key:
            text = text.replace(self._key, "[key]")
        return re.sub(r"\b(sk|key|gsk|xai|AIza)[-_]?[\w-]*\*{2,}[\w*-]*", "[key]", text)


def classify(status: int, code: str = "") -> tuple[FaultKind, bool]:
    """The kind of fault that a status stands for, with the code in the body, and whether trying again is in vain."""
    if code in ("insufficient_quota", "billing_not_active", "credit_balance_too_low") or status == 402:
        return "rate_limit", True
    if status in (401, 403):
        return "auth", True
    if status == 404:
        return "not_found", True
    if status == 429:
        return "rate_limit", False
    if status == 408:
        return "timeout", False
    if status >= 500 or status in (409, 425):
        return "server", False
    return "other", True


def _said(text: str) -> tuple[str, str, str]:
    """What an error body says, and the code and parameter it names."""
    found = _json_object(text)
    if found is None:
        plain = re.sub(r"(?:<[^>]*>|\s)+", " ", text).strip()
        return plain[:_SAID] or "no text", "", ""
    error: Any = found.get("error", found)
    if not isinstance(error, dict):
        return str(error)[:_SAID], "", ""
    given = cast("dict[str, Any]", error)
    message = given.get("message") or given.get("detail") or given.get("msg") or given
    said = message if isinstance(message, str) else json.dumps(message, ensure_ascii=False)
    inner = cast("dict[str, Any]", given.get("innererror") or {}).get("code", "")
    code = " ".join(str(each) for each in (given.get("code"), given.get("type"), inner) if each)
    return said[:_SAID], code, str(given.get("param") or "")


def _status_in(found: dict[str, Any]) -> int:
    error: Any = found["error"]
    code: Any = cast("dict[str, Any]", error).get("code") if isinstance(error, dict) else None
    return code if isinstance(code, int) and 400 <= code < 600 else 502


def retry_after_seconds(headers: Any) -> float | None:
    """The wait that an answer's headers ask for, in seconds; None if they ask for none."""
    try:
        if (milliseconds := headers.get("Retry-After-Ms")) is not None:
            return max(0.0, float(milliseconds) / 1000)
    except ValueError:
        pass
    text: str | None = headers.get("Retry-After")
    if text is None:
        return None
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except ValueError:
        return None


async def _read(response: aiohttp.ClientResponse) -> bytes:
    parts: list[bytes] = []
    size = 0
    while part := await response.content.readany():
        parts.append(part)
        size += len(part)
        if size > MAX_BYTES:
            raise aiohttp.ClientPayloadError(f"more than {MAX_BYTES // 1_000_000} MB")
    return b"".join(parts)


def _json_object(text: str) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return cast("dict[str, Any]", found) if isinstance(found, dict) else None


def _proxy_for(url: URL) -> URL | None:
    """The environment's proxy for `url`; none for this machine itself."""
    host = url.host or ""
    if host in ("localhost", "::1") or host.startswith("127.") or proxy_bypass(f"{host}:{url.port}"):
        return None
    proxies = getproxies()
    text = proxies.get(url.scheme) or proxies.get("all")
    if not text:
        return None
    proxy = URL(text if "://" in text else f"http://{text}")
    if proxy.scheme not in ("http", "https"):
        raise UserError(f"{url.scheme}_proxy", f"a {proxy.scheme} proxy", "an http or https proxy")
    return proxy


def _brief(error: BaseException) -> str:
    said = str(error).splitlines()
    return said[0][:200] if said and said[0] else type(error).__name__
