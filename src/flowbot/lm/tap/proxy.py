"""The tap as an endpoint on the loopback address: for what a program starts elsewhere, a subprocess or one in another language."""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import Callable, Coroutine, Mapping
from contextvars import copy_context
from typing import Any, TypeAlias
from urllib.parse import quote, unquote

import aiohttp
from aiohttp import web
from yarl import URL

from flowbot.fields import InfrastructureError
from flowbot.fields.secrets import declare, declare_headers, hide_text, public_url
from flowbot.lm.client import Raw, Reply
from flowbot.lm.providers import providers
from flowbot.lm.proxy.bodies import MOST_BYTES
from flowbot.lm.proxy.faults import told
from flowbot.lm.proxy.guard import HOST, guarded, silent_runner
from flowbot.lm.wire import proxy_for
from flowbot.program.stopping import Stop

from .asked import Answer, Asked

Read: TypeAlias = Callable[[str, Mapping[str, str], bytes], Asked | None]
"""As `read_asked`; what may not go on leaves it as `Stop`."""
Ask: TypeAlias = Callable[[Asked, Callable[[], Coroutine[Any, Any, Answer]]], Coroutine[Any, Any, Reply]]
"""Has a request answered; it is sent, if at all, by what is handed over."""
_OWN = (
    *("host", "content-length", "content-encoding", "connection", "accept-encoding"),
    *("transfer-encoding", "keep-alive", "te", "upgrade"),
)
"""Headers that are of one connection; what was packed comes unpacked."""
_LONGEST = 600.0
"""Seconds of one request."""


class Passage:
    """One program's way in: it carries the context in which it was opened, and so the step whose calls come by it.

    Args:
        base: address of the proxy.
        token: the secret; it stands in every address.
        ask: has its requests answered.
        read: reads them.
        environment: the variables that the program would have: they say where its requests are to go.
    """

    def __init__(self, base: str, token: str, ask: Ask, read: Read, environment: Mapping[str, str]) -> None:
        self.token = token
        self.ask = ask
        self.read = read
        self.context = copy_context()
        self._base = f"{base}/t/{token}"
        openai = environment.get("OPENAI_BASE_URL") or environment.get("OPENAI_API_BASE")
        self._openai = (openai or providers()["openai"].base_url).rstrip("/")
        anthropic = environment.get("ANTHROPIC_BASE_URL") or providers()["anthropic"].base_url.removesuffix("/v1")
        self._anthropic = anthropic.rstrip("/")
        self._direct = environment.get("no_proxy") or environment.get("NO_PROXY") or ""

    @property
    def url(self) -> str:
        """The base URL for a client of OpenAI's protocol; with `/messages` behind it, Anthropic's."""
        return f"{self._base}/v1"

    def to(self, url: str) -> str:
        """The address in place of another one, a whole one or a base URL."""
        return f"{self._base}/to/{quote(url, safe='')}"

    @property
    def environment(self) -> dict[str, str]:
        """What a program's environment must say so that its clients come by here."""
        direct = ",".join(filter(None, (self._direct, HOST)))
        return {
            "OPENAI_BASE_URL": self.url,
            "OPENAI_API_BASE": self.url,
            "ANTHROPIC_BASE_URL": self._base,
            "NO_PROXY": direct,
            "no_proxy": direct,
        }

    def target(self, parts: tuple[str, ...], query: str) -> str:
        """Where a request is to go, by what stands behind the token."""
        rest = "/".join(parts[1:])
        if parts[:1] == ("to",):
            base, rest = unquote(parts[1]) if len(parts) > 1 else "", "/".join(parts[2:])
        else:
            base = f"{self._anthropic}/v1" if parts[1:2] == ("messages",) else self._openai
        url = f"{base}/{rest}" if rest else base
        return f"{url}{'&' if '?' in url else '?'}{query}" if query else url


