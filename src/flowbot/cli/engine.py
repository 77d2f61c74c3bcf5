"""What `run` and `eval` need: the store, the session, the model, the engine, each closed at the end."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from flowbot.fields import UserError

if TYPE_CHECKING:
    from flowbot.lm import StopSignal
    from flowbot.runtime import Engine, Sandbox
    from flowbot.task import Tool
    from flowbot.workflow import Workflow

    from .options import Calls


def needs_model(workflow: Workflow) -> list[str]:
    """The steps that ask the model of `--model`."""
    from flowbot.workflow import asked_models

    return [path for path, model in asked_models(workflow) if model is None]


def require_model(workflow: Workflow, model: str | None) -> None:
    """Refuse to start without a model that the workflow needs.

    Raises:
        UserError: naming the option.
    """
    steps = needs_model(workflow)
    if steps and model is None:
        raise UserError(
            "--model",
            f"nothing, and step {steps[0]} asks a model",
            "a model such as openai/gpt-4.1-mini or local/qwen2.5-coder-0.5b; `flowbot models` lists what there is",
        )


def require_price(calls: Calls, *models: str | None) -> None:
    """Refuse a ceiling in dollars where a price is unknown, before anything is paid.

    Raises:
        UserError: naming the model and the option that gives a price.
    """
    from flowbot.fields import Usage
    from flowbot.lm import price_of

    if calls.max_usd is None:
        return
    for model in models:
        if model is not None and price_of(model, Usage(1, 1000, 1000), calls.prices()) is None:
            raise UserError(
                "--max-usd", f"no known price of {model}", "one by --price IN,OUT (dollars per million tokens)"
            )


@asynccontextmanager
async def open_engine(
    model: str | None,
    calls: Calls,
    *,
    tools: Mapping[str, Tool],
    stop: StopSignal,
    say: Callable[[str], None],
    sandbox: Sandbox | None = None,
    allow_writes: bool = False,
    live: bool = False,
) -> AsyncGenerator[Engine]:
    """An engine with a session of its own.

    Args:
        model: model string of the steps that name no other; None where all of them do.
        calls: ceilings, prices, places.
        tools: by name.
        stop: set it to pause.
        say: told news in a line, as of models that are fetched.
        sandbox: where code runs; closed at the end.
        allow_writes: let tools write for real.
        live: True for a workflow in use: its tools are called for real, every time.
    """
    from flowbot.lm import LM, Session, open_lm
    from flowbot.runtime import Engine
    from flowbot.runtime.executors import open_executor
    from flowbot.store import Store, default_cache_dir

    cache = calls.cache_dir or default_cache_dir()
    price = calls.prices()
    async with AsyncExitStack() as stack:
        store = Store.open(cache / "store.sqlite")
        stack.push_async_callback(store.close)
        session = Session(store=store, budget=calls.budget(), stop=stop, pace=calls.pace(), on_retry=say)

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
            open_model=opened,
            allow_writes=allow_writes,
            executor=open_executor(calls.executor),
            live=live,
        )
        stack.push_async_callback(engine.close)
        yield engine
