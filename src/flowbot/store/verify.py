"""Checking a store: the file's structure, and every response in it; dropping what is damaged."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .files import opened
from .scan import Row, scan
from .transaction import transaction

Check = Callable[[str, Mapping[str, Any]], None]
"""Looks at a value of a kind; raises ValueError, saying why, if it cannot be what was stored."""


@dataclass(frozen=True, slots=True)
class Damage:
    """One damaged response: its key and kind as far as they can be read, and what is wrong."""

    key: str
    kind: str
    why: str


@dataclass(frozen=True, slots=True)
class Verified:
    """What a check found.

    Args:
        entries: number of responses that were looked at.
        structure: what SQLite says of the file's own structure; empty if that is sound.
        damaged: the damaged responses.
        dropped: how many of them were dropped.
    """

    entries: int
    structure: tuple[str, ...]
    damaged: tuple[Damage, ...]
    dropped: int

    @property
    def sound(self) -> bool:
        """Whether what is in the file now is whole."""
        return not self.structure and len(self.damaged) == self.dropped


def verify(path: Path, *, check: Check, repair: bool = False) -> Verified:
    """Check the file at `path`.

    Args:
        path: an existing store.
        check: what else a value must satisfy.
        repair: drop damaged responses (they are then asked for again when they are needed), and rebuild indexes.

    Raises:
        UserError: if it is missing or cannot be opened.
        InfrastructureError: if it fails while it is read, or another process keeps it locked.
    """
    entries, damaged = 0, dict[int, Damage]()
    with opened(path, write=False) as connection:
        structure = _structure(connection)
        for row in scan(connection):
            entries += 1
            if why := _fault(row, check):
                damaged[row.rowid] = Damage(row.key, row.kind, why)
    dropped = 0
    if repair and (structure or damaged):
        with opened(path, write=True) as connection:
            dropped = sum(_drop(connection, rowid, check) for rowid in damaged)
            with suppress(sqlite3.DatabaseError):  # what is beyond mending shows in the second look
                connection.execute("REINDEX")
            structure = _structure(connection)
    return Verified(entries, structure, tuple(damaged.values()), dropped)


def _structure(connection: sqlite3.Connection) -> tuple[str, ...]:
    connection.text_factory = str
    try:
        said = [str(row[0]) for row in connection.execute("PRAGMA integrity_check(20)")]
    except sqlite3.DatabaseError as error:
        return (str(error),)
    return tuple(line for text in said if text != "ok" for line in text.splitlines())


def _fault(row: Row, check: Check) -> str:
    try:
        if not row.why:
            check(row.kind, row.value)
    except ValueError as error:
        return str(error)
    return row.why


def _drop(connection: sqlite3.Connection, rowid: int, check: Check) -> bool:
    """Whether the row is still damaged, and could be dropped."""
    with suppress(sqlite3.DatabaseError), transaction(connection):
        if any(_fault(row, check) for row in scan(connection, only=rowid)):
            return connection.execute("DELETE FROM responses WHERE rowid = ?", (rowid,)).rowcount == 1
    return False
