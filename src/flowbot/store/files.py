"""Opening the store's file: for the one who writes, for those who read, and for the work on a store as a whole."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from flowbot.fields import UserError
from flowbot.fields.files import require_own

from .faults import opening, use_error
from .migrations import check_file, migrate
from .rows import MOST_BYTES

BUSY_SECONDS = 30.0
"""How long a file that another process keeps locked is waited for."""
_BESIDE = ("", "-wal", "-shm", "-journal")


def open_writer(path: Path) -> sqlite3.Connection:
    """A connection in autocommit mode that may write; the file is made, or brought to the newest version, if need be.

    Raises:
        sqlite3.Error, OSError: see `faults.opening`.
        UserError: if it, or one of SQLite's files beside it, is a link, a pipe or a device; or as `check_file`.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except ValueError as error:  # a name that no file can have, as one with a NUL
        raise UserError(f"store {str(path)!r}", str(error), "the path of a folder; see --cache-dir") from None
    _require_own(path)
    connection = _connect(str(path), uri=False)
    try:
        # Told before the first page is written, it lets what is pruned go back to the disk bit by bit.
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL")
        # A committed response survives a kill; only a power cut may lose the last of them, never the file.
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA cache_size = -8000")
        migrate(connection, path)
        # A file system without room or rights shows only when something is written.
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")
    except BaseException:
        connection.close()
        raise
    return connection


def open_reader(path: Path, *, alone: bool) -> tuple[sqlite3.Connection, int]:
    """A connection that only reads, and the version of the file's schema, which may be an older one.

    Args:
        path: an existing file.
        alone: True where this process has not opened it for writing.

    Raises:
        sqlite3.Error: see `faults.opening`.
        UserError: as `open_writer`.
    """
    _require_own(path)

    def attempt(mode: str) -> tuple[sqlite3.Connection, int]:
        uri = f"{path.resolve().as_uri()}?{mode}"
        connection = _connect(uri, uri=True)
        try:
            return connection, check_file(connection, path)
        except BaseException:
            connection.close()
            raise

    try:
        return attempt("mode=ro")
    except sqlite3.OperationalError as error:
        beside = path.with_name(f"{path.name}-wal")
        unwritable = (error.sqlite_errorcode & 0xFF) in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)
        if not alone or not unwritable or (beside.exists() and beside.stat().st_size):
            raise
        # In a folder that cannot be written WAL's side files cannot be made; nobody else can write then either.
        return attempt("mode=ro&immutable=1")


def _connect(name: str, *, uri: bool) -> sqlite3.Connection:
    connection = sqlite3.connect(name, uri=uri, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MOST_BYTES)
    return connection


def _require_own(path: Path) -> None:
    """SQLite follows links, waits for pipes, and has no way in Python to be told not to."""
    for ending in _BESIDE:
        require_own(path.with_name(f"{path.name}{ending}"))


@contextmanager
def opened(path: Path, *, write: bool) -> Generator[sqlite3.Connection]:
    """A connection for work on the store as a whole; see `open_writer`, `open_reader`.

    Raises:
        UserError: if the file is missing (unless `write`) or cannot serve.
        InfrastructureError: if it fails while it is used, or another process keeps it locked.
    """
    if not write and not path.exists():
        raise UserError(f"store {path}", "no such file", "an existing store; see --cache-dir")
    with opening(path):
        connection = open_writer(path) if write else open_reader(path, alone=True)[0]
    try:
        yield connection
    except sqlite3.Error as error:
        raise use_error(path, error) from None
    finally:
        connection.close()
