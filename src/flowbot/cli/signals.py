"""Ctrl-C: once pauses, twice leaves. What is stored stays stored either way."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flowbot.lm import StopSignal

PAUSED = 3
SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def pausing(
    stop: StopSignal, *, say: Callable[[str], None], leave: Callable[[], None] | None = None
) -> Generator[None]:
    """While inside, the first Ctrl-C (or SIGTERM) sets `stop` and the second ends the process at once.

    Args:
        stop: the run's wish to stop.
        say: told what happens, in a line.
        leave: ends the process; None: `os._exit`, which waits for nothing that is under way.
    """

    def ask(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            (leave or _leave)()
            return
        stop.set("Ctrl-C" if number == signal.SIGINT else "asked to end")
        say("Pausing: the calls under way finish and are stored. Ctrl-C again leaves at once.")

    before = {number: signal.signal(number, ask) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _leave() -> None:
    if sys.stdout.isatty():
        sys.stdout.write("\x1b[?25h")  # the cursor, which the live display hides
    sys.stderr.write("\nflowbot: left. What was stored stays; the same command goes on from there.\n")
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):
            stream.flush()
    os._exit(PAUSED)
