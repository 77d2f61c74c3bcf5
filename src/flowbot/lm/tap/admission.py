"""Which model calls of a run are let in: each is numbered among its equals, and there are no more than may be."""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict
from collections.abc import Callable, Collection, Generator
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager
from typing import TypeAlias

from flowbot.fields import BudgetExceeded, InfrastructureError, ModelError, Paused, UserError, stable_hash
from flowbot.lm.client import Identity
from flowbot.program.stopping import Stop

from .asked import Asked
from .exchange import Call

Place: TypeAlias = tuple[str, Identity, str, int]
_PATIENCE = 5.0
"""Seconds that a call too many waits, in a replay, for those that were let in and have not come yet."""


class Admission:
    """The calls of one run that were let in, until it is stopped or over. Threads may share it.

    Args:
        replicate: which of several runs of the same program on the same inputs.
        scope, began, ended, max_calls, let_in: as `Tap` has them.
    """

    def __init__(
        self,
        replicate: int,
        scope: Callable[[], str],
        began: Callable[[], int],
        ended: Callable[[], object],
        *,
        max_calls: int | None,
        let_in: Collection[str] | None,
    ) -> None:
        self.stopped: BaseException | None = None
        """Why the program was stopped, also where it has caught that."""
        self.closed = False
        """Whether the run is over."""
        self._replicate, self._scope, self._began, self._ended = replicate, scope, began, ended
        self._max_calls = max_calls
        self._due = None if let_in is None else {each: Future[None]() for each in let_in}
        self._let_in: list[Place] = []
        self._open: set[Future[None]] = set()
        self._ending = False
        self._numbers: dict[tuple[str, Identity, str], int] = defaultdict(int)
        self._lock = threading.Lock()

    @property
    def calls(self) -> int:
        """Calls that were let in so far."""
        return len(self._let_in)

    @property
    def let_in(self) -> list[str]:
        """Which those are, in an order of their own."""
        return sorted(map(_name, self._let_in))

    @contextmanager
    def entered(self, asked: Asked) -> Generator[Call]:
        """A call is let in, and over in the end.

        Raises:
            Stop: where it is not.
        """
        if self.closed or self._ending:
            raise over()
        scope = self._scope()
        with self._lock:
            place = (scope, asked.identity, asked.body)
            number = self._numbers[place]
            self._numbers[place] += 1
            due = None if self._due is None else self._due.get(_name((*place, number)))
            if self.stopped is not None and due is None:
                raise Stop(self.stopped)
            if due is None and (self._due is not None or self.calls == self._max_calls):
                raise self.stop(ModelError(f"more than {self._max_calls} model calls"))
            self._let_in.append((*place, number))
            done = due or Future[None]()
            self._open.add(done)
        try:
            draw = (self._replicate, scope, number) if asked.drawn else ()
            call = Call(asked, scope, number, self._began(), draw)
            try:
                yield call
            finally:
                self._ended()
        finally:
            self._open.discard(done)
            done.set_result(None)

    def under_way(self) -> tuple[set[Future[None]], float | None]:
        """What a call that is stopped waits for, and how long at most: a program that is not the same twice does not come to all of them."""
        if self._due is None:
            return set(self._open), None
        return {each for each in self._due.values() if not each.done()}, _PATIENCE

    async def settle(self) -> None:
        """Let nothing in any more, and wait for what is under way."""
        self._ending = True
        await ended(self._open)

    @contextmanager
    def stopping(self) -> Generator[None]:
        """What may not go on in the block leaves it as `Stop`."""
        try:
            yield
        except (BudgetExceeded, InfrastructureError, Paused, UserError) as error:
            raise self.stop(error) from error
        except CancelledError:  # of a thread's call: its run was closed
            raise over() from None

    def stop(self, error: Exception) -> Stop:
        """Let in no new call: the reason, to be raised in the program."""
        self.stopped = self.stopped or error
        return Stop(error)


def over() -> Stop:
    """For what is left over of a run: it is no reason why that one stopped."""
    return Stop(Paused("the run that the call belongs to is over", stopped_by="signal"))


async def ended(these: Collection[Future[None]], seconds: float | None = None) -> None:
    """Wait for some calls, for so many seconds at most."""
    if these:
        await asyncio.wait([asyncio.wrap_future(each) for each in these], timeout=seconds)


def _name(place: Place) -> str:
    """Of a call: the step it is made in, who is asked what, and which of the equal ones it is."""
    scope, identity, body, number = place
    return stable_hash([scope, identity.dump(), body, number])[:24]
