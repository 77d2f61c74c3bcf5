"""How a user's own function is asked: as an endpoint of chat completions that takes what its signature says.

What it cannot be told by an argument the messages say, as for an endpoint that knows no such member. Tokens are guessed from the
texts' lengths where it returns only a text.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, cast

from flowbot.fields import InfrastructureError, UserError
from flowbot.fields.bounds import MESSAGE_BYTES
from flowbot.fields.numbers import shown

from .callable_model import NAMED_BY, CallableModel, found_callable
from .capabilities import Capabilities
from .client import Identity, Patience
from .foreign_faults import foreign
from .openai import OpenAIClient
from .providers import CALLABLE
from .wire import PATIENCE

MEMBERS = ("max_tokens", "temperature", "seed", "response_format")
"""Of a request's body, what a function is called with where it has an argument of that name."""


def callable_account(name: str) -> str:
    """Tells the function of that name from one that was given under it before. It is kept in memory alone."""
    model = found_callable(name)
    return "" if model is None else str(id(model.call))


def open_callable(name: str) -> OpenAIClient:
    """The client of a function that `model_string` was given.

    Raises:
        UserError: if there is none of that name in this process.
    """
    model = found_callable(name)
    if model is None:
        raise UserError(f"model {CALLABLE}/{name}", "no function of that name in this program", f"lm={NAMED_BY}")
    wire = CallableWire(model)
    can = Capabilities(
        reply_format="schema" if "response_format" in wire.members else "prompt",
        temperature="temperature" in wire.members,
        seed="seed" in wire.members,
        tools="json",
    )
    return OpenAIClient(Identity(CALLABLE, "", name), wire, capabilities=can, concurrency=model.concurrency)


class CallableWire:
    """Calls the function in place of an endpoint; see `openai.Poster`.

    Failure policy: what it raises is an infrastructure error, and tried again unless it is a mistake in its code; see `fault_of`.
    A thread that a call was given up in cannot be ended, and is waited for by nobody.
    """

    def __init__(self, model: CallableModel) -> None:
        self.model = model
        self.where = f"{getattr(model.call, '__qualname__', type(model.call).__qualname__)}()"
        self.members = _members(model.call)
        self._threads: ThreadPoolExecutor | None = None

    async def post(self, path: str, body: dict[str, Any], patience: Patience | None = None) -> dict[str, Any]:
        """The reply to a request's body in the form of a chat completion.

        Raises:
            InfrastructureError: if the function raises, takes too long, or returns something else than it should.
        """
        seconds = PATIENCE if patience is None or patience.seconds is None else patience.seconds
        given = {name: body[name] for name in self.members if name in body}
        with foreign(self.where):
            async with asyncio.timeout(seconds):
                answer = await self._answer(body["messages"], given)
        if isinstance(answer, Mapping):
            return dict(cast("Mapping[str, Any]", answer))
        if not isinstance(answer, str) or len(answer) > MESSAGE_BYTES:
            found = shown(answer) if not isinstance(answer, str) else f"a text of {len(answer):,} characters"
            raise InfrastructureError(f"{self.where}: returned {found}, which is no reply", kind="garbage", fatal=True)
        return {"choices": [{"message": {"content": answer}, "finish_reason": "stop"}]}

    async def close(self) -> None:
        """Let its threads end. May be called twice."""
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)
            self._threads = None

    async def _answer(self, messages: list[dict[str, Any]], given: dict[str, Any]) -> object:
        call = self.model.call
        if inspect.iscoroutinefunction(call) or inspect.iscoroutinefunction(getattr(call, "__call__", None)):  # noqa: B004
            return await call(messages, **given)
        if self._threads is None:
            self._threads = ThreadPoolExecutor(self.model.concurrency, thread_name_prefix="flowbot-model")
        variables = copy_context()
        asked = asyncio.get_running_loop().run_in_executor(
            self._threads, lambda: variables.run(call, messages, **given)
        )
        answer: object = await asked
        return await answer if inspect.isawaitable(answer) else answer


def _members(call: Callable[..., Any]) -> tuple[str, ...]:
    try:
        parameters = inspect.signature(call).parameters
    except (TypeError, ValueError):  # one that is written in C
        return ()
    named = [each for each in MEMBERS if each in parameters]
    return tuple(each for each in named if parameters[each].kind is not inspect.Parameter.POSITIONAL_ONLY)
