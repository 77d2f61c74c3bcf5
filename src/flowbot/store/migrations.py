"""The schema of the store, as numbered steps: the n-th function takes a file from version n-1 to n.

A step that has been released is never changed; a new one is appended.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from flowbot.fields import UserError

from .faults import not_ours
from .rows import DAY, checksum
from .transaction import transaction

APPLICATION_ID = 0x464C4257
"""SQLite's application_id of our files ("FLBW"), so that another program's database is not mistaken for ours."""


def _responses(connection: sqlite3.Connection) -> None:
    connection.execute(
        "CREATE TABLE responses (key TEXT PRIMARY KEY, kind TEXT NOT NULL, value TEXT NOT NULL, created REAL NOT NULL)"
    )
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")


def _use_and_settings(connection: sqlite3.Connection) -> None:
    """When each response was last used (a day), its text's checksum, and what the user set for this file."""
    connection.create_function("flowbot_crc", 1, checksum, deterministic=True)
    # A process of version 1 that has the file open goes on writing rows without them.
    connection.execute("ALTER TABLE responses ADD COLUMN used INTEGER NOT NULL DEFAULT 0")
    connection.execute("ALTER TABLE responses ADD COLUMN crc INTEGER")
    connection.execute(
        f"UPDATE responses SET used = CAST(created / {DAY} AS INTEGER), crc = flowbot_crc(CAST(value AS BLOB))"
    )
    connection.execute("CREATE INDEX responses_used ON responses (used)")
    connection.execute("CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL)")


MIGRATIONS: list[Callable[[sqlite3.Connection], None]] = [_responses, _use_and_settings]


def check_file(connection: sqlite3.Connection, path: Path) -> int:
    """The version of a file that is ours; nothing is written.

    Raises:
        UserError: if it is of a newer FlowBot, another program's, empty, or holds a view, a trigger or anything else that
            is not ours and might run when a response is read.
    """
    connection.execute("BEGIN")  # version and schema of one moment
    try:
        if not _is_ours(connection):
            raise not_ours(path)
        version = _version(connection, path)
        if _schema(connection) != _own_schema(version):
            raise not_ours(path)
        return version
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Bring an open file (autocommit connection) to the newest version; safe when two processes do it at once.

    Raises:
        UserError: as `check_file`; an empty file is made a store.
    """
    if _is_ours(connection) and check_file(connection, path) == len(MIGRATIONS):
        return
    with transaction(connection):
        if not _is_ours(connection) and connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            raise not_ours(path)
        version = _version(connection, path)
        for number, step in enumerate(MIGRATIONS[version:], start=version + 1):
            step(connection)
            connection.execute(f"PRAGMA user_version = {number}")


def _version(connection: sqlite3.Connection, path: Path) -> int:
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > len(MIGRATIONS):
        mend = "update FlowBot, or name another folder with --cache-dir"
        raise UserError(f"store {path}", f"a file of a newer FlowBot (version {version})", mend=mend)
    return version


def _schema(connection: sqlite3.Connection) -> set[tuple[str, str, str]]:
    """What the file holds, as it was made; what SQLite itself notes of tables does not count."""
    query = "SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL"
    rows = connection.execute(query + " AND NOT (type = 'table' AND name GLOB 'sqlite_stat[0-9]')").fetchall()
    return {(str(kind), str(name), str(sql)) for kind, name, sql in rows}


def _own_schema(version: int) -> set[tuple[str, str, str]]:
    with closing(sqlite3.connect(":memory:")) as connection:
        for step in MIGRATIONS[:version]:
            step(connection)
        return _schema(connection)


def _is_ours(connection: sqlite3.Connection) -> bool:
    return connection.execute("PRAGMA application_id").fetchone()[0] == APPLICATION_ID
