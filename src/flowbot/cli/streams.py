"""The standard streams as they may be: closed, full, without a reader."""

from __future__ import annotations

import os
import sys


def open_missing() -> None:
    """Open the standard streams that are closed, on nothing: else the next file that is opened, such as the store, would have
    the number of one, and whatever is printed there would be written into it."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)  # the lowest number that is free: this one
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            os.set_inheritable(number, True)
        if getattr(sys, name) is None:
            # Not closed when the file object goes: it is the process's.
            setattr(sys, name, open(number, "w" if number else "r", encoding="utf-8", closefd=False))  # noqa: SIM115


def silence(*numbers: int) -> None:
    """What is written to these file descriptors from now on goes nowhere."""
    null = os.open(os.devnull, os.O_WRONLY)
    for number in numbers:
        os.dup2(null, number)
    os.close(null)


def flush() -> None:
    """Write what waits in the standard streams. What cannot be written goes nowhere, and changes no exit status."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            silence(stream.fileno())
