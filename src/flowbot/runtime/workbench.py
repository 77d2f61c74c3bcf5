"""What runs are worked on with, opened once and shared by any number of them: store, models, limits, sandbox, executor."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Unpack, cast

from flowbot.fields import UserError
from flowbot.fields.arguments import SWITCH, require_value
from flowbot.lm.budget import Budget
from flowbot.lm.connections import Connections
from flowbot.lm.prices import Price
from flowbot.lm.session import Session
from flowbot.lm.stop import StopSignal
from flowbot.store import Kind, Store, default_cache_dir, open_store

from .engine import Engine
from .executors import Executor, open_executor
from .forking import keep_when_forked
from .open_model import Say, open_lm
from .sandbox.chosen import ChosenSandbox
from .settings import DEFAULTS, CallSettings, WorkbenchSettings, require_settings, with_settings

if TYPE_CHECKING:
    from flowbot.lm.lm import LM
    from flowbot.task import Tool
    from flowbot.task.programs import UserProgram


CLOSED = "the workbench is closed"
"""Why a run paused that was under way when a workbench was left."""


class _Forgetful(Store):
    """Remembers what an endpoint can do and no response: a workflow in use asks anew, and grows with no call."""

    async def put(
        self, key: str, value: dict[str, object], *, kind: Kind = "lm", replace: bool = False
    ) -> dict[str, object]:
        return await super().put(key, value, kind=kind, replace=replace) if kind == "probe" else value


@with_settings(CallSettings, WorkbenchSettings)
class Workbench:
    """What any number of runs share, at once or one after another: the stored responses, the models' servers and
    connections, the limits of each endpoint, the sandbox, the executor and a budget. Each run counts for itself.

        >>> async with fb.Workbench(budget=fb.Budget(usd=10), pace=fb.Pace(concurrency=32)) as bench:
        ...     runs = (fb.optimize_async(task, lm="openai/gpt-4.1-mini", seed=seed, workbench=bench) for seed in range(3))
        ...     results = await asyncio.gather(*runs)

    In plain code it is a `with`, on an event loop in a thread of its own; `fb.optimize` and `fb.evaluate` then work on that
    loop. Nothing is opened before it is needed.

    Whoever leaves the `with` waits for the runs that are under way; no other one can begin meanwhile. Left by an error, or
    interrupted while it waits, it asks them to pause first, as `stop` does: what was paid for is stored, and the same call goes on.

    Args:
        stored: False: replies are kept nowhere, and nothing is written.

    Raises:
        UserError: for a setting that there is none of, or of another kind than it is.
    """

    def __init__(self, *, stored: bool = True, **settings: Unpack[WorkbenchSettings]) -> None:
        require_value("stored", stored, {"stored": SWITCH})
        require_settings("Workbench", settings, WorkbenchSettings)
        self.budget = settings.get("budget")
        self.cache_dir = Path(settings.get("cache_dir") or default_cache_dir())
        self.price = settings.get("price")
        self.stop = settings.get("stop") or StopSignal()
        self.sandbox = ChosenSandbox(settings.get("sandbox"))
        self.executor: Executor = open_executor(settings.get("executor") or "loop")
        self._pace = settings.get("pace")
        self._max_reply = settings.get("max_reply_tokens")
        self._stored = stored
        self._connections: Connections | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._process = 0
        self._under_way = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._closing = False
        self._pausing = StopSignal()
        self._thread: threading.Thread | None = None
        self.guests: set[Callable[[], Awaitable[None]]] = set()
        """What closes those that use it and are nobody's run, as a flow: they are closed before it is."""
        keep_when_forked(self)

    @property
    def connections(self) -> Connections:
        """The models' clients and gates, with the store, which is opened at first need.

        Raises:
            UserError: if the store cannot serve.
        """
        if self._connections is None:
            store = open_store(self.cache_dir) if self._stored else _Forgetful(None, None, None)
            self._connections = Connections(store, self._pace, keep=True)
        return self._connections

    @property
    def batches(self) -> bool:
        """Whether examples go by batches."""
        return self._pace is not None and self._pace.batch

    def budget_within(self, budget: Budget | None) -> Budget:
        """A run's ceilings, which count within those of all.

        Raises:
            UserError: if they are those of another run.
        """
        if self.budget is None:
            return budget or Budget()
        return self.budget.child() if budget is None else budget.within(self.budget)

    def session(
        self,
        budget: Budget | None = None,
        *,
        stop: StopSignal | None = None,
        say: Say | None = None,
        stored: bool = True,
    ) -> Session:
        """One run's own: what it counts, and its wish to stop.

        Args:
            budget: the run's ceilings, within those of all.
            stop: pauses this run alone.
            say: told of calls that are sent again.
            stored: False: replies are kept nowhere, and none that is kept is taken.

        Raises:
            UserError: if the store cannot serve, the budget is one of another run, or the workbench is not open on this
                event loop.
        """
        if self.loop is not asyncio.get_running_loop():
            raise UserError(
                "workbench", "one that is not open on this event loop", "async with fb.Workbench() as bench: …"
            )
        budget = self.budget_within(budget)
        own = StopSignal()  # so that who pauses this run alone does not set a signal of the user's
        for each in (stop, self._pausing):
            if each is not None:
                own.follow(each)
        stored = stored and self._stored
        store = self.connections.store if stored else _Forgetful(None, None, None)
        return Session(store, budget, stop=own, on_retry=say, lasting=stored, connections=self.connections)

    @asynccontextmanager
    async def engine(
        self,
        model: str | None,
        session: Session,
        *,
        tools: Mapping[str, Tool],
        price: Price | None = None,
        say: Say | None = None,
        allow_writes: bool = False,
        models: Collection[str] = (),
        judge_model: str | None = None,
        live: bool = False,
        programs: Iterable[UserProgram] = (),
        stand_in: bool = True,
    ) -> AsyncGenerator[Engine]:
        """What runs workflows for one run; at the end nothing of it is under way any more.

        Args:
            model: model string of the steps that name no other; None where all of them do.
            session: the run.
            tools: by name.
            price: USD per million input and output tokens, where a model's price is not known.
            say: told news in a line, as of models that are fetched.
            allow_writes: let tools write for real.
            models: the user's list: what steps and judges may name; see `allowed_models`.
            judge_model: model string of the metric's judges that name none; `model` when None.
            programs: a user's own, which workflows may run.
            stand_in: whether `model` answers in place of the models that programs name.
            live: True for a workflow in use: its tools are called for real, every time.

        Raises:
            UserError: for an unknown model, a missing key or price, or a store that cannot serve.
            InfrastructureError: if the executor has nowhere to run calls.
        """

        def opened(name: str) -> LM:
            return open_lm(name, session, cache_dir=self.cache_dir, price=price or self.price, say=say)

        await self.executor.ready()
        async with AsyncExitStack() as stack:
            lm = None if model is None else opened(model)
            if lm is not None:
                stack.push_async_callback(lm.close)
            if lm is not None and self.batches and getattr(lm.client, "batches", None) is None:
                expected = "a model of openai, anthropic or groq at one address, or no --batch"
                raise UserError("--batch", f"model {model}, of whose batches FlowBot knows nothing", expected)
            engine = Engine(
                lm,
                session,
                tools=tools,
                sandbox=self.sandbox,
                executor=self.executor,
                allow_writes=allow_writes,
                open_model=opened,
                models=models,
                judge_model=judge_model,
                live=live,
                programs={each.name: each for each in programs},
                price=price or self.price,
                max_reply=self._max_reply,
                stand_in=stand_in,
            )
            stack.push_async_callback(engine.close)
            yield engine

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop that its runs work on.

        Raises:
            UserError: if it is not open in this process.
        """
        if self._loop is None or self._process != os.getpid():
            raise UserError("workbench", "one that is not open", "with fb.Workbench() as bench: …")
        return self._loop

    def require_elsewhere(self) -> None:
        """Refuse to wait for a run in the thread that the run would work in.

        Raises:
            UserError: if it is this one, naming what to do.
        """
        with suppress(RuntimeError):
            if asyncio.get_running_loop() is self.loop:
                raise UserError(
                    "workbench",
                    "one of this event loop, which cannot wait for itself",
                    "await fb.optimize_async(…), fb.evaluate_async(…) or flow.acall(…)",
                )

    @asynccontextmanager
    async def working(self) -> AsyncGenerator[None]:
        """Something is under way while inside: `close` waits for it.

        Raises:
            UserError: if the workbench is not open, or being closed.
        """
        if self.loop and self._closing:
            raise UserError("workbench", "one that is being closed", "a run that begins before its `with` is left")
        self._under_way += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._idle.set()

    async def close(self, *, pause: bool = False) -> None:
        """Wait for what is under way, then close what was opened: models, sandbox, executor, store. May be called twice.

        Args:
            pause: ask the runs to pause, which ends them within some 10 s. So does whoever cancels it while it waits.
        """
        if self._process not in (0, os.getpid()):  # forked: all of it is the parent's
            return
        self._closing = True
        if pause:
            self._pausing.set(CLOSED)
        try:
            await self._idle.wait()
        except asyncio.CancelledError:
            self._pausing.set(CLOSED)
            await self._idle.wait()
            raise
        finally:
            self._loop = None
            connections, self._connections = self._connections, None
            async with AsyncExitStack() as stack:
                if connections is not None:
                    stack.push_async_callback(connections.store.close)
                    stack.push_async_callback(connections.close)
                stack.push_async_callback(self.executor.close)
                stack.push_async_callback(self.sandbox.close)
                for each in tuple(self.guests):
                    stack.push_async_callback(each)

    async def __aenter__(self) -> Workbench:
        self._open_on(asyncio.get_running_loop())
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        await self.close(pause=kind is not None)

    def __enter__(self) -> Workbench:
        loop = asyncio.new_event_loop()
        try:
            self._open_on(loop)
        except UserError:
            loop.close()
            raise
        self._thread = threading.Thread(target=turn, args=(loop,), name="flowbot-workbench", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._process != os.getpid():  # forked: all of it is the parent's
            return
        loop, thread = self.loop, self._thread
        closed = asyncio.run_coroutine_threadsafe(self.close(pause=kind is not None), loop)
        try:
            closed.result()
        except KeyboardInterrupt:
            self._pausing.set(CLOSED)
            closed.result()  # the pause; a second Ctrl-C leaves from here
            raise
        finally:
            loop.call_soon_threadsafe(loop.stop)
            if thread is not None:
                thread.join()

    def _open_on(self, loop: asyncio.AbstractEventLoop) -> None:
        """Open it for runs on that loop.

        Raises:
            UserError: if it is open already: whoever closes it first would close it for both.
        """
        if self._loop is not None and self._process == os.getpid():
            raise UserError("workbench", "one that is open already", "one `with` around all runs on it")
        self._loop, self._process, self._closing = loop, os.getpid(), False
        self._pausing, self._idle = StopSignal(), asyncio.Event()
        self._pausing.follow(self.stop)
        self._idle.set()


@asynccontextmanager
async def on_workbench(
    workbench: Workbench | None, settings: WorkbenchSettings, *, stored: bool = True
) -> AsyncGenerator[Workbench]:
    """The workbench that the user gives, or one for this run alone; its budget, price and stop are the run's own either way.

    Raises:
        UserError: if a setting stands beside a workbench that has its own; see `refuse_beside`.
    """
    if workbench is not None:
        refuse_beside(settings)
        yield workbench
        return
    opening = {name: value for name, value in settings.items() if name in _OF_ALL and value is not None}
    async with Workbench(**cast("WorkbenchSettings", opening), stored=stored) as own:
        yield own


_OF_ALL = ("cache_dir", "pace", "sandbox", "executor", "max_reply_tokens")
"""Settings of a workbench that its runs have none of their own of."""


def refuse_beside(settings: Mapping[str, object]) -> None:
    """Refuse settings that stand beside a workbench, which has its own.

    Raises:
        UserError: naming them.
    """
    given = [name for name in _OF_ALL if settings.get(name) not in (None, DEFAULTS.get(name))]
    if given:
        raise UserError(", ".join(given), "beside a workbench, which has its own", f"fb.Workbench({given[0]}=…)")


def turn(loop: asyncio.AbstractEventLoop) -> None:
    """Run a loop until it is stopped, then end what is under way still: in other threads somebody may wait for it."""
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
        for task in (left := asyncio.all_tasks(loop)):
            task.cancel()
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
    finally:
        loop.close()
