"""Watches one run of a program: hands out its texts and values, takes its steps down, fills its places."""

from __future__ import annotations

import asyncio
import json
import threading
from asyncio import AbstractEventLoop
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Generator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar, cast

from flowbot.fields import BudgetExceeded, InfrastructureError, Paused, RefusedError, StepError, UserError, stable_hash
from flowbot.fields.secrets import hide_known
from flowbot.program.stopping import Stop
from flowbot.program.watching import MISSING, Pair, Scalar, StepInfo, current
from flowbot.runtime.jsonlike import to_json
from flowbot.task.identity import callable_identity, is_told_apart
from flowbot.workflow.parameters import ProgramParameters

from .recorded import Kind, Recorded
from .recorder import Recorder

if TYPE_CHECKING:
    from flowbot.lm.tap import Exchange
    from flowbot.runtime.trace import Trace

    from .pure_results import Pure, PureResults

T = TypeVar("T")
Fill = Callable[[str, Mapping[str, object]], Awaitable["Trace | None"]]
"""Runs what fills a place; None where nothing does."""


@dataclass(slots=True)
class StepCall:
    """One call of a step, as its wrapper sees it.

    Args:
        watching: the run.
        open: as it is taken down.
        key: what it is: the steps around it, its name, what it was handed, and which of equal calls it is.
        pure: as what its result is kept; None where it is not.
    """

    watching: Watching
    open: Recorded
    key: str
    pure: Pure | None = None
    taken: bool = False

    @property
    def stored(self) -> Any:
        """As of `Call`: from a thread it waits for the store; on the loop's own thread what is in memory serves."""
        if self.pure is None:
            return MISSING
        kept, watching = self.watching.pure_results, self.watching
        if threading.get_ident() == watching.thread:
            return self._taken(kept.peek(self.pure))
        with watching.stopping():
            return self._taken(asyncio.run_coroutine_threadsafe(kept.get(self.pure), watching.loop).result())

    async def known(self) -> Any:
        """As of `Call`."""
        if self.pure is None:
            return MISSING
        with self.watching.stopping():
            return self._taken(await self.watching.at_home(self.watching.pure_results.get(self.pure)))

    def _taken(self, row: Mapping[str, Any] | None) -> Any:
        if row is None or "outputs" not in row:
            return MISSING
        self.taken = True
        result = row["outputs"]["result"]
        self.open.done(result)
        return result

    def done(self, result: object) -> None:
        """It returned; a pure step's plain result is kept."""
        self.open.done(result)
        if self.pure is not None and not self.taken:
            self.watching.keep(self.pure, result)

    def failed(self, error: BaseException) -> None:
        """It raised."""
        self.open.failed(error.cause if isinstance(error, Stop) else error)


