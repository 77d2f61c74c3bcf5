"""One client of the proxy: which models it may ask, what its equal requests are, and what it took."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import replace
from heapq import heappop, heappush
from typing import Any, Literal
from urllib.parse import quote

from flowbot.fields import Usage, UserError
from flowbot.fields.foreign import short
from flowbot.fields.near import one_of
from flowbot.lm.client import Reply, Request
from flowbot.lm.lm import LM, Draw
from flowbot.lm.rows import read_row
from flowbot.lm.session import Session
from flowbot.store import Kind, Store

from .bodies import Asked, BadRequest
from .faults import NotStored

Mode = Literal["record", "replay", "refuse"]
"""What becomes of a request that the store has no reply to: asked and kept, asked and not kept, or refused."""
MAX_TOKENS = 4096
"""Of a reply whose client names no ceiling; thoughts have room besides. A context with less room ends a reply sooner."""


class _Draws:
    """The draws of one kind of request: the n-th is n, and one that was not delivered is the next request's."""

    def __init__(self) -> None:
        self._next = 0
        self._back: list[int] = []

    def take(self) -> int:
        if self._back:
            return heappop(self._back)
        self._next += 1
        return self._next - 1

    def give_back(self, number: int) -> None:
        heappush(self._back, number)


class Access:
    """One client's way in: `Proxy.open` makes it.

    The n-th equal request is draw n, counted under this token and, where `url_for` names one, for that example alone. A request at
    temperature 0 or with a seed is one draw, however often it is made. A request that ended in an error, or whose client hung
    up, leaves its draw to the next one. So whoever makes the same requests in the same order gets the same replies, from the
    store, under whichever token.

    Args:
        token: the secret; it stands in every address.
        base: address of the proxy.
        session, models, mode, purpose, max_tokens: as of `Proxy.open`.
        series: which of several series of draws; each has its own.
        closed: told when it is closed.
    """

    def __init__(
        self,
        token: str,
        base: str,
        session: Session,
        models: Mapping[str, LM],
        *,
        mode: Mode,
        purpose: str,
        max_tokens: int,
        series: int,
        closed: Callable[[str], None],
    ) -> None:
        self.failed: Callable[[Exception], object] = lambda error: None
        """Is told why a request was not answered; may be set."""
        self.token = token
        self.session = session
        self.purpose = purpose
        self.took: dict[str, Usage] = defaultdict(Usage)
        """What calls took, or took when they were first paid, by the id of the example; "" where none is named."""
        self._counted: set[tuple[str, str]] = set()
        self._missed: set[str] = set()
        self._base = f"{base}/t/{token}"
        self._mode = mode
        self._max_tokens = max_tokens
        self._series = (series,) if series else ()
        self._closed = closed
        self._draws: dict[tuple[str, str], _Draws] = defaultdict(_Draws)
        part = session.over(_Unkept(session.store) if mode == "replay" else session.store)
        part.admit = self._admit
        self.models = {name: lm.of(part) for name, lm in models.items()}

    @property
    def misses(self) -> int:
        """Calls that the store had no reply to."""
        return len(self._missed)

    @property
    def url(self) -> str:
        """The base URL for a client."""
        return f"{self._base}/v1"

    @property
    def budget_url(self) -> str:
        """Where the client may read what of its budget is used: `{"calls": {"used": 3, "ceiling": 20}, …}`."""
        return f"{self._base}/budget"

    def url_for(self, example: str) -> str:
        """The base URL for a client at work on one example: its draws are counted for that example alone.

        Raises:
            UserError: for an id that no address can hold.
        """
        quoted = quote(example, safe="")
        if quoted in ("", ".", "..") or len(quoted) > 4000:
            raise UserError("example", short(example), "another id: no address can hold this one")
        return f"{self._base}/e/{quoted}/v1"

    def close(self) -> None:
        """The token is no longer taken; what is under way goes on. May be called twice."""
        self._closed(self.token)

    @property
    def budget(self) -> dict[str, Any]:
        """What of each ceiling is used."""
        budget = self.session.budget
        ceilings = {"calls": budget.calls, "tokens": budget.tokens, "usd": budget.usd}
        return {
            name: {"used": budget.used[name], "ceiling": ceilings[name], "left": budget.left.get(name)}
            for name in ("calls", "tokens", "usd")
        }

    def require(self, model: str) -> LM:
        """The model of that name.

        Raises:
            BadRequest: if there is none.
        """
        if model not in self.models:
            text = f"model: found {short(model)}; expected {one_of(model, self.models)}"
            raise BadRequest(text, "model", "model_not_found")
        return self.models[model]

    async def ask(self, asked: Asked, example: str) -> tuple[list[str], list[Reply]]:
        """The replies to a request, with the keys of their calls.

        Raises:
            BadRequest: for an unknown model.
            NotStored: in mode `refuse`, if the store lacks one.
            BudgetExceeded, InfrastructureError, RefusedError, ModelError, Paused: as `LM.ask`.
        """
        try:
            return await self._ask(asked, example)
        except Exception as error:
            self.failed(error)
            raise

    async def _ask(self, asked: Asked, example: str) -> tuple[list[str], list[Reply]]:
        lm = self.require(asked.model)
        # The draws are taken before anything is awaited: in the order in which the requests came.
        drawn = [self._draw(lm, each, example) for each in each_of(asked)]
        calls = [asyncio.ensure_future(self._reply(lm, each, draw, example)) for each, _, draw in drawn]
        try:
            found = await asyncio.gather(*calls)
        except BaseException:
            for _, draws, draw in drawn:
                if draws is not None:
                    draws.give_back(int(draw[-1]))
            for call in calls:
                call.cancel()
            await asyncio.gather(*calls, return_exceptions=True)
            raise
        return [key for key, _ in found], [reply for _, reply in found]

    def _draw(self, lm: LM, request: Request, example: str) -> tuple[Request, _Draws | None, Draw]:
        if request.temperature == 0 or request.seed is not None:
            return request, None, ()
        draws = self._draws[example, lm.key(request)]
        return request, draws, (*self._series, draws.take())

    async def _reply(self, lm: LM, request: Request, draw: Draw, example: str) -> tuple[str, Reply]:
        if not request.max_tokens:
            request = replace(request, max_tokens=await lm.limit(self._max_tokens))
        while True:
            key, reply = lm.key(request, draw), await lm.ask(request, purpose=self.purpose, draw=draw)
            if (example, key) not in self._counted:
                self._counted.add((example, key))
                self.took[example] += reply.took
            if not reply.ready:
                return key, reply
            # The model needs no more calls, and is to be asked for its answer.
            request = replace(request, tool_choice="none")

    async def _admit(self, key: str) -> None:
        """Before every call, the question whether a model thinks among them: no other way leads past the mode."""
        if (refused := self.session.admit(key)) is not None:
            await refused
        if not await _is_stored(self.session.store, key):
            self._missed.add(key)
            if self._mode == "refuse":
                raise NotStored("no stored reply to this request")


