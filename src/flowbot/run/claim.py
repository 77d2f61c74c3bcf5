"""A run's folder: claimed by one process, moved aside where the run begins anew, refused where it is another's."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from flowbot.fields import UserError
from flowbot.fields.files import require_place

from .events import Started
from .examples import NAME
from .journal import read_events
from .lock import run_lock
from .sessions import NAME as SESSIONS

WRITTEN = (NAME, SESSIONS, "start.flow.yaml", "found.flow.yaml", "result.json", "report.html")
"""Files of a run that are replaced as a whole; that there is a place for them is seen before anything is paid for."""


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
        journal = directory / "journal.jsonl"
        before = read_events(journal)[:1] if os.path.lexists(journal) else []
        if before and (not isinstance(before[0], Started) or before[0].run != run_id):
            other = before[0].run if isinstance(before[0], Started) else "without a start"
            raise UserError(
                f"run directory {directory}",
                f"another run ({other})",
                f"that of {run_id}; or --fresh (fresh=True)",
            )
        yield


def _require_run(directory: Path) -> None:
    """Nothing but a run's folder, or an empty one, is moved aside."""
    try:
        there = set(os.listdir(directory)) - {".lock"}
    except OSError:
        return  # the lock says what is wrong with it
    if there and not (directory / "journal.jsonl").exists():
        expected = "a run's, which is moved aside; or another --run-dir"
        raise UserError(f"run directory {directory}", "what is no run's folder", expected)