@dataclass(slots=True)
class Watching:
    """A `Watcher`; made where the run begins.

    Args:
        parameters: what the program is told.
        example: id of the example that is scored: its own demonstrations are left out.
        base: begins the keys of its calls: where the program stands in the workflow.
        pure_results: the results of pure steps.
        loop: that the run's session works on.
        fill: runs what fills a place.
    """

    parameters: ProgramParameters
    example: str
    base: str
    pure_results: PureResults
    loop: AbstractEventLoop
    fill: Fill | None = None
    recorder: Recorder = field(default_factory=Recorder)
    thread: int = field(default_factory=threading.get_ident)
    texts: dict[str, str] = field(default_factory=dict[str, str])
    """Texts that were read, as they were."""
    turned: dict[str, Sequence[Pair]] = field(default_factory=dict[str, Sequence[Pair]])
    """Worked examples that were read as turns."""
    values: dict[str, Scalar] = field(default_factory=dict[str, Scalar])
    filled: dict[str, Trace] = field(default_factory=dict[str, "Trace"])
    """What ran in places, by the id of the call."""
    stopped: BaseException | None = None
    """Why the program was stopped, also where it has caught that."""
    keeping: list[Future[Any]] = field(default_factory=list[Future[Any]])
    _equal: Counter[str] = field(default_factory=Counter[str])
    _lock: threading.Lock = field(default_factory=threading.Lock)

    # What the program asks

    def text(self, name: str, default: str) -> str:
        """A text, with worked examples that are no turns."""
        told = self.parameters.text(name, self.example)
        self.texts[name] = default if told is None else told
        if (inside := self._inside()) is not None:
            inside.open.texts[name] = None
        return self.texts[name]

    def turns(self, name: str, default: Sequence[Pair]) -> Sequence[Pair]:
        """As of `Watcher`."""
        told = self.parameters.turns(name, self.example)
        self.turned[name] = default if told is None else told
        return self.turned[name]

    def value(self, name: str, default: Scalar) -> Scalar:
        """A value."""
        self.values[name] = value = cast("Scalar", self.parameters.values.get(name, default))
        return value

    def enter(self, step: StepInfo, arguments: Mapping[str, object]) -> StepCall:
        """A step is called."""
        opened = self._begin(cast("Kind", step.kind), step.name, arguments, step.reads, step.id)
        return StepCall(self, opened, self._key(opened), self._kept_as(step, arguments) if step.pure else None)

    async def slot(self, name: str, values: Mapping[str, object]) -> Any:
        """As of `Watcher`."""
        work = self._placed(name, values)
        return next(iter(values.values())) if work is None else await self.at_home(work)

    async def at_home(self, work: Coroutine[Any, Any, T]) -> T:
        """What comes of some work for the run's own loop."""
        if asyncio.get_running_loop() is self.loop:
            return await work
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self.loop))

    def slot_sync(self, name: str, values: Mapping[str, object]) -> Any:
        """As of `Watcher`.

        Raises:
            Stop: if something fills the place, and this is the loop's own thread.
        """
        work = self._placed(name, values)
        if work is None:
            return next(iter(values.values()))
        if threading.get_ident() == self.thread:
            from flowbot.lm.tap import BlockingCallError

            work.close()
            self.stopped = self.stopped or BlockingCallError()
            raise Stop(self.stopped)
        return asyncio.run_coroutine_threadsafe(work, self.loop).result()

    def _placed(self, name: str, values: Mapping[str, object]) -> Coroutine[Any, Any, Any] | None:
        """What fills a place, to be run on the run's own loop, unwatched; None where nothing does."""
        opened, first = self._begin("slot", name, values, ()), next(iter(values))
        if self.fill is not None and name in self.parameters.slots:
            return self._filled(self.fill(name, values), name, first, opened)
        opened.done(values[first])
        return None

    async def _filled(self, work: Awaitable[Trace | None], name: str, first: str, opened: Recorded) -> Any:
        try:
            with self.stopping():
                trace = await work
                if trace is None or trace.outputs is None or first not in trace.outputs:
                    said = trace.error if trace is not None and trace.error else f"nothing gives {first}"
                    raise StepError(f"slot {name}: {said}")
        except Stop as stop:
            opened.failed(stop.cause)
            raise
        self.filled[opened.id] = trace
        opened.done(trace.outputs[first])
        return trace.outputs[first]

    @contextmanager
    def stopping(self) -> Generator[None]:
        """What may not go on in the block, where a place is filled or the store is asked, leaves it as `Stop`."""
        try:
            yield
        except (BudgetExceeded, InfrastructureError, Paused, RefusedError, StepError, UserError) as error:
            self.stopped = self.stopped or error
            raise Stop(error) from error

    # What the tap asks

    def scope(self) -> str:
        """The key of the step in which a model is called."""
        inside = self._inside()
        return self.base if inside is None else inside.key

    def began(self) -> int:
        """A model's call begins."""
        return int(self._begin("model", "call", {}, ()).id)

    def heard(self, exchange: Exchange) -> None:
        """A model's call was answered."""
        self.recorder.heard(self.recorder.of(exchange.began), exchange)

    # Keys

    def _inside(self) -> StepCall | None:
        inside = current.get()
        return inside if isinstance(inside, StepCall) and inside.watching is self else None

    def _begin(
        self, kind: Kind, name: str, arguments: Mapping[str, object], declared: tuple[str, ...], function: str = ""
    ) -> Recorded:
        inside = self._inside()
        parent = None if inside is None else inside.open.id
        return self.recorder.begin(kind, name, arguments, parent=parent, declared=declared, function=function)

    def _key(self, opened: Recorded) -> str:
        handed = json.dumps({name: each.value for name, each in opened.given.items()}, sort_keys=True, default=str)
        place = f"{self.scope()}/{opened.name}({stable_hash([opened.function, handed])[:16]})"
        with self._lock:
            self._equal[place] += 1
            return f"{place}[{self._equal[place]}]"

    def _kept_as(self, step: StepInfo, arguments: Mapping[str, object]) -> Pure | None:
        """As what the result of a pure step is kept; None where its arguments or the function do not tell it from others."""
        if step.function is None or not is_told_apart(step.function):
            return None
        try:
            given = to_json(dict(arguments))
        except StepError:
            return None
        if given != dict(arguments):  # such as an object that looks like a dict
            return None
        return {"step": callable_identity(step.function), "arguments": json.dumps(given)}

    def keep(self, pure: Pure, result: object) -> None:
        """Keep what a pure step gave, if it is plain data that comes back as it is and holds no known secret."""
        try:
            plain = to_json(result)
        except StepError:
            return
        if plain != result or type(plain) is not type(result) or hide_known(plain) != plain:
            return
        self.keeping.append(asyncio.run_coroutine_threadsafe(self.pure_results.put(pure, plain), self.loop))