def each_of(asked: Asked) -> list[Request]:
    """A request for each reply: with a seed, each with one of its own, or all would be the same."""
    request, seed = asked.request, asked.request.seed
    if seed is None:
        return [request] * asked.count
    return [replace(request, seed=seed + number) for number in range(asked.count)]


async def _is_stored(store: Store, key: str) -> bool:
    value = await store.get(key)
    try:
        return value is not None and read_row(value).reply is not None
    except ValueError:
        return True  # damaged: to be said by whoever asks


class _Unkept(Store):
    """The responses of a store, with others before them that are not kept there.

    Args:
        kept: the store.
    """

    def __init__(self, kept: Store) -> None:
        super().__init__(None, None, None)
        self._kept = kept

    def peek(self, key: str) -> dict[str, Any] | None:
        found = super().peek(key)
        return self._kept.peek(key) if found is None else found

    async def get(self, key: str) -> dict[str, Any] | None:
        found = await super().get(key)
        return await self._kept.get(key) if found is None else found

    async def put(self, key: str, value: dict[str, Any], *, kind: Kind = "lm", replace: bool = False) -> dict[str, Any]:
        first = None if replace or kind != "lm" else await self._kept.get(key)
        if first is not None and "tries" not in first:
            return first
        return await super().put(key, value, kind=kind, replace=replace)
