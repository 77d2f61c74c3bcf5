"""How large the store may grow and how old its responses, as the file itself says, and dropping what is beyond that."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .files import opened
from .rows import DAY, today
from .transaction import transaction

_ROOM = 0.9
"""A file over its size is brought down to this part of it, so that not every run has something to drop."""
_CHUNK = 500
_FREE_PAGES = 2000
_ALL = b""
"""Sorts behind every number and text, so that every day is before it."""
# By `created` too: a process of an older version leaves `used` at 0. What a row takes besides its texts, and its key's
# place in the index, is about 60 bytes. The index on `used` gives this order: nothing is sorted or held open.
_TAKES = "length(value) + 2 * coalesce(length(key), 0) + 60"
_DAY = f"max(used, CAST(created / {DAY} AS INTEGER))"
_OLDEST = (
    f"SELECT rowid, used, {_TAKES}, {_DAY} < :old FROM responses "
    f"WHERE (used, rowid) > (:used, :rowid) AND used < :before AND {_DAY} < :before AND (:kind IS NULL OR kind = :kind) "
    f"ORDER BY used, rowid LIMIT {_CHUNK}"
)


@dataclass(frozen=True, slots=True)
class Limits:
    """What the user set for a file; None is no limit.

    Args:
        size: in bytes, of the file without its free pages.
        age: in seconds, since a response was last used.
    """

    size: int | None = None
    age: int | None = None


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


def set_limits(path: Path, limits: Limits) -> Pruned:
    """Set the limits of the store at `path`, made if missing, and keep to them at once.

    Raises:
        UserError: if it cannot be opened.
        InfrastructureError: if it fails while it is written, or another process keeps it locked.
    """
    with opened(path, write=True) as connection:
        with transaction(connection):
            for name, value in (("limit.size", limits.size), ("limit.age", limits.age)):
                if value is None:
                    connection.execute("DELETE FROM settings WHERE name = ?", (name,))
                else:
                    connection.execute(
                        "INSERT OR REPLACE INTO settings (name, value) VALUES (?, ?)", (name, str(value))
                    )
        pruned = keep_limits(connection)
        _give_back(connection, rebuild=True)
    return pruned


def prune(
    path: Path,
    *,
    older_than: float | None = None,
    size: int | None = None,
    kind: str | None = None,
    dry_run: bool = False,
) -> Pruned:
    """Drop responses of the store at `path` and give their space back; with no condition, what is beyond its limits.

    Args:
        path: the store; nothing is dropped from one that is missing.
        older_than: seconds; what was not used for so long goes. Days are counted whole, in UTC.
        size: bytes; then the least recently used go until the file is no larger, but nothing used today or yesterday.
        kind: only responses of this kind; alone, all of them.
        dry_run: only count them.

    Raises:
        UserError: if it cannot be opened.
        InfrastructureError: if it fails while it is used, or another process keeps it locked.
    """
    if not path.exists():
        return Pruned()
    with opened(path, write=True) as connection:
        if older_than is None and size is None and kind is None:
            pruned = keep_limits(connection, dry_run=dry_run)
        else:
            old = _day(older_than) if older_than is not None else _ALL if size is None else 0
            pruned = _drop(connection, old, size, kind=kind, dry_run=dry_run)
        if not dry_run:
            _give_back(connection, rebuild=True)
    return pruned


def drop(path: Path, keys: Iterable[str], *, dry_run: bool = False) -> Pruned:
    """Drop the responses under these keys from the store at `path`, whenever they were used; otherwise as `prune`."""
    entries = size = 0
    if not path.exists():
        return Pruned()
    with opened(path, write=True) as connection:
        every = sorted(keys)
        for start in range(0, len(every), _CHUNK):
            chunk = every[start : start + _CHUNK]
            where = f"FROM responses WHERE key IN ({', '.join('?' * len(chunk))})"
            with transaction(connection):
                found = connection.execute(f"SELECT count(*), total({_TAKES}) {where}", chunk).fetchone()
                if not dry_run:
                    connection.execute(f"DELETE {where}", chunk)
            entries, size = entries + int(found[0]), size + int(found[1])
        if entries and not dry_run:
            _give_back(connection, rebuild=True)
    return Pruned(entries, size)


def read_limits(connection: sqlite3.Connection) -> Limits:
    """The limits of an open file; none in a file of an older version."""
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'settings'").fetchone():
        return Limits()
    found = dict(connection.execute("SELECT name, CAST(value AS INTEGER) FROM settings").fetchall())
    return Limits(found.get("limit.size"), found.get("limit.age"))


def keep_limits(connection: sqlite3.Connection, *, dry_run: bool = False) -> Pruned:
    """Drop what is beyond the limits; where nothing is, that takes three small look-ups.

    What was used today or yesterday (UTC) stays, whatever the limits say.
    """
    limits = read_limits(connection)
    old = 0 if limits.age is None else min(_day(limits.age), today() - 1)
    over = limits.size is not None and space(connection)[0] > limits.size
    size = int(limits.size * _ROOM) if limits.size is not None and over else None
    pruned = _drop(connection, old, size, dry_run=dry_run)
    if pruned.entries and not dry_run:
        _give_back(connection)
    return pruned


def space(connection: sqlite3.Connection) -> tuple[int, int]:
    """Bytes of the file that are in use, and bytes that are free."""
    size, pages, free = (_pragma(connection, name) for name in ("page_size", "page_count", "freelist_count"))
    return (pages - free) * size, free * size


def _drop(
    connection: sqlite3.Connection, old: int | bytes, size: int | None, *, kind: str | None = None, dry_run: bool
) -> Pruned:
    """Drop responses, least recently used first, in small transactions that keep no other process waiting.

    Args:
        connection: in autocommit mode.
        old: the day; what was last used on an earlier one goes. `_ALL`: whenever it was used.
        size: more goes until the rest takes no more bytes than this, but nothing that was used today or yesterday: a run
            that is at work, or has just been paused, must find it again.
        kind: only responses of this kind.
        dry_run: only count them.
    """
    over = 0 if size is None else space(connection)[0] - size
    before = old if size is None or isinstance(old, bytes) else max(old, today() - 1)
    bounds: dict[str, Any] = {"old": old, "before": before, "kind": kind, "used": -1, "rowid": -1}
    entries = dropped = 0
    while rows := connection.execute(_OLDEST, bounds).fetchall():
        chosen: list[tuple[int, int]] = []
        for rowid, used, takes, is_old in rows:
            if is_old or dropped < over:
                chosen.append((rowid, used))
                dropped += takes
        entries += len(chosen)
        if not dry_run:
            with transaction(connection):  # another process may have used one of them since
                connection.executemany("DELETE FROM responses WHERE rowid = ? AND used = ?", chosen)
        bounds |= {"used": rows[-1][1], "rowid": rows[-1][0]}
        if dropped >= over:
            bounds["before"] = old
    return Pruned(entries, dropped, kept=dropped < over)


def _give_back(connection: sqlite3.Connection, *, rebuild: bool = False) -> None:
    """Give free pages back to the disk, a few at a time, as far as other processes let us.

    Args:
        connection: of `open_writer`.
        rebuild: a file made before pages could be given back bit by bit is rewritten once (VACUUM), which takes as
            much free disk as it holds and keeps other writers waiting meanwhile.
    """
    with suppress(sqlite3.OperationalError):  # locked by another process, or no room: the pages are used again later
        if not _pragma(connection, "auto_vacuum"):
            if not rebuild:
                return
            connection.execute("VACUUM")  # takes up what `open_writer` said of auto_vacuum
        free = _pragma(connection, "freelist_count") + 1
        while 0 < (left := _pragma(connection, "freelist_count")) < free:
            connection.execute(f"PRAGMA incremental_vacuum({_FREE_PAGES})").fetchall()
            free = left
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])


def _day(age: float) -> int:
    """What was last used before this day has not been used for `age` seconds."""
    return int((time.time() - age) // DAY)