class TapProxy:
    """The port, listened on from the moment that it is made, and served by an event loop as soon as that comes to it.

    Failure policy: a program that may not go on is answered with 403, which no client sends again.

    Args:
        loop: that serves it.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._socket = socket.create_server((HOST, 0))
        self._port: int = self._socket.getsockname()[1]
        self._passages: dict[str, Passage] = {}
        self._session: aiohttp.ClientSession | None = None
        self._runner: web.AppRunner | None = None
        self._serving = asyncio.run_coroutine_threadsafe(self._serve(), loop)

    def passage(self, ask: Ask, read: Read, environment: Mapping[str, str]) -> Passage:
        """A way in, for a program that is started in this context; see `Passage`."""
        token = secrets.token_urlsafe(32)
        declare(token)
        passage = Passage(f"http://{HOST}:{self._port}", token, ask, read, environment)
        self._passages[token] = passage
        return passage

    def forget(self, passage: Passage) -> None:
        """It is taken no longer."""
        self._passages.pop(passage.token, None)

    async def close(self) -> None:
        """Close the port. May be called twice."""
        await asyncio.wrap_future(self._serving)
        if self._runner is not None:
            await self._runner.cleanup()
        if self._session is not None:
            await self._session.close()

    async def _serve(self) -> None:
        guard = guarded(self._passages, lambda: self._port, "what the program's own endpoint has is served")
        app = web.Application(client_max_size=MOST_BYTES, middlewares=[guard])
        app.router.add_route("*", "/t/{token}/{rest:.*}", self._pass)
        self._runner = await silent_runner(app)
        timeout = aiohttp.ClientTimeout(total=_LONGEST)
        self._session = aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar())
        await web.SockSite(self._runner, self._socket).start()

    async def _pass(self, request: web.Request) -> web.Response:
        passage, data = self._passages[request.match_info["token"]], await request.read()
        work = self._answered(passage, request, data)
        # In a copy: two requests of one program may run at once.
        context = passage.context.run(copy_context)
        raw = await asyncio.get_running_loop().create_task(work, context=context)
        if isinstance(raw, web.Response):
            return raw
        return web.Response(status=raw.status, body=raw.body.encode(), headers={"Content-Type": raw.type})

    async def _answered(self, passage: Passage, request: web.Request, data: bytes) -> Raw | web.Response:
        url = passage.target(request.rel_url.raw_parts[3:], request.rel_url.raw_query_string)
        headers = {name: each for name, each in request.headers.items() if name.casefold() not in _OWN}
        declare_headers(headers)

        async def once() -> Answer:
            return await self._forward(request.method, url, headers, data)

        small = {name.casefold(): each for name, each in headers.items()}
        try:
            asked = passage.read(url, small, data) if request.method == "POST" else None
            if asked is None:
                plain = await once()
                kind = plain.headers.get("Content-Type", "application/octet-stream")
                return web.Response(status=plain.status, body=plain.body, headers={"Content-Type": kind})
            return (await passage.ask(asked, once)).raw or Raw(200, "", "")
        except Stop as stop:
            return told(403, f"stopped: {stop.cause}", "stopped", kind="insufficient_quota")

    async def _forward(self, method: str, url: str, headers: Mapping[str, str], data: bytes) -> Answer:
        """Send it on, and bring the answer back."""
        if self._session is None:
            raise InfrastructureError("the proxy is closed", kind="connection")
        to = URL(url, encoded=True)
        plain = {**headers, "Accept-Encoding": "identity"}
        try:
            async with self._session.request(
                method, to, headers=plain, data=data, proxy=proxy_for(to), allow_redirects=False
            ) as answer:
                return Answer(answer.status, answer.headers, await answer.read())
        except (aiohttp.ClientError, OSError, ValueError) as error:
            kind = "timeout" if isinstance(error, TimeoutError) else "connection"
            text = f"{public_url(url)}: {type(error).__name__}: {hide_text(str(error))[:200]}"
            raise InfrastructureError(text, kind=kind) from None
