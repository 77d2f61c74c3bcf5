"""One run of a program from its begin to its end: who watches it, its tap, and the time that it takes of its own."""

from __future__ import annotations

import asyncio
import inspect
import os
import threading
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextvars import copy_context
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from flowbot.program.watching import current, watcher
from flowbot.runtime.threads import in_thread
from flowbot.workflow.parameters import ProgramParameters

from .watching import Fill, Watching

if TYPE_CHECKING:
    from flowbot.lm.tap import Models, Tap
    from flowbot.lm.tap.asked import Answer, Asked

    from .pure_results import PureResults

_LOOK = 0.5
"""Seconds between looks at a program that waits for a model."""
_GRACE = 1.0
"""Seconds that a program that is cut off has to end."""
Outcome = tuple[Any, BaseException | None]
"""What it returned, and what it raised."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Where and how a program runs.

    Args:
        max_calls: model calls of the run at most.
        purpose: what the ledger charges them to.
        example: id of the example that is scored.
        replicate: number of the repetition.
        base: begins the keys of its calls: where it stands in a workflow.
        fill: runs what fills a place.
        let_in: the calls that an earlier run let in before it was stopped for too many; see `Tap`.
        answer: asked before the program's client sends; see `Tap`.
    """

    max_calls: int = 20
    purpose: str = "program"
    example: str = ""
    replicate: int = 0
    base: str = ""
    fill: Fill | None = None
    let_in: Sequence[str] | None = None
    answer: Callable[[Asked], Answer | None] | None = None


class OneRun:
    """One run. It is made on the event loop that the session works on, and closed in the end.

    Args:
        models: what is asked, and who pays.
        parameters: what the program is told.
        bounds: where and how.
        pure_results: the results of pure steps.
    """

    def __init__(
        self, models: Models, parameters: ProgramParameters, bounds: Bounds, pure_results: PureResults
    ) -> None:
        self._models, self._parameters, self._bounds, self._pure_results = models, parameters, bounds, pure_results
        self._waiting = 0
        self._since = time.monotonic()
        self._own = 0.0
        self._lock = threading.Lock()
        self._process = os.getpid()
        self._context = copy_context()
        self.watching: Watching
        self.tap: Tap
        self._context.run(self._watch)

    def _watch(self) -> None:
        """In the run's own context."""
        from flowbot.lm.tap import Tap, tapping

        bounds, loop = self._bounds, asyncio.get_running_loop()
        self.watching = Watching(self._parameters, bounds.example, bounds.base, self._pure_results, loop, bounds.fill)
        self.tap = Tap(
            self._models, purpose=bounds.purpose, replicate=bounds.replicate, scope=self.watching.scope,
            heard=self.watching.heard, began=self._began, ended=self._over, max_calls=bounds.max_calls, let_in=bounds.let_in,
            answer=bounds.answer,
        )  # fmt: skip
        watcher.set(self.watching)
        current.set(None)
        tapping.set(self.tap)

    @property
    def stopped(self) -> BaseException | None:
        """Why the program was stopped, also where it has caught that."""
        return self.watching.stopped or self.tap.stopped

    @property
    def is_blocked(self) -> bool:
        """Whether it was stopped since a client of it blocks, on the thread of the loop."""
        from flowbot.lm.tap import BlockingCallError

        return isinstance(self.stopped, BlockingCallError)

    async def within(self, call: Callable[[], Any], *, apart: bool, seconds: float) -> Outcome | None:
        """Run it: its result, or what it raised; None if it took longer than `seconds` of its own.

        Args:
            call: the program with what it is handed.
            apart: in a thread of its own.
            seconds: that it may take, those not counted in which it waits for a model.
        """
        task = asyncio.create_task(self._ended(call, apart=apart), context=self._context)
        try:
            while not task.done():
                left, waits = seconds - self._taken(), self._is_waiting()
                # Never amid a call: it is paid for, and its client would be closed under it.
                if left <= 0 and not waits:
                    task.cancel()
                    await asyncio.wait({task}, timeout=_GRACE)
                    return None
                await asyncio.wait({task}, timeout=left if not waits else _LOOK if left > 0 else _LOOK / 10)
        except asyncio.CancelledError:
            task.cancel()
            raise
        return (None, RuntimeError("it was cancelled")) if task.cancelled() else task.result()

    async def _ended(self, call: Callable[[], Any], *, apart: bool) -> Outcome:
        if apart:
            return await in_thread(lambda: self._at_home(_in_thread(call)))
        try:
            return self._at_home((await _settled(call()), None))
        except (KeyboardInterrupt, GeneratorExit, asyncio.CancelledError):
            raise
        except BaseException as error:  # a `Stop` may come in a group of a program's own tasks
            return self._at_home((None, error))

    def _at_home(self, outcome: Outcome) -> Outcome:
        """The outcome, in the process that the run began in. A fork of it that comes back here ends: the search, its loop and its files
        are not its own."""
        if os.getpid() == self._process:
            return outcome
        code = outcome[1].code if isinstance(outcome[1], SystemExit) else int(outcome[1] is not None)
        os._exit(code if isinstance(code, int) else int(code is not None))

    def _began(self) -> int:
        number = self.watching.began()
        with self._lock:
            self._own, self._since = self._taken(), time.monotonic()
            self._waiting += 1
        return number

    def _over(self) -> None:
        with self._lock:
            self._waiting -= 1
            self._since = time.monotonic()

    def _is_waiting(self) -> bool:
        return self._waiting > 0 and self.stopped is None

    def _taken(self) -> float:
        """Seconds of its own so far: those in which no call of a model was under way."""
        return self._own + (0.0 if self._is_waiting() else time.monotonic() - self._since)

    async def kept(self) -> None:
        """Wait until what pure steps gave is stored."""
        for each in self.watching.keeping:
            await asyncio.wrap_future(each)

    def close(self) -> None:
        """Whoever is left of it and calls a model is stopped."""
        self.tap.close()


def _in_thread(call: Callable[[], Any]) -> Outcome:
    """What it raises is told and not raised: a thread hands on no `Stop`."""
    try:
        found = call()
        if inspect.isawaitable(found) or inspect.isasyncgen(found):
            return asyncio.run(_settled(found)), None
        return _whole([*found]) if inspect.isgenerator(found) else found, None
    except BaseException as error:
        return None, error


async def _settled(found: Any) -> Any:
    """What it gives in the end: awaited, or all that it yields."""
    if inspect.isawaitable(found):
        found = await found
    if inspect.isasyncgen(found):
        return _whole([each async for each in cast("AsyncGenerator[Any]", found)])
    return _whole([*found]) if inspect.isgenerator(found) else found


def _whole(parts: list[Any]) -> Any:
    """Pieces of text are one text."""
    return "".join(parts) if parts and all(isinstance(each, str) for each in parts) else parts
