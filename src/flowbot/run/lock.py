"""A run's directory: one process at a time in it; moved aside where the run begins anew, refused where it is another's."""

from __future__ import annotations

import os
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager, suppress
from io import FileIO
from pathlib import Path

from flowbot.fields import UserError
from flowbot.fields.files import open_own, require_place
from flowbot.fields.locks import locked

from .events import Started
from .examples import NAME as EXAMPLES
from .front import FOLDER as FRONT
from .journal import NAME as JOURNAL
from .journal import read_events
from .result import FOUND, START
from .result import NAME as RESULT
from .sessions import NAME as SESSIONS

_TRIES = 100
_GLANCES, _GLANCE = 5, 0.02
"""Tries, and seconds between them: whoever asks whether a folder is held (`is_held`) holds it for a moment."""
_FOLDER: int | None = getattr(os, "O_DIRECTORY", None)
"""Where a system has no such flag, it opens no directories; nor does it let one be moved while a file in it is open."""
WRITTEN = (EXAMPLES, SESSIONS, START, FOUND, RESULT, "report.html")
"""Files of a run that are replaced as a whole; that there is a place for them is seen before anything is paid for."""


@contextmanager
def run_lock(path: Path, what: str = "run directory", option: str = "--run-dir") -> Generator[None]:
    """Hold the directory `path` (made if missing) for this process; the system lets go of it even after a kill.

    The directory itself is held, so that whoever deletes the lock file in it lets nobody in. The file says who holds
    it, and is held too: not every system lets a directory be held.

    Args:
        path: the directory.
        what: how errors call it.
        option: the option that names another one.

    Raises:
        UserError: if another process holds it, the directory cannot be written or held, or its `.lock` is a link.
    """
    with ExitStack() as stack:
        try:
            file = _held(path, stack, what, option)
        except OSError as error:
            found = f"no way to write there ({error.strerror or error})"
            raise UserError(f"{what} {path}", found, "a folder that can be written") from None
        with suppress(OSError):  # who holds it is said for people; a full disk is told of by what must be written
            file.truncate(0)
            file.write(f"\n{os.getpid()}".encode())  # Windows lets nobody else read the first byte, which is locked
        yield


def _held(path: Path, stack: ExitStack, what: str, option: str) -> FileIO:
    """The lock file, once it and the directory are held and the directory still stands where it was opened."""
    glances = 0
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
                if (glances := glances + 1) < _GLANCES:
                    time.sleep(_GLANCE)
                    continue
                raise UserError(
                    f"{what} {path}",
                    f"another FlowBot at work in it (process {_holder(file)})",
                    mend=f"wait for it, or name another {option}",
                )
            with suppress(FileNotFoundError):
                if folder is None or os.path.samestat(path.stat(), os.fstat(folder)):
                    stack.push(handles.pop_all())
                    return file
    raise OSError(f"a folder that others move away ({_TRIES} times)")


def is_held(path: Path) -> bool | None:
    """Whether a process works in the directory, seen from this machine; None where the file system cannot say."""
    for each, flags in ((path, os.O_RDONLY | (_FOLDER or 0)), (path / ".lock", os.O_RDWR)):
        if each is path and _FOLDER is None:
            continue
        try:
            handle = os.open(each, flags | getattr(os, "O_NOFOLLOW", 0) * (each is not path))
        except OSError:
            continue
        try:
            with locked(handle) as free:
                return not free
        except OSError:
            continue
        finally:
            os.close(handle)
    return None


def _holder(file: FileIO) -> str:
    with suppress(OSError):
        file.seek(1)
        return file.read(32).decode(errors="replace") or "unknown"
    return "unknown"


@contextmanager
def claimed(directory: Path, run_id: str, *, fresh: bool, named: bool) -> Generator[None]:
    """The run's directory, held while inside; an old one is moved aside first when the run starts anew.

    Args:
        directory: where.
        run_id: the run that it is for.
        fresh: whether to start anew.
        named: whether the user named it, who may have made it a link; one that is found under our own name is none.

    Raises:
        UserError: if another run stands there, a process works in it, it cannot be written, or what is there has no
            place for the run's files.
    """
    if directory.is_symlink() and not named:
        raise UserError(f"run directory {directory}", "a symbolic link", "a folder; or the place named with --run-dir")
    if fresh and directory.exists():
        _require_run(directory)  # nothing is left in a folder that is refused, not even the lock
        with run_lock(directory):
            _require_run(directory)
            number = next(n for n in range(1, 10_000) if not directory.with_name(f"{directory.name}.{n}").exists())
            try:
                directory.rename(directory.with_name(f"{directory.name}.{number}"))
            except OSError as error:
                raise UserError(
                    f"run directory {directory}", f"no way to move it ({error.strerror})", "a folder that can be moved"
                ) from error
    with run_lock(directory):
        for name in WRITTEN:
            require_place(directory / name)
        if (front := directory / FRONT).is_symlink() or (os.path.lexists(front) and not front.is_dir()):
            raise UserError(str(front), "no folder of the run's own", "nothing there, or that folder")
        journal = directory / JOURNAL
        before = read_events(journal)[:1] if os.path.lexists(journal) else []
        if before and (not isinstance(before[0], Started) or before[0].run != run_id):
            other = before[0].run if isinstance(before[0], Started) else "without a start"
            raise UserError(
                f"run directory {directory}",
                f"another run ({other})",
                f"that of {run_id}, or another --name; or --fresh (fresh=True), which moves it aside",
            )
        yield


def _require_run(directory: Path) -> None:
    """Nothing but a run's folder, or an empty one, is moved aside."""
    try:
        there = set(os.listdir(directory)) - {".lock"}
    except OSError:
        return  # the lock says what is wrong with it
    if there and not (directory / JOURNAL).exists():
        expected = "a run's, which is moved aside; or another --run-dir"
        raise UserError(f"run directory {directory}", "what is no run's folder", expected)
