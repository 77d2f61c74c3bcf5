"""What SQLite and the file system say, in words that name the file and what to do."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from flowbot.fields import InfrastructureError, UserError

_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


@contextmanager
def opening(path: Path) -> Generator[None]:
    """What SQLite and the file system say in the block becomes the error for a store that cannot be opened.

    Raises:
        UserError: if it cannot serve.
        InfrastructureError: if another process keeps it locked.
    """
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise _open_error(path, error) from None


def not_ours(path: Path, found: str = "a database of another program") -> UserError:
    """The error for a file that is no store, or none any more."""
    expected = "a FlowBot store; move the file away, or name another folder with --cache-dir"
    return UserError(f"store {path}", found, expected)


def use_error(path: Path, error: Exception) -> InfrastructureError:
    """The error for a store that fails while it is used. Nothing that was committed is lost."""
    code = _code(error)
    if code == sqlite3.SQLITE_FULL:
        text = f"store {path}: the disk is full; free some space"
    elif code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        text = f"store {path}: the file is damaged ({error}); where `flowbot cache verify` ends with this too, move it away"
    elif code == sqlite3.SQLITE_READONLY:
        text = f"store {path}: it cannot be written ({error})"
    elif code in _BUSY:
        text = f"store {path}: another process keeps it locked"
    else:
        text = f"store {path}: {error}"
    return InfrastructureError(text, kind="disk")


def damaged_error(path: Path, key: str) -> InfrastructureError:
    """The error for a response that is not what was stored."""
    text = f"store {path}: the response {key[:12]} is damaged; `flowbot cache verify --repair` drops it"
    return InfrastructureError(text, kind="disk")


def _open_error(path: Path, error: Exception) -> UserError | InfrastructureError:
    if _code(error) in _BUSY:
        return use_error(path, error)
    where = f"store {path}"
    if _code(error) == sqlite3.SQLITE_NOTADB:
        return not_ours(path, "a file that is not a database")
    if _code(error) == sqlite3.SQLITE_CORRUPT:
        return not_ours(path, "a damaged database")
    if _code(error) == sqlite3.SQLITE_FULL:
        return UserError(where, "a full disk", mend="free space there, or name another folder with --cache-dir")
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return UserError(where, f"no way to write there ({reason})", "a folder that can be written; see --cache-dir")


def _code(error: Exception) -> int:
    # The low byte is the primary result code; the rest says more than is needed here.
    return (getattr(error, "sqlite_errorcode", 0) or 0) & 0xFF
