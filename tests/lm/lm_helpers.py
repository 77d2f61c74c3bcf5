"""A client whose replies and faults a test writes down, and sessions around it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from flowbot.fields import Usage
from flowbot.lm.budget import Budget
from flowbot.lm.client import Identity, Message, Patience, Reply, Request
from flowbot.lm.clock import VirtualClock
from flowbot.lm.lm import LM
from flowbot.lm.pace import Pace
from flowbot.lm.session import Session
from flowbot.store import Store

Answering = Callable[[Request, int], "Reply | str | Exception"]


def request(text: str = "hello", *, max_tokens: int = 50, temperature: float = 0.0) -> Request:
    return Request((Message("user", text),), max_tokens, temperature)


def reply(text: str, *, read: int = 10, written: int = 5, finish: str = "stop") -> Reply:
    return Reply(text, finish, Usage(calls=1, input_tokens=read, output_tokens=written), 0.5)  # type: ignore[arg-type]


class ScriptedClient:
    """Answers with `answering(request, number of this call)`; an exception is raised. Waits until `gate` is open."""

    def __init__(self, answering: Answering, *, price_ref: str | None = "free", name: str = "scripted") -> None:
        self.answering = answering
        self.identity = Identity("fake", "", name)
        self.default_concurrency = 8
        self.price_ref = price_ref
        self.clock = VirtualClock()
        self.gate = asyncio.Event()
        self.gate.set()
        self.sent: list[Request] = []
        self.now_in_flight = 0
        self.most_in_flight = 0
        self.closed = 0

    async def complete(self, request: Request, patience: Patience | None = None) -> Reply:
        self.sent.append(request)
        number = len(self.sent)
        self.now_in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.now_in_flight)
        try:
            await asyncio.sleep(0)
            await self.gate.wait()
            answer = self.answering(request, number)
        finally:
            self.now_in_flight -= 1
        if isinstance(answer, Exception):
            raise answer
        return reply(answer) if isinstance(answer, str) else answer

    async def close(self) -> None:
        self.closed += 1


def make_lm(
    answering: Answering,
    *,
    store: Store | None = None,
    budget: Budget | None = None,
    concurrency: int | None = None,
    **more: object,
) -> LM:
    session = Session(store or Store.memory(), budget or Budget(), pace=Pace(concurrency))
    return LM(ScriptedClient(answering), session, **more)  # type: ignore[arg-type]


def client_of(lm: LM) -> ScriptedClient:
    assert isinstance(lm.client, ScriptedClient)
    return lm.client


async def until(condition: Callable[[], bool]) -> None:
    """Let the others run until `condition` holds; fails if it never does."""
    for _ in range(100_000):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("what was waited for did not happen")
