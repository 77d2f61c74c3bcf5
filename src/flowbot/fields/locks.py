"""Locks on open files, each of one process; the system frees them when that dies."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def locked(handle: int) -> Generator[bool]:
    """Lock an open file or folder while inside, without waiting; gives whether it is locked now or is another's.

    A process that was forked meanwhile has the same open file, and closing it here would leave it locked for as long as that
    lives. So the lock is taken off at the end, and by none but the process that put it on.

    Raises:
        OSError: if the file system knows no locks.
    """
    import fcntl

    own = os.getpid()
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        yield False
        return
    try:
        yield True
    finally:
        if os.getpid() == own:
            fcntl.flock(handle, fcntl.LOCK_UN)
