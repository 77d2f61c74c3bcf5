"""The tap as an endpoint on the loopback address: for what a program starts elsewhere, a subprocess or one in another language."""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import socket
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Mapping
from contextvars import copy_context
from functools import partial
from typing import Any, TypeAlias, TypeVar
from urllib.parse import quote, unquote

import aiohttp
from aiohttp import web
from yarl import URL

from flowbot.fields import InfrastructureError, UserError
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
W = TypeVar("W", bound="Way")
COORDINATOR = "FLOWBOT_COORDINATOR"
"""The variable that says at which address of this machine workers on others reach it: `HOST` or `HOST:PORT`."""
_LONGEST = 600.0
"""Seconds of one request."""
Forward: TypeAlias = Callable[[str, str, Mapping[str, str], bytes], Coroutine[Any, Any, Answer]]
"""Sends a request on, by method, URL, headers and body, and brings the answer back."""


class Way(ABC):
    """A way in: it carries the context in which it was opened.

    Args:
        base: address of the proxy.
        token: the secret; it stands in every address.
    """

    def __init__(self, base: str, token: str) -> None:
        self.token = token
        self.context = copy_context()
        self.base = f"{base}/t/{token}"

    @abstractmethod
    async def answered(self, request: web.Request, data: bytes, forward: Forward) -> web.Response:
        """The answer to a request that came this way."""


class Passage(Way):
    """One program's way in: it carries the context in which it was opened, and so the step whose calls come by it.

    Args:
        base: address of the proxy.
        token: the secret; it stands in every address.
        ask: has its requests answered.
        read: reads them.
        environment: the variables that the program would have: they say where its requests are to go.
    """

    def __init__(self, base: str, token: str, ask: Ask, read: Read, environment: Mapping[str, str]) -> None:
        super().__init__(base, token)
        self.ask = ask
        self.read = read
        openai = environment.get("OPENAI_BASE_URL") or environment.get("OPENAI_API_BASE")
        self._openai = (openai or providers()["openai"].base_url).rstrip("/")
        anthropic = environment.get("ANTHROPIC_BASE_URL") or providers()["anthropic"].base_url.removesuffix("/v1")
        self._anthropic = anthropic.rstrip("/")
        self._direct = environment.get("no_proxy") or environment.get("NO_PROXY") or ""

    @property
    def url(self) -> str:
        """The base URL for a client of OpenAI's protocol; with `/messages` behind it, Anthropic's."""
        return f"{self.base}/v1"

    def to(self, url: str) -> str:
        """The address in place of another one, a whole one or a base URL."""
        return f"{self.base}/to/{quote(url, safe='')}"

    @property
    def environment(self) -> dict[str, str]:
        """What a program's environment must say so that its clients come by here."""
        direct = ",".join(filter(None, (self._direct, HOST)))
        return {
            "OPENAI_BASE_URL": self.url,
            "OPENAI_API_BASE": self.url,
            "ANTHROPIC_BASE_URL": self.base,
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

    async def answered(self, request: web.Request, data: bytes, forward: Forward) -> web.Response:
        """As of `Way`."""
        url = self.target(request.rel_url.raw_parts[3:], request.rel_url.raw_query_string)
        headers = passed_on(request.headers)
        declare_headers(headers)
        small = {name.casefold(): each for name, each in headers.items()}
        try:
            asked = self.read(url, small, data) if request.method == "POST" else None
            if asked is None:
                plain = await forward(request.method, url, headers, data)
                kind = plain.headers.get("Content-Type", "application/octet-stream")
                return web.Response(status=plain.status, body=plain.body, headers={"Content-Type": kind})
            raw = (await self.ask(asked, partial(forward, request.method, url, headers, data))).raw or Raw(200, "", "")
            return web.Response(status=raw.status, body=raw.body.encode(), headers={"Content-Type": raw.type})
        except Stop as stop:
            return told(403, f"stopped: {stop.cause}", "stopped", kind="insufficient_quota")


def passed_on(headers: Mapping[str, str]) -> dict[str, str]:
    """Those that are not of one connection alone."""
    return {name: each for name, each in headers.items() if name.casefold() not in _OWN}


class TapProxy:
    """The port, listened on from the moment that it is made, and served by an event loop as soon as that comes to it.

    Failure policy: a program that may not go on is answered with 403, which no client sends again.

    Args:
        loop: that serves it.
        host: address of this machine that is listened on.
        port: the same; one that is free when 0.

    Raises:
        UserError: if there can be no port.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, host: str = HOST, port: int = 0) -> None:
        try:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            self._socket = socket.create_server((host, port), family=family)
        except OSError as error:
            said = f"{host}:{port}, on which this machine cannot listen ({error})"
            raise UserError(COORDINATOR, said, "HOST or HOST:PORT, an address of this machine") from None
        self._host = f"[{host}]" if ":" in host else host
        self._port: int = self._socket.getsockname()[1]
        self._ways: dict[str, Way] = {}
        self._session: aiohttp.ClientSession | None = None
        self._runner: web.AppRunner | None = None
        self._serving = asyncio.run_coroutine_threadsafe(self._serve(), loop)

    def passage(self, ask: Ask, read: Read, environment: Mapping[str, str]) -> Passage:
        """A way in, for a program that is started in this context; see `Passage`."""
        return self.admit(lambda base, token: Passage(base, token, ask, read, environment))

    def admit(self, made: Callable[[str, str], W]) -> W:
        """A way in, made of an address and a token that nobody can guess."""
        token = secrets.token_urlsafe(32)
        declare(token)
        way = made(f"http://{self._host}:{self._port}", token)
        self._ways[token] = way
        return way

    def forget(self, way: Way) -> None:
        """It is taken no longer."""
        self._ways.pop(way.token, None)

    async def close(self) -> None:
        """Close the port. May be called twice."""
        await asyncio.wrap_future(self._serving)
        if self._runner is not None:
            await self._runner.cleanup()
        if self._session is not None:
            await self._session.close()

    async def _serve(self) -> None:
        served = "what the program's own endpoint has is served"
        guard = guarded(self._ways, lambda: self._port, served, self._host)
        app = web.Application(client_max_size=MOST_BYTES, middlewares=[guard])
        app.router.add_route("*", "/t/{token}/{rest:.*}", self._pass)
        self._runner = await silent_runner(app)
        timeout = aiohttp.ClientTimeout(total=_LONGEST)
        self._session = aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar())
        await web.SockSite(self._runner, self._socket).start()

    async def _pass(self, request: web.Request) -> web.Response:
        way, data = self._ways[request.match_info["token"]], await request.read()
        # In a copy: two requests of one program may run at once.
        context = way.context.run(copy_context)
        work = way.answered(request, data, self._forward)
        return await asyncio.get_running_loop().create_task(work, context=context)

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


def coordinator() -> tuple[str, int]:
    """Where workers reach this process: the loopback address, or what the environment says.

    Raises:
        UserError: if that is no address.
    """
    said = os.environ.get(COORDINATOR, "")
    match = re.fullmatch(r"(?:\[([^\[\]]+)\]|([^\s:/@]+))(?::(\d{1,5}))?", said or HOST)
    if match is None or int(match[3] or 0) > 65_535:
        raise UserError(COORDINATOR, repr(said), "HOST or HOST:PORT, an address of this machine")
    return match[1] or match[2], int(match[3] or 0)
