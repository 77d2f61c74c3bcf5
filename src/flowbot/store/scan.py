"""Going through all rows of a file, damaged ones too."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .rows import check_row, checksum, load

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
            yield from (_row(*row) for row in rows)
            done = rows[-1][0] if len(rows) == _CHUNK else last


def _row(rowid: int, key: Any, kind: Any, value: Any, created: Any, crc: Any) -> Row:
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
