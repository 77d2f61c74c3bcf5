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
        text: the stored bytes; None if the row cannot be read.
        created: seconds since 1970; -1 for what is no number.
        crc: the checksum that was stored with it, if one was.
    """

    rowid: int
    key: str = ""
    kind: str = ""
    text: bytes | None = None
    created: float = 0.0
    crc: int | None = None

    def value(self) -> dict[str, Any]:
        """The stored value.

        Raises:
            ValueError: saying in a few words why the row is damaged.
        """
        if self.text is None:
            raise ValueError("it cannot be read")
        if self.crc is not None and self.crc != checksum(self.text):
            raise ValueError("its checksum differs")
        check_row(self.key, self.kind, self.created)
        return load(self.text)


def scan(connection: sqlite3.Connection, kind: str | None = None) -> Iterator[Row]:
    """All rows, or those of a kind, in the order in which they were stored, read a few at a time.

    A row that cannot be read comes without its text. Sets the connection's `text_factory`.

    Raises:
        sqlite3.Error: if the file cannot be read at all.
    """
    select = _select(connection)
    which = "" if kind is None else " AND kind = :kind"
    last = int(connection.execute("SELECT coalesce(max(rowid), 0) FROM responses").fetchone()[0])
    done = 0
    while done < last:
        end = min(done + _CHUNK, last)
        bounds: dict[str, Any] = {"from": done, "to": end, "kind": kind}
        try:
            rows = connection.execute(f"{select} WHERE rowid > :from AND rowid <= :to{which}", bounds).fetchall()
            yield from [_row(*row) for row in rows]
        except sqlite3.DatabaseError:
            for rowid in range(done + 1, end + 1):
                row = scan_one(connection, rowid)
                if row is not None and (row.text is None or kind in (None, row.kind)):
                    yield row
        done = end


def scan_one(connection: sqlite3.Connection, rowid: int) -> Row | None:
    """The row of that number, if there is one. Sets the connection's `text_factory`."""
    try:
        found = connection.execute(f"{_select(connection)} WHERE rowid = ?", (rowid,)).fetchone()
    except sqlite3.DatabaseError:
        return Row(rowid)
    return None if found is None else _row(*found)


def _select(connection: sqlite3.Connection) -> str:
    connection.text_factory = bytes  # what is no text must not stop us
    there = {name for _, name, *_ in connection.execute("PRAGMA table_info(responses)")}
    crc = "crc" if b"crc" in there else "NULL"
    return f"SELECT rowid, key, kind, value, created, {crc} FROM responses"


def _row(rowid: int, key: Any, kind: Any, value: Any, created: Any, crc: Any) -> Row:
    text = value if isinstance(value, bytes) else str(value).encode()
    seconds = float(created) if isinstance(created, int | float) else -1.0
    return Row(rowid, _shown(key), _shown(kind), text, seconds, crc)


def _shown(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
