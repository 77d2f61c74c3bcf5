"""What SQLite and the file system say, in words that name the file and what to do."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from flowbot.fields import InfrastructureError, UserError

from .migrations import ForeignFileError, NewerStoreError

_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def open_error(path: Path, error: Exception) -> UserError | InfrastructureError:
    """The error for a store that cannot be opened."""
    if _code(error) in _BUSY:
        return use_error(path, error)
    where = f"store {path}"
    move = "a FlowBot store; move the file away, or name another folder with --cache-dir"
    if isinstance(error, NewerStoreError):
        return UserError(
            where,
            f"a file of a newer FlowBot ({error})",
            mend="update FlowBot, or name another folder with --cache-dir",
        )
    if isinstance(error, ForeignFileError):
        return UserError(where, "a database of another program", move)
    if _code(error) == sqlite3.SQLITE_NOTADB:
        return UserError(where, "a file that is not a database", move)
    if _code(error) == sqlite3.SQLITE_CORRUPT:
        return UserError(where, "a damaged database", move)
    if _code(error) == sqlite3.SQLITE_FULL:
        return UserError(where, "a full disk", mend="free space there, or name another folder with --cache-dir")
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return UserError(where, f"no way to write there ({reason})", "a folder that can be written; see --cache-dir")


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


def _code(error: Exception) -> int:
    # The low byte is the primary result code; the rest says more than is needed here.
    return (getattr(error, "sqlite_errorcode", 0) or 0) & 0xFF
