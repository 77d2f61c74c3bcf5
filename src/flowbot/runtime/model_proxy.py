"""Models of a workbench behind a loopback address, for a program that is none of ours: `fb.ModelProxy`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack, ExitStack
from typing import get_args

from flowbot.fields import UserError
from flowbot.fields.arguments import checked_arguments as checked
from flowbot.fields.arguments import choice, one_kind
from flowbot.lm.budget import Budget
from flowbot.lm.callable_model import ModelLike, model_string
from flowbot.lm.proxy import Access, Mode, Proxy

from .open_model import open_lm
from .workbench import Workbench


class ModelProxy:
    """Models behind an address that speaks OpenAI's protocol, for a program that is none of ours, in whatever language: its
    calls are stored, replayed, counted and held by a budget as ours are.

        >>> with fb.ModelProxy("openai/gpt-4.1-mini", budget=fb.Budget(usd=1)) as access:
        ...     client = OpenAI(base_url=access.url, api_key=access.token)
        ...     client.chat.completions.create(model="openai/gpt-4.1-mini", messages=[{"role": "user", "content": "…"}])
        ...     access.session.ledger.logical          # what it took; access.misses: calls that were not stored

    Left, it waits for the requests under way. In async code it is an `async with`, on the event loop that it stands in: whoever
    blocks that loop, as with a client that is not async, waits for himself. One access is for one program: its
    equal requests are counted as draws, so that the same program run again gets the same replies.

    Args:
        models: model strings, or functions of your own, by the names that the program asks for; or one model string, which is its own name.
        mode: `record`: stored replies serve, other requests are asked and kept. `replay`: those are asked and not kept. `refuse`:
            those are refused.
        budget: ceilings of the program.
        workbench: what it shares with runs; one of its own when None.

    Raises:
        UserError: when it is opened, for an unknown model, a missing key or price, or a store that cannot serve.
    """

    @checked(
        models=(one_kind(str, Mapping), "a model string such as 'openai/gpt-4.1-mini', or a mapping of names to such"),
        mode=choice(get_args(Mode)),
        budget=(one_kind(Budget), "fb.Budget(calls=…, usd=…)"),
        workbench=(one_kind(Workbench), "an fb.Workbench()"),
    )
    def __init__(
        self,
        models: str | Mapping[str, ModelLike],
        *,
        mode: Mode = "record",
        budget: Budget | None = None,
        workbench: Workbench | None = None,
    ) -> None:
        given = {models: models} if isinstance(models, str) else models
        self._models = {name: model_string(each, f"models[{name!r}]") for name, each in given.items()}
        self._mode: Mode = mode
        self._budget = budget
        self._workbench = workbench
        self._stack: AsyncExitStack | None = None
        self._outside = ExitStack()

    async def __aenter__(self) -> Access:
        return await self._open(self._workbench)

    async def __aexit__(self, *_: object) -> None:
        await self._close()

    def __enter__(self) -> Access:
        with ExitStack() as stack:
            bench = self._workbench or stack.enter_context(Workbench())
            bench.require_elsewhere()
            opening = asyncio.run_coroutine_threadsafe(self._open(bench), bench.loop)
            stack.callback(opening.cancel)  # on Ctrl-C
            access = opening.result()
            stack.callback(lambda: asyncio.run_coroutine_threadsafe(self._close(), bench.loop).result())
            self._outside = stack.pop_all()
        return access

    def __exit__(self, *_: object) -> None:
        self._outside.close()

    async def _open(self, bench: Workbench | None) -> Access:
        if self._stack is not None:
            raise UserError("ModelProxy", "one that is open already", "one fb.ModelProxy(…) for each program")
        async with AsyncExitStack() as stack:
            if bench is None:
                bench = await stack.enter_async_context(Workbench())
            await stack.enter_async_context(bench.working())
            session = bench.session(self._budget)
            opened = {
                name: open_lm(model, session, cache_dir=bench.cache_dir, price=bench.price)
                for name, model in self._models.items()
            }
            for lm in opened.values():
                stack.push_async_callback(lm.close)
            proxy = await stack.enter_async_context(Proxy())
            access = proxy.open(session, opened, mode=self._mode)
            self._stack = stack.pop_all()
        return access

    async def _close(self) -> None:
        stack, self._stack = self._stack, None
        if stack is not None:
            await stack.aclose()
