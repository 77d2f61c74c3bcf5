"""A program on a worker: there its model calls, and what else it needs of the run, are asked of the coordinator, which alone holds keys,
store, ledger and budget; here they are answered.

    POST …/t/TOKEN/begin                   a run begins, or begins again where its worker was lost: what was left of it is answered no more
    POST …/t/TOKEN/model/URL               what a client of the program's would send there, with the same body and headers
    POST …/t/TOKEN/WHAT                    anything else, as JSON

Each names its try in a header, and is answered by `{"reply": …}` or another object, or by `{"stop": class, "text": why}`.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, fields
from functools import partial
from typing import Any, TypeAlias
from urllib.parse import quote, unquote, urlsplit
from uuid import uuid4

import aiohttp
from aiohttp import web

from flowbot.fields import FlowBotError, InfrastructureError, ModelError, RefusedError, StepError, UserError
from flowbot.fields.secrets import declare_headers, public_url
from flowbot.lm.client import Identity, Reply
from flowbot.lm.counted import as_count, as_object
from flowbot.lm.providers import Provider, providers
from flowbot.lm.proxy.faults import told
from flowbot.lm.rows import read_reply
from flowbot.lm.session import Session
from flowbot.store import Store

from .asked import Answer, Asked
from .exchange import Call
from .models import Models
from .proxy import COORDINATOR, Forward, Way, passed_on

Answers: TypeAlias = Callable[[str, Mapping[str, Any]], Awaitable[Mapping[str, Any]]]
"""What the run answers to `WHAT`, told what."""
_WORD = "flowbot-means-"
_TRY, _DRAW = "X-FlowBot-Try", "X-FlowBot-Draw"
_TRIES = 3
_CONNECT_SECONDS = 10.0
_BESIDE = {"openai": ("OPENAI_API_BASE",), "anthropic": ("ANTHROPIC_BASE_URL",)}
"""Variables that clients of these know beside the table's."""
_KINDS = {each.__name__: each for each in (ModelError, RefusedError, StepError)}
"""What a run does not end by; all else ends it, and is raised as it was by the coordinator."""


class NotHere(InfrastructureError):
    """A run cannot be made on this worker, but where the coordinator is; the text says why."""


class WorkerWay(Way):
    """The way in of one run on a worker.

    Args:
        base, token: as of `Way`.
        models: what is asked.
        answers: what else the worker is told.
        purpose, replicate, max_calls: as of `Tap`.
    """

    def __init__(
        self, base: str, token: str, *, models: Models, answers: Answers, purpose: str, replicate: int, max_calls: int
    ) -> None:
        super().__init__(base, token)
        self._models, self._answers, self._purpose = models, answers, purpose
        self._replicate, self._max_calls = replicate, max_calls
        self._try: str | None = None
        self.keys: list[tuple[Identity | None, str]] = []
        """As of `Tap`."""
        self.stopped: FlowBotError | None = None
        """Why the run cannot go on."""

    async def answered(self, request: web.Request, data: bytes, forward: Forward) -> web.Response:
        """As of `Way`."""
        what, *rest = request.rel_url.raw_parts[3:]
        if what == "begin":
            self._try, self.keys, self.stopped = request.headers.get(_TRY), [], None
        turn = self._try
        if request.headers.get(_TRY) != turn:
            return told(403, "the run has begun again", "stopped")
        try:
            if what == "model":
                reply = await self._reply(unquote("/".join(rest)), request.headers, data, forward)
                found: Mapping[str, Any] = {"reply": reply.dump()}
            else:
                found = {} if what == "begin" else await self._answers(what, as_object(json.loads(data)))
        except FlowBotError as error:
            if turn == self._try and (type(error).__name__ not in _KINDS or isinstance(error, RefusedError)):
                self.stopped = self.stopped or error
            found = {"stop": type(error).__name__, "text": str(error)}
        return web.json_response(found)

    async def _reply(self, url: str, headers: Mapping[str, str], data: bytes, forward: Forward) -> Reply:
        scope, number = as_drawn(headers.get(_DRAW, ""))
        own = {name: text for name, text in passed_on(headers).items() if name.casefold() not in _OURS}
        to, own = with_keys(url, own)
        declare_headers(own)
        asked = self._models.read(to, {name.casefold(): text for name, text in own.items()}, data)
        if asked is None:
            raise UserError("program", "a request to no model", "one to a model")
        if len(self.keys) >= self._max_calls * 2:  # the worker counts them; this bounds what a token is good for
            raise ModelError(f"more than {self._max_calls} model calls")
        call = Call(asked, scope, number, 0, (self._replicate, scope, number) if asked.drawn else ())

        async def send() -> Answer:
            if left := [text for text in (to, *own.values()) if _WORD in text]:
                key = left[0].partition(_WORD)[2]
                mend = "set the base URL of its provider, as OPENAI_BASE_URL, to that address, or run it with --executor loop"
                where = f"a request of a worker to {urlsplit(to).netloc}"
                raise UserError("program", what=f"{where} with {key}, which goes to its provider alone", mend=mend)
            return await forward("POST", to, own, data)

        return await self._models.reply(call, send, self._purpose, lambda who, key: self.keys.append((who, key)))


_OURS = {_TRY.casefold(), _DRAW.casefold()}


def as_drawn(text: str) -> tuple[str, int]:
    """The step that a call is made in, and which of equal ones it is.

    Raises:
        UserError: if it is not that.
    """
    try:
        scope, number = json.loads(unquote(text))
    except (ValueError, TypeError):
        scope, number = None, None
    if not isinstance(scope, str) or (count := as_count(number)) is None:
        raise UserError(_DRAW, repr(text[:100]), "a step and a number")
    return scope, count


