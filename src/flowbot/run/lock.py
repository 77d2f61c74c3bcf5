"""One process at a time in a run's directory."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import ExitStack, contextmanager, suppress
from io import FileIO
from pathlib import Path

from flowbot.fields import UserError
from flowbot.fields.files import open_own
from flowbot.fields.locks import locked

_TRIES = 100
_FOLDER: int | None = getattr(os, "O_DIRECTORY", None)
"""Where a system has no such flag, it opens no directories; nor does it let one be moved while a file in it is open."""


@contextmanager
def run_lock(path: Path) -> Generator[None]:
    """Hold the directory `path` (made if missing) for this process; the system lets go of it even after a kill.

    The directory itself is held, so that whoever deletes the lock file in it lets nobody in. The file says who holds
    it, and is held too: not every system lets a directory be held.

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
            file.truncate(0)
            file.write(f"\n{os.getpid()}".encode())  # Windows lets nobody else read the first byte, which is locked
        yield


def _held(path: Path, stack: ExitStack) -> FileIO:
    """The lock file, once it and the directory are held and the directory still stands where it was opened."""
    for number in range(_TRIES):
        with ExitStack() as handles:
            try:
                path.mkdir(parents=True, exist_ok=True)
                folder = None if _FOLDER is None else os.open(path, os.O_RDONLY | _FOLDER)
                if folder is not None:
                    handles.callback(os.close, folder)
                file = handles.enter_context(open_own(path / ".lock", "r+"))
            except FileNotFoundError:
                if number + 1 < _TRIES:
                    continue  # another one moved it aside in this moment
                raise
            free = True
            with suppress(OSError):  # a file system that cannot hold a directory
                free = folder is None or handles.enter_context(locked(folder))
            if not free or not handles.enter_context(locked(file.fileno())):
                raise UserError(
                    f"run directory {path}",
                    f"another FlowBot at work in it (process {_holder(file)})",
                    mend="wait for it, or name another --run-dir",
                )
            with suppress(FileNotFoundError):
                if folder is None or os.path.samestat(path.stat(), os.fstat(folder)):
                    stack.push(handles.pop_all())
                    return file
    raise OSError(f"a folder that others move away ({_TRIES} times)")


def _holder(file: FileIO) -> str:
    with suppress(OSError):
        file.seek(1)
        return file.read(32).decode(errors="replace") or "unknown"
    return "unknown"
