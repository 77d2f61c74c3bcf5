"""Dropping responses, least recently used first, in small transactions, and giving their space back to the disk."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from .rows import DAY, today

_CHUNK = 500
_FREE_PAGES = 2000
# What a row takes besides its texts, and its key's place in the index; in bytes, about.
_ROW_BYTES = 60


@dataclass(frozen=True, slots=True)
class Pruned:
    """What was dropped, or would be.

    Args:
        entries: number of responses.
        bytes: what they took in the file, about.
        kept: True if a size was asked for that is not reached without dropping what was used within the last day.
    """

    entries: int = 0
    bytes: int = 0
    kept: bool = False


def drop_unused(connection: sqlite3.Connection, *, before: int | None, kind: str | None, dry_run: bool) -> Pruned:
    """Drop responses by age.

    Args:
        connection: in autocommit mode.
        before: the day; what was last used on an earlier one goes. None: whenever it was used.
        kind: only responses of this kind.
        dry_run: only count them.
    """
    entries = size = 0
    for rows in _chunks(connection, before, kind):
        entries += len(rows)
        size += sum(row.bytes for row in rows)
        if not dry_run:
            _delete(connection, rows)
    return Pruned(entries, size)


def drop_to_size(connection: sqlite3.Connection, size: int, *, kind: str | None = None, dry_run: bool) -> Pruned:
    """Drop responses, least recently used first, until the rest takes at most `size` bytes.

    What was used today or yesterday (UTC) stays: a run that is at work, or has just been paused, must find it again.

    Args:
        connection: in autocommit mode.
        size: in bytes, of the file without its free pages.
        kind: drop only responses of this kind.
        dry_run: only count them.
    """
    over = live_bytes(connection) - size
    entries = dropped = 0
    for rows in _chunks(connection, today() - 1, kind):
        chosen: list[_Row] = []
        for row in rows:
            if dropped >= over:
                break
            dropped += row.bytes
            chosen.append(row)
        entries += len(chosen)
        if not dry_run:
            _delete(connection, chosen)
        if dropped >= over:
            break
    return Pruned(entries, dropped, kept=dropped < over)


def live_bytes(connection: sqlite3.Connection) -> int:
    """What the file takes without its free pages."""
    page_size, pages, free = (
        int(connection.execute(f"PRAGMA {name}").fetchone()[0])
        for name in ("page_size", "page_count", "freelist_count")
    )
    return (pages - free) * page_size


def give_back(connection: sqlite3.Connection, *, rebuild: bool = False) -> None:
    """Give free pages back to the disk, a few at a time, as far as other processes let us.

    Args:
        connection: of `open_writer`.
        rebuild: a file made before pages could be given back bit by bit is rewritten once (VACUUM), which takes as
            much free disk as it holds and keeps other writers waiting meanwhile.
    """
    with suppress(sqlite3.OperationalError):  # locked by another process, or no room: the pages are used again later
        if connection.execute("PRAGMA auto_vacuum").fetchone()[0] == 0:
            if not rebuild:
                return
            connection.execute("VACUUM")  # takes up what `open_writer` said of auto_vacuum
        while free := int(connection.execute("PRAGMA freelist_count").fetchone()[0]):
            connection.execute(f"PRAGMA incremental_vacuum({_FREE_PAGES})").fetchall()
            if int(connection.execute("PRAGMA freelist_count").fetchone()[0]) >= free:
                break
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


@dataclass(frozen=True, slots=True)
class _Row:
    rowid: int
    used: int
    bytes: int


def _chunks(connection: sqlite3.Connection, before: int | None, kind: str | None) -> Iterator[list[_Row]]:
    """Rows last used before a day, least recently used first, read a few at a time: nothing is held open meanwhile."""
    # By `created` too: a process of an older version leaves `used` at 0.
    where, bounds = "(used, rowid) > (:used, :rowid)", {"used": -1, "rowid": -1, "before": before, "kind": kind}
    if before is not None:
        where += f" AND used < :before AND created < :before * {DAY}"
    if kind is not None:
        where += " AND kind = :kind"
    size = f"coalesce(length(value), 0) + 2 * coalesce(length(key), 0) + {_ROW_BYTES}"
    select = f"SELECT rowid, used, {size} FROM responses WHERE {where} ORDER BY used, rowid LIMIT {_CHUNK}"
    while True:
        found = connection.execute(select, bounds).fetchall()
        rows = [_Row(*each) for each in found]
        if rows:
            yield rows
        if len(rows) < _CHUNK:
            return
        bounds.update(used=rows[-1].used, rowid=rows[-1].rowid)


def _delete(connection: sqlite3.Connection, rows: list[_Row]) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Another process may have used one of them since.
        connection.executemany(
            "DELETE FROM responses WHERE rowid = ? AND used = ?", ((row.rowid, row.used) for row in rows)
        )
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
