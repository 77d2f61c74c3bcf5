"""Checking a store: the file's structure, and every response in it; dropping what is damaged."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .files import opened
from .rows import check_row, checksum, load
from .transaction import transaction

Check = Callable[[str, Mapping[str, Any]], None]
"""Looks at a value of a kind; raises ValueError, saying why, if it cannot be what was stored."""
_CHUNK = 200


@dataclass(frozen=True, slots=True)
class Row:
    """A row as it stands in the file.

    Args:
        rowid: SQLite's number of the row.
        key: its key; what is no text is shown as far as it is.
        kind: its kind, likewise.
        created: seconds since 1970.
        value: the stored value.
        why: in a few words, why the row is damaged; "" for one that is whole, and only then is the rest what was stored.
    """

    rowid: int
    key: str
    kind: str
    created: Any
    value: dict[str, Any]
    why: str = ""


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


def scan(connection: sqlite3.Connection, kind: str | None = None, *, only: int | None = None) -> Iterator[Row]:
    """All rows, or those of a kind, in the order in which they were stored, read a few at a time.

    Args:
        connection: its `text_factory` is set.
        kind: only rows of this kind, and those that cannot be read.
        only: the number of the one row that is wanted.

    Raises:
        sqlite3.Error: if the file cannot be read at all.
    """
    connection.text_factory = bytes  # what is no text must not stop us
    crc = "crc" if any(name == b"crc" for _, name, *_ in connection.execute("PRAGMA table_info(responses)")) else "NULL"
    select = (
        f"SELECT rowid, key, kind, value, created, {crc} FROM responses "
        f"WHERE rowid > ? AND rowid <= ? AND (?3 IS NULL OR kind = ?3) ORDER BY rowid LIMIT {_CHUNK}"
    )
    done, last = (0, only) if only is None else (only - 1, only)
    if last is None:
        last = int(connection.execute("SELECT coalesce(max(rowid), 0) FROM responses").fetchone()[0])
    while done < last:
        try:
            rows = connection.execute(select, (done, last, kind)).fetchall()
        except sqlite3.DatabaseError:
            end = min(done + _CHUNK, last)
            if only is not None:
                yield Row(only, "", "", 0, {}, "it cannot be read")
            else:  # which of them it is shows one by one
                for rowid in range(done + 1, end + 1):
                    yield from scan(connection, kind, only=rowid)
            done = end
        else:
            yield from (read_row(*row) for row in rows)
            done = rows[-1][0] if len(rows) == _CHUNK else last


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
            if why := fault(row, check):
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


def fault(row: Row, check: Check) -> str:
    """In a few words why a row is damaged; "" for one that is whole."""
    try:
        if not row.why:
            check(row.kind, row.value)
    except ValueError as error:
        return str(error)
    return row.why


def _drop(connection: sqlite3.Connection, rowid: int, check: Check) -> bool:
    """Whether the row is still damaged, and could be dropped."""
    with suppress(sqlite3.DatabaseError), transaction(connection):
        if any(fault(row, check) for row in scan(connection, only=rowid)):
            return connection.execute("DELETE FROM responses WHERE rowid = ?", (rowid,)).rowcount == 1
    return False


def read_row(rowid: int, key: Any, kind: Any, value: Any, created: Any, crc: Any) -> Row:
    """A row from what stands in a table."""
    key, kind, created = (_shown(key), _shown(kind), created if isinstance(created, int | float) else _shown(created))
    text = value if isinstance(value, bytes) else str(value).encode()
    try:
        if crc is not None and crc != checksum(text):
            raise ValueError("its checksum differs")
        check_row(key, kind, created)
        return Row(rowid, key, kind, created, load(text))
    except ValueError as error:
        return Row(rowid, key, kind, created, {}, str(error))


def _shown(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
