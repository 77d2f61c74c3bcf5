"""Sees async programs that hold up the event loop they run on, as `time.sleep` or a client that blocks does.

What holds a loop up cannot be cut there: Python has no sound way to end code that another thread runs. It is said, with its place, and
whoever asks is told which programs are better run in threads of their own, where a time-out cuts.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from flowbot.program.sites import of_user

_LATE = 2.0
"""Seconds for which a loop does nothing else, so that it counts as held up."""
_log = logging.getLogger(__name__)


class Stalls:
    """Looks after the loop on which it is made; by a thread, as soon as a program runs there and until it is closed."""

    def __init__(self) -> None:
        self.by: set[str] = set()
        """Names of the programs that ran when the loop was held up by code of a user's."""
        self._loop, self._thread = asyncio.get_running_loop(), threading.get_ident()
        self._running = Counter[str]()
        self._watching: threading.Thread | None = None
        self._closed = threading.Event()

    @contextmanager
    def watched(self, program: str) -> Generator[None]:
        """While inside, a program runs on the loop."""
        if self._watching is None:
            self._watching = threading.Thread(target=self._watch, daemon=True, name="flowbot-stalls")
            self._watching.start()
        self._running[program] += 1
        try:
            yield
        finally:
            self._running[program] -= 1

    def close(self) -> None:
        """Look no longer. May be called twice."""
        self._closed.set()

    def _watch(self) -> None:
        while not self._closed.wait(_LATE / 4):
            beat, running = threading.Event(), +self._running
            with suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(beat.set)
            if running and not beat.wait(_LATE) and (place := self._place()):
                names = sorted(running)
                if not self.by.issuperset(names):
                    text = "%s holds up all that runs beside it, at %s; its next runs are in threads of their own"
                    _log.warning(text, " or ".join(f"program {each}" for each in names), place)
                self.by.update(names)
            while not (beat.wait(_LATE) or self._closed.is_set()):
                pass

    def _place(self) -> str:
        """`FILE:LINE` of the innermost line of the user's own that the loop runs now; "" where it runs none."""
        frame: FrameType | None = sys._current_frames().get(self._thread)  # pyright: ignore[reportPrivateUsage]
        while frame is not None:
            if of_user(frame.f_code.co_filename):
                return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"
            frame = frame.f_back
        return ""
