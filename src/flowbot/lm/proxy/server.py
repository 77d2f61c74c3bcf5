"""The server: one port of the loopback address for any number of clients, each with a secret in its path."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, get_args

from aiohttp import web

from flowbot.fields import Paused, UserError, stable_hash
from flowbot.fields.near import one_of
from flowbot.fields.numbers import require_above_0
from flowbot.fields.secrets import declare
from flowbot.lm.client import Reply
from flowbot.lm.lm import LM
from flowbot.lm.session import Session

from .access import MAX_TOKENS, Access, Mode
from .bodies import MOST_BYTES, Asked, event_text, json_body
from .chat import chat_answer, chat_events, read_chat
from .faults import as_json
from .guard import HOST, guarded, silent_runner
from .responses import read_response, response_answer, response_events

BODY: ContextVar[Mapping[str, Any] | None] = ContextVar("flowbot_body", default=None)
"""What a client has sent, as it came, for a model that is to tell apart what is the same to an endpoint."""
_Answer = Callable[[Asked, str, Sequence[Reply]], dict[str, Any]]
_Events = Callable[[Asked, Mapping[str, Any]], Iterable[tuple[str, Any]]]


class Proxy:
    """An endpoint on the loopback address that speaks OpenAI's chat completions and responses, for programs that are not ours.

    Every request goes past the store, the budget and the ledger of a session, as any call of ours does. It works on the event
    loop that opened it: whoever blocks that loop waits for itself.

        >>> async with Proxy() as proxy:
        ...     access = proxy.open(session, {"gpt-4.1-mini": open_lm("openai/gpt-4.1-mini", session)})
        ...     client = AsyncOpenAI(base_url=access.url, api_key=access.token, max_retries=0)

    Failure policy: a request gets an answer or an error in OpenAI's shape, see `faults.py`; none is to be sent again. Whoever leaves
    the `async with` waits for the requests under way, and new ones are refused meanwhile.
    """

    def __init__(self) -> None:
        self._accesses: dict[str, Access] = {}
        self._runner: web.AppRunner | None = None
        self._port = 0
        self._under_way = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._closing = False

    @property
    def url(self) -> str:
        """Its address.

        Raises:
            UserError: if it is not open.
        """
        if self._runner is None:
            raise UserError("proxy", "one that is not open", "async with Proxy() as proxy: …")
        return f"http://{HOST}:{self._port}"

    def open(
        self,
        session: Session,
        models: Mapping[str, LM],
        *,
        mode: Mode = "record",
        purpose: str = "proxy",
        max_tokens: int = MAX_TOKENS,
        series: int = 0,
    ) -> Access:
        """Let a client in.

        Args:
            session: whose ledger and budget count what it takes.
            models: by the names that it asks for, opened for that session.
            mode: `record`: stored replies serve, other requests are asked and kept. `replay`: they are asked and not kept.
                `refuse`: they are refused.
            purpose: what the ledger charges its calls to.
            max_tokens: of a reply whose client names no ceiling.
            series: which of several series of draws: the same client in another one gets other replies above temperature 0.

        Raises:
            UserError: if the proxy is not open, or an argument is wrong.
        """
        if mode not in get_args(Mode):
            raise UserError("mode", repr(mode), one_of(mode, get_args(Mode)))
        require_above_0(max_tokens, "max_tokens", whole=True)
        if not models:
            raise UserError("models", "none", "a name and a model")
        token = secrets.token_urlsafe(32)
        declare(token)
        self._accesses[token] = access = Access(
            token,
            self.url,
            session,
            models,
            mode=mode,
            purpose=purpose,
            max_tokens=max_tokens,
            series=series,
            closed=self._forget,
        )
        return access

    async def close(self) -> None:
        """Wait for the requests under way, then close the port. May be called twice."""
        self._closing = True
        try:
            await self._idle.wait()
        finally:
            runner, self._runner = self._runner, None
            self._accesses.clear()
            if runner is not None:
                await runner.cleanup()

    async def __aenter__(self) -> Proxy:
        if self._runner is not None:
            raise UserError("proxy", "one that is open already", "one `async with` around all clients")
        guard = guarded(self._accesses, lambda: self._port, "chat/completions, responses and models are served")
        app = web.Application(client_max_size=MOST_BYTES, middlewares=[guard])
        for prefix in ("/t/{token}", "/t/{token}/e/{example}"):
            app.router.add_get(f"{prefix}/v1/models", self._models)
            app.router.add_get(f"{prefix}/v1/models/{{name:.+}}", self._models)
            app.router.add_post(f"{prefix}/v1/chat/completions", self._chat)
            app.router.add_post(f"{prefix}/v1/responses", self._responses)
            app.router.add_get(f"{prefix}/budget", self._budget)
        runner = await silent_runner(app)
        await web.TCPSite(runner, HOST, 0).start()
        self._runner, self._closing = runner, False
        self._port = runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def _forget(self, token: str) -> None:
        self._accesses.pop(token, None)

    def _access(self, request: web.Request) -> Access:
        return self._accesses[request.match_info["token"]]

    async def _chat(self, request: web.Request) -> web.Response:
        return await self._answer(request, read_chat, chat_answer, chat_events)

    async def _responses(self, request: web.Request) -> web.Response:
        return await self._answer(request, read_response, response_answer, response_events)

    async def _answer(
        self, request: web.Request, read: Callable[[Mapping[str, Any]], Asked], answer: _Answer, events: _Events
    ) -> web.Response:
        access = self._access(request)
        data = await request.read()
        if self._closing:
            raise Paused("the proxy is being closed", stopped_by="signal")
        self._under_way += 1
        self._idle.clear()
        try:
            BODY.set(body := json_body(data))
            asked = read(body)
            keys, replies = await access.ask(asked, request.match_info.get("example", ""))
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._idle.set()
        found = answer(asked, stable_hash(keys)[:24], replies)
        if not asked.stream:
            return as_json(found)
        text = event_text(events(asked, found))
        return web.Response(text=text, content_type="text/event-stream", headers={"Cache-Control": "no-store"})

    async def _models(self, request: web.Request) -> web.Response:
        access, name = self._access(request), request.match_info.get("name")
        if name is not None:
            access.require(name)
            return as_json(_model(name))
        return as_json({"object": "list", "data": [_model(each) for each in access.models]})

    async def _budget(self, request: web.Request) -> web.Response:
        return as_json(self._access(request).budget)


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "flowbot"}
