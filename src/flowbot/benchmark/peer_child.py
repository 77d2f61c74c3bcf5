"""The process that holds a peer's command: it ends it with its whole process group, and keeps the end of what it prints.

Run as a script by `peer_command.py`, on the standard library alone: `peer_child.py COMMAND…`. Its owner keeps standard input
open; its end, however the owner dies, ends the command. What the command printed last comes out on standard output when all
is over, and the status is the command's.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from typing import IO

KEPT = 65_536
"""Bytes of output that are kept: the last ones."""
_CHUNK = 65_536
_LAST_WORDS_SECONDS = 5.0


def main() -> int:
    """Run the command to its end, or to that of the owner."""
    try:
        process = subprocess.Popen(
            sys.argv[1:], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, process_group=0
        )
    except (OSError, ValueError) as error:
        sys.stdout.write(f"{sys.argv[1]!r} cannot be started: {error}\n")
        return 127
    assert process.stdout is not None
    tail = bytearray()
    reading = threading.Thread(target=_keep, args=(process.stdout, tail), daemon=True)
    reading.start()
    threading.Thread(target=_end_with_owner, args=(process.pid,), daemon=True).start()
    # Its number is not free for others before it is waited for, so what ends the group ends no other one.
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    _end(process.pid)
    status = process.wait()
    reading.join(_LAST_WORDS_SECONDS)  # what left the group may hold the pipe open for ever
    with suppress(OSError):
        sys.stdout.buffer.write(bytes(tail[-KEPT:]))
        sys.stdout.buffer.flush()
    return status if status >= 0 else 128 - status


def _keep(output: IO[bytes], tail: bytearray) -> None:
    while piece := os.read(output.fileno(), _CHUNK):
        tail += piece
        del tail[:-KEPT]


def _end(group: int) -> None:
    with suppress(OSError):
        os.killpg(group, signal.SIGKILL)


def _end_with_owner(group: int) -> None:
    while os.read(0, 1):
        pass
    _end(group)


if __name__ == "__main__":
    ending = main()
    sys.stdout.flush()
    os._exit(ending)  # threads may hang in reads
