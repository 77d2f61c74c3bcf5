"""An engine on the user's store, with a session of its own: what evaluating, and running from the command line, need."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Collection, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from flowbot.lm.budget import Budget
from flowbot.lm.pace import Pace
from flowbot.lm.session import Session
from flowbot.lm.stop import StopSignal
from flowbot.store import Store, default_cache_dir

from .engine import Engine
from .executors import ExecutorName, open_executor
from .open_model import open_lm

if TYPE_CHECKING:
    from flowbot.lm.lm import LM
    from flowbot.task import Tool

    from .sandbox import Sandbox


@asynccontextmanager
async def stored_engine(
    model: str | None,
    *,
    tools: Mapping[str, Tool],
    sandbox: Sandbox | None = None,
    budget: Budget | None = None,
    cache_dir: Path | str | None = None,
    pace: Pace | None = None,
    price: tuple[float, float] | None = None,
    executor: ExecutorName = "loop",
    stop: StopSignal | None = None,
    say: Callable[[str], None] | None = None,
    allow_writes: bool = False,
    models: Collection[str] = (),
    judge_model: str | None = None,
    live: bool = False,
) -> AsyncGenerator[Engine]:
    """The engine; at the end store, models, sandbox and executor are closed.

    Args:
        model: model string of the steps that name no other; None where all of them do.
        tools: by name.
        sandbox: where code runs; the first that can be had when None.
        budget: ceilings.
        cache_dir: folder of the store and of local models; the user's cache folder when None.
        pace: how fast each endpoint may be called.
        price: USD per million input and output tokens, where a model's price is not known.
        executor: where metrics and tools that are plain functions run.
        stop: set it to pause.
        say: told news in a line, as of models that are fetched.
        allow_writes: let tools write for real.
        models: the user's list: what steps and judges may name; see `own_models`.
        judge_model: model string of the metric's judges that name none; `model` when None.
        live: True for a workflow in use: its tools are called for real, every time.

    Raises:
        UserError: for an unknown model, a missing key or price, or a store that cannot serve.
    """
    cache = Path(cache_dir or default_cache_dir())
    async with AsyncExitStack() as stack:
        store = Store.open(cache / "store.sqlite")
        stack.push_async_callback(store.close)
        session = Session(
            store=store, budget=budget or Budget(), stop=stop or StopSignal(), pace=pace or Pace(), on_retry=say
        )

        def opened(name: str) -> LM:
            return open_lm(name, session, cache_dir=cache, price=price, say=say)

        lm = None if model is None else opened(model)
        if lm is not None:
            stack.push_async_callback(lm.close)
        engine = Engine(
            lm,
            session,
            tools=tools,
            sandbox=sandbox,
            executor=open_executor(executor),
            allow_writes=allow_writes,
            open_model=opened,
            models=models,
            judge_model=judge_model,
            live=live,
        )
        stack.push_async_callback(engine.close)
        yield engine