@dataclass(frozen=True, slots=True)
class _AskedAway(Asked):
    """A request on a worker."""

    ask: Callable[[Call], Awaitable[Reply]] | None = field(default=None, compare=False)


class AwayModels(Models):
    """The models of a run, as a worker asks them.

    Args:
        coordinator: whom it asks.
    """

    def __init__(self, coordinator: Coordinator) -> None:
        super().__init__(Session(Store.memory()))
        self._coordinator = coordinator

    def read(self, url: str, headers: Mapping[str, str], body: bytes) -> Asked | None:
        """As of `Models`."""
        asked = super().read(url, headers, body)
        if asked is None:
            return self.let_pass(url, headers)
        plain = {each.name: getattr(asked, each.name) for each in fields(Asked)}
        return _AskedAway(**plain, ask=partial(self._coordinator.ask, url, headers, body))

    def let_pass(self, url: str, headers: Mapping[str, str]) -> None:
        """As of `Models`: it goes from here, where it would be refused.

        Raises:
            NotHere: if it needs a key.
        """
        if any(_WORD in text for text in (unquote(url), *headers.values())):
            raise NotHere(f"a request to {urlsplit(url).netloc} that asks no model needs a key, and a worker has none")

    async def reply(self, call: Call, *_: Any, **__: Any) -> Reply:
        """As of `Models`."""
        assert isinstance(call.asked, _AskedAway)
        assert call.asked.ask is not None
        return await call.asked.ask(call)

    async def settled(self, keys: object) -> None:
        """The coordinator sees to it."""


class Coordinator:
    """Where the worker of one run asks.

    Args:
        at: address, with the token.
        session: by which it is asked.
    """

    def __init__(self, at: str, session: aiohttp.ClientSession) -> None:
        self._at, self._session = at, session
        self._try = str(uuid4())

    async def ask(self, url: str, headers: Mapping[str, str], body: bytes, call: Call) -> Reply:
        """The reply to a program's request.

        Raises:
            InfrastructureError: if the run cannot go on.
            ModelError, RefusedError: as the coordinator says.
        """
        own = {name: text for name, text in passed_on(headers).items() if name.casefold() != "origin"}
        draw = quote(json.dumps([call.scope, call.number]))
        found = await self._post(f"model/{quote(url, safe='')}", body, {**own, _DRAW: draw})
        return read_reply(found["reply"])

    async def tell(self, what: str, told: Mapping[str, Any]) -> Mapping[str, Any]:
        """What the run answers.

        Raises:
            InfrastructureError, StepError, RefusedError: as `ask`.
        """
        return await self._post(what, json.dumps(told).encode(), {})

    async def _post(self, path: str, data: bytes, headers: Mapping[str, str]) -> Mapping[str, Any]:
        found: Mapping[str, Any] = {}
        for number in range(1, _TRIES + 1):
            try:
                own = {**headers, _TRY: self._try}
                async with self._session.post(f"{self._at}/{path}", data=data, headers=own) as answer:
                    found = as_object(await answer.json())
                    break
            except (aiohttp.ClientError, OSError, ValueError) as error:  # the same is asked again, and paid once
                if number == _TRIES or path == "begin":
                    raise InfrastructureError(f"the coordinator: {type(error).__name__}", kind="connection") from None
                await asyncio.sleep(number)
        if "error" in found:
            said = as_object(found["error"]).get("message")
            raise InfrastructureError(f"the coordinator: {said}", kind="connection")
        if "stop" in found:
            raise _KINDS.get(found["stop"], InfrastructureError)(found["text"])
        return found


@asynccontextmanager
async def reached(at: str) -> AsyncGenerator[Coordinator]:
    """The coordinator at an address, told that a run begins.

    Raises:
        NotHere: if it is not there.
    """
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS)
    async with aiohttp.ClientSession(
        timeout=timeout, connector=aiohttp.TCPConnector(limit=0), cookie_jar=aiohttp.DummyCookieJar()
    ) as session:
        found = Coordinator(at, session)
        try:
            await found.tell("begin", {})
        except InfrastructureError:
            place = urlsplit(at).netloc
            raise NotHere(
                f"the coordinator cannot be reached at {place} from there; {COORDINATOR} says where it can be"
            ) from None
        yield found


def environment() -> dict[str, str | None] | None:
    """How the variables of a worker that runs programs differ from this process's: where keys of models are, words stand that mean them,
    and models are where they are here. None where the address of one holds a password, which cannot be told."""
    found: dict[str, str | None] = {"FLOWBOT_STORE": None}
    for name, row in providers().items():
        found |= {key: _word(key) if os.environ.get(key) else None for key in row.keys}
        found |= {each: os.environ.get(each) for each in _bases(name, row)}
        if any(url and public_url(url) != url for url in map(found.get, _bases(name, row))):
            return None
    return found


def with_keys(url: str, headers: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """A request with keys in place of the words that mean them, where it goes to whom they are for, by the scheme that is theirs."""
    to, keys = urlsplit(url)[:2], dict[str, str]()
    for name, row in providers().items():
        places = (row.base_url, *(os.environ.get(each, "") for each in _bases(name, row)))
        if to[1] and to in (urlsplit(each)[:2] for each in places):
            keys |= {_word(key): os.environ.get(key, "") for key in row.keys}

    def put(text: str, written: Callable[[str], str] = str) -> str:
        for word, key in keys.items():
            text = text.replace(word, written(key))
        return text

    return put(url, quote), {name: put(text) for name, text in headers.items()}


def _bases(name: str, row: Provider) -> tuple[str, ...]:
    return tuple(filter(None, (row.base_variable, *_BESIDE.get(name, ()))))


def _word(key: str) -> str:
    return f"{_WORD}{key}"
