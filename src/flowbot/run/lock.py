"""One process at a time in a run's directory."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from flowbot.fields import UserError
from flowbot.fields.files import open_own
from flowbot.fields.locks import locked

_TRIES = 100


@contextmanager
def run_lock(path: Path) -> Generator[None]:
    """Hold the directory `path` (made if missing) for this process; the system lets go of it even after a kill.

    The directory itself is held, so that whoever deletes the lock file in it lets nobody in. The file says who holds
    it, and is held too: not every file system lets a directory be held.

    Raises:
        UserError: if another process holds it, the directory cannot be written or held, or its `.lock` is a link.
    """
    with ExitStack() as stack:
        try:
            file = _held(path, stack)
        except OSError as error:
            found = f"no way to write there ({error.strerror or error})"
            raise UserError(f"run directory {path}", found, "a folder that can be written") from None
        with suppress(OSError):  # who holds it is said for people; a full disk is told of by what must be written
            os.ftruncate(file, 0)
            os.pwrite(file, str(os.getpid()).encode(), 0)
        yield


def _held(path: Path, stack: ExitStack) -> int:
    """The lock file's handle, once both are held and the directory still stands where it was opened."""
    for number in range(_TRIES):
        with ExitStack() as handles:
            try:
                path.mkdir(parents=True, exist_ok=True)
                folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                handles.callback(os.close, folder)
                file = handles.enter_context(open_own(path / ".lock", "r+")).fileno()
            except FileNotFoundError:
                if number + 1 < _TRIES:
                    continue  # another one moved it aside in this moment
                raise
            if not (_lock(folder, handles, needed=False) and _lock(file, handles, needed=True)):
                holder = os.pread(file, 32, 0).decode(errors="replace").strip() or "unknown"
                raise UserError(
                    f"run directory {path}",
                    f"another FlowBot at work in it (process {holder})",
                    mend="wait for it, or name another --run-dir",
                )
            with suppress(FileNotFoundError):
                if os.path.samestat(path.stat(), os.fstat(folder)):
                    stack.push(handles.pop_all())
                    return file
    raise OSError(f"a folder that others move away ({_TRIES} times)")


def _lock(handle: int, handles: ExitStack, *, needed: bool) -> bool:
    """Whether it is held now, or need not be since the file system cannot hold it."""
    try:
        return handles.enter_context(locked(handle))
    except OSError:
        if needed:
            raise
    return True
