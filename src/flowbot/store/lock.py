"""One process at a time in a run's directory."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from flowbot.fields import UserError
from flowbot.fields.files import open_own


@contextmanager
def run_lock(path: Path) -> Generator[None]:
    """Hold the directory `path` (made if missing) for this process; the system lets go of it even after a kill.

    Raises:
        UserError: if another process holds it, the directory cannot be written, or its `.lock` is a link.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        file = open_own(path / ".lock", "r+")
    except OSError as error:
        raise UserError(f"run directory {path}", error.strerror or str(error), "a folder that can be written") from None
    with file:
        handle = file.fileno()
        if not _lock(handle):
            holder = os.pread(handle, 32, 0).decode(errors="replace").strip() or "unknown"
            raise UserError(
                f"run directory {path}",
                f"another FlowBot at work in it (process {holder})",
                "none; wait for it, or name another --run-dir",
            )
        with suppress(OSError):  # who holds it is said for people; a full disk is told of by what must be written
            os.ftruncate(handle, 0)
            os.pwrite(handle, str(os.getpid()).encode(), 0)
        yield


def _lock(handle: int) -> bool:
    try:
        import fcntl
    except ImportError:  # Windows: runs are not guarded there
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
