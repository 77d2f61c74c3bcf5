"""How large the store may grow and how old its responses: kept in the file, so that every process keeps to them."""

from __future__ import annotations

import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path

from .files import opened
from .prune import Pruned, drop_to_size, drop_unused, give_back, live_bytes
from .rows import DAY, today

_ROOM = 0.9
"""A file over its size is brought down to this part of it, so that not every run has something to drop."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What the user set for a file; None is no limit.

    Args:
        size: in bytes, of the file without its free pages.
        age: in seconds, since a response was last used.
    """

    size: int | None = None
    age: int | None = None


def set_limits(path: Path, limits: Limits) -> Pruned:
    """Set the limits of the store at `path`, made if missing, and keep to them at once.

    Raises:
        UserError: if it cannot be opened.
        InfrastructureError: if it fails while it is written, or another process keeps it locked.
    """
    with opened(path, write=True) as connection:
        write_limits(connection, limits)
        pruned = keep_limits(connection)
        give_back(connection, rebuild=True)
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
            by_age = by_size = Pruned()
            if older_than is not None or size is None:
                before = None if older_than is None else unused_before(older_than)
                by_age = drop_unused(connection, before=before, kind=kind, dry_run=dry_run)
            if size is not None:
                by_size = drop_to_size(connection, size, kind=kind, dry_run=dry_run)
            pruned = _both(by_age, by_size, dry_run=dry_run)
        if not dry_run:
            give_back(connection, rebuild=True)
    return pruned


def read_limits(connection: sqlite3.Connection) -> Limits:
    """The limits of an open file; none in a file of an older version."""
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'settings'").fetchone():
        return Limits()
    found = dict(connection.execute("SELECT name, CAST(value AS INTEGER) FROM settings").fetchall())
    return Limits(found.get("limit.size"), found.get("limit.age"))


def write_limits(connection: sqlite3.Connection, limits: Limits) -> None:
    """Set both limits."""
    connection.execute("BEGIN IMMEDIATE")
    for name, value in (("limit.size", limits.size), ("limit.age", limits.age)):
        if value is None:
            connection.execute("DELETE FROM settings WHERE name = ?", (name,))
        else:
            connection.execute("INSERT OR REPLACE INTO settings (name, value) VALUES (?, ?)", (name, str(value)))
    connection.execute("COMMIT")


def keep_limits(connection: sqlite3.Connection, *, dry_run: bool = False) -> Pruned:
    """Drop what is beyond the limits; where nothing is, that takes three small look-ups.

    What was used today or yesterday (UTC) stays, whatever the limits say.
    """
    limits = read_limits(connection)
    by_age = by_size = Pruned()
    if limits.age is not None:
        before = min(unused_before(limits.age), today() - 1)
        by_age = drop_unused(connection, before=before, kind=None, dry_run=dry_run)
    if limits.size is not None and live_bytes(connection) > limits.size:
        by_size = drop_to_size(connection, int(limits.size * _ROOM), dry_run=dry_run)
    pruned = _both(by_age, by_size, dry_run=dry_run)
    if pruned.entries and not dry_run:
        give_back(connection)
    return pruned


def _both(by_age: Pruned, by_size: Pruned, *, dry_run: bool) -> Pruned:
    """What two conditions drop. Each takes the least recently used first: where nothing was dropped yet, the one that
    takes more takes the other's as well."""
    if not dry_run:
        return Pruned(by_age.entries + by_size.entries, by_age.bytes + by_size.bytes, by_size.kept)
    more = max(by_age, by_size, key=lambda each: each.entries)
    return Pruned(more.entries, more.bytes, by_size.kept)


def unused_before(age: float) -> int:
    """The day; what was last used on an earlier one has not been used for `age` seconds."""
    return int((time.time() - age) // DAY)
