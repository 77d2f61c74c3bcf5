"""Work that is to end before its time, where one look at all that is due does for many: a timer for each costs many times as much."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from time import monotonic

ROUND = 0.1
"""Seconds between two looks at what is due."""


class Later(threading.local):
    """What is to be done later on this thread's event loop."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._due: dict[object, tuple[float, Callable[[], None]]] = {}
        self._looking = False

    def put(self, who: object, seconds: float, call: Callable[[], None]) -> None:
        """Call it in so many seconds, or up to a `ROUND` later."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._loop, self._due, self._looking = loop, {}, False
        if not self._looking:
            self._looking = True
            loop.call_later(ROUND, self._look, loop, self._due)
        self._due[who] = (monotonic() + seconds, call)

    def drop(self, who: object) -> None:
        """Do not call it."""
        self._due.pop(who, None)

    def _look(self, loop: asyncio.AbstractEventLoop, due: dict[object, tuple[float, Callable[[], None]]]) -> None:
        now = monotonic()
        try:
            for who, (when, call) in list(due.items()):
                if when <= now and due.pop(who, None):
                    call()
        finally:
            if due:
                loop.call_later(ROUND, self._look, loop, due)
            elif due is self._due:
                self._looking = False


later = Later()


class Cut:
    """Ends what the task that makes it is at, as `asyncio.timeout` does.

    Args:
        seconds: after which it strikes, unless it is `off` by then; None: when it is told.
    """

    def __init__(self, seconds: float | None = None) -> None:
        own = asyncio.current_task()
        assert own is not None
        self._own, self._struck = own, False
        if seconds is not None:
            later.put(self, seconds, self.strike)

    def after(self, seconds: float) -> None:
        """Strike in so many seconds, in place of when it would have."""
        later.put(self, seconds, self.strike)

    def off(self) -> None:
        """Do not strike any more."""
        later.drop(self)

    def strike(self) -> None:
        """End it."""
        self._struck = True
        self._own.cancel()

    def owns(self) -> bool:
        """Whether the `CancelledError` that was caught is this one's, and nobody else wants the task to end."""
        return self._struck and not self._own.uncancel()
