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
    from filelock import lock_descriptor, unlock_descriptor

    own = os.getpid()
    ours = lock_descriptor(handle, blocking=False)
    try:
        yield ours
    finally:
        if ours and os.getpid() == own:
            unlock_descriptor(handle)
