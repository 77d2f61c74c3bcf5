"""Ctrl-C and its kin: once pauses, twice leaves. What is stored stays stored either way."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Coroutine, Generator, Mapping
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TYPE_CHECKING, Any, TypeVar

from .streams import silence

if TYPE_CHECKING:
    from flowbot.lm.stop import StopSignal

PAUSED = 3
_HANG_UP = getattr(signal, "SIGHUP", None)
"""Not everywhere."""
REASONS: Mapping[int, str] = {
    signal.SIGINT: "Ctrl-C",
    signal.SIGTERM: "asked to end",
    **({_HANG_UP: "the terminal was closed"} if _HANG_UP else {}),
}
"""The signals that end the work, each with what it says."""
_Handler = Callable[[int, FrameType | None], Any]
_T = TypeVar("_T")


def run_pausing(work: Callable[[StopSignal], Coroutine[Any, Any, _T]], *, say: Callable[[str], None]) -> _T:
    """Run async work, which is handed the wish to stop; see `pausing`."""
    import asyncio

    from flowbot.lm.stop import StopSignal

    stop = StopSignal()
    with pausing(stop, say=say):
        return asyncio.run(work(stop))


@contextmanager
def pausing(
    stop: StopSignal, *, say: Callable[[str], None], leave: Callable[[], None] | None = None
) -> Generator[None]:
    """While inside, the first signal of `REASONS` sets `stop`, and a second one ends the process at once.

    A closed terminal never counts as the second: shell and system both tell of it.

    Args:
        stop: the run's wish to stop.
        say: is called with a line about what happens.
        leave: ends the process; None: `os._exit`, which waits for nothing that is under way.
    """
    terminals = [number for number in (1, 2) if os.isatty(number)]  # once it is closed, it looks like a file

    def ask(number: int, frame: FrameType | None) -> None:
        if number == _HANG_UP:
            silence(*terminals)
        if not stop.is_set():
            stop.set(REASONS[number])
            # Nothing can be written to a stream that is gone, nor in the midst of a write to it.
            with suppress(OSError, RuntimeError):
                say("Pausing: calls under way have 10 s to finish and are stored. Ctrl-C again leaves at once.")
        elif number != _HANG_UP:
            (leave or _leave)()

    with _handling(ask):
        yield


@contextmanager
def interruptible() -> Generator[None]:
    """While inside, every signal of `REASONS` does what Ctrl-C does, and the `KeyboardInterrupt` says which it was."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt(REASONS[number])

    with _handling(interrupt):
        yield


@contextmanager
def _handling(handler: _Handler) -> Generator[None]:
    """Handle the signals, but for those that are ignored: by `nohup`, or by a shell for what it runs beside itself."""
    before: dict[int, Any] = {}
    for number in REASONS:
        if signal.getsignal(number) not in (signal.SIG_IGN, None):  # None: not ours to replace
            before[number] = signal.signal(number, handler)
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


def _leave() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, RuntimeError):
            stream.flush()
    # Straight to the descriptors: the signal may have come in the midst of a write through those streams.
    with suppress(OSError):
        for number in (1, 2):
            if os.isatty(number):
                os.write(number, b"\x1b[?25h")  # the cursor, which the live display hides
        os.write(2, b"\nflowbot: left. What was stored stays; the same command goes on from there.\n")
    os._exit(PAUSED)
