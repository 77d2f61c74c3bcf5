"""Carrying responses from one store to another as JSON lines: `{"key", "kind", "created", "value"}`, one a line."""

from __future__ import annotations

import gzip
import json
import sqlite3
import zlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from flowbot.fields import UserError
from flowbot.fields.files import opened as opened_file
from flowbot.fields.files import replaced
from flowbot.fields.secrets import hide

from .files import opened
from .rows import DAY, INSERT, check_row, checksum, dump, load, today
from .scan import scan
from .verify import Check

MAX_LINE = 64_000_000
"""Bytes of the longest line that is taken."""
_CHUNK = 500
_Row = tuple[str, str, str, float, int, int]


@dataclass(frozen=True, slots=True)
class Exported:
    """How many responses were written, and the keys of those left out because they are damaged."""

    entries: int
    damaged: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Imported:
    """How many responses the file holds, and how many of them are new; under the others' keys what stood there stands."""

    entries: int
    new: int


def export_responses(path: Path, out: Path, *, kind: str | None = None) -> Exported:
    """Write the store's responses to a file, gzip if its name ends in `.gz`, in the order in which they were stored.

    The file appears when it is whole; one of that name is replaced then.

    Args:
        path: the store.
        out: the file.
        kind: only responses of this kind.

    Raises:
        UserError: if the store is missing, or the file cannot be written.
        InfrastructureError: if the store fails while it is read.
    """
    entries, damaged = 0, list[str]()
    with opened(path, write=False) as connection, _packed(out) as file:
        for row in scan(connection, kind):
            try:
                value = row.value()
            except ValueError:
                damaged.append(row.key)
                continue
            line = {"key": row.key, "kind": row.kind, "created": row.created, "value": value}
            file.write(json.dumps(hide(line), separators=(",", ":")).encode() + b"\n")
            entries += 1
    return Exported(entries, tuple(damaged))


def import_responses(path: Path, source: Path, *, check: Check) -> Imported:
    """Add the responses of a file, plain or gzip, to the store; it is made if it is missing.

    Every line is checked before anything is written; then they are added in small transactions, so that after a kill
    or a full disk the same import goes on. What is added counts as used today.

    Args:
        path: the store.
        source: what `export_responses` wrote.
        check: what else a value must satisfy.

    Raises:
        UserError: naming the line that is wrong, or if a file cannot be read or opened.
        InfrastructureError: if the store fails while it is written.
    """
    entries = sum(1 for _ in _lines(source, check))
    new = 0
    with opened(path, write=True) as connection:
        chunk: list[_Row] = []
        for row in _lines(source, check):
            chunk.append(row)
            if len(chunk) == _CHUNK:
                new += _add(connection, chunk)
                chunk.clear()
        new += _add(connection, chunk)
    return Imported(entries, new)


def _add(connection: sqlite3.Connection, rows: list[_Row]) -> int:
    connection.execute("BEGIN IMMEDIATE")
    try:
        new = connection.executemany(INSERT, rows).rowcount if rows else 0
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return new


def _lines(source: Path, check: Check) -> Iterator[_Row]:
    day = today()
    number = 0
    try:
        with opened_file(source) as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            file = cast("IO[bytes]", gzip.GzipFile(fileobj=raw)) if packed else raw
            while line := file.readline(MAX_LINE + 1):
                number += 1
                if len(line) > MAX_LINE:
                    raise ValueError(f"a line of more than {MAX_LINE:,} bytes")
                if line.strip():
                    yield _row(line, day, check)
    except ValueError as error:
        raise UserError(f"{source}:{number}", str(error), "what `flowbot cache export` writes") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UserError(str(source), f"a damaged gzip file ({error})", "what `flowbot cache export` writes") from None
    except OSError as error:
        raise UserError(
            str(source), f"no way to read it ({error.strerror or error})", "a file that can be read"
        ) from None


def _row(line: bytes, day: int, check: Check) -> _Row:
    """The row that a line stands for.

    Raises:
        ValueError: saying what is wrong with it.
    """
    members = load(line)
    if set(members) != {"key", "kind", "created", "value"}:
        raise ValueError(f"the members {', '.join(sorted(members)) or 'none'}"[:200])
    key, kind, created, value = (members[name] for name in ("key", "kind", "created", "value"))
    check_row(key, kind, created)
    if created >= (day + 2) * DAY:
        raise ValueError(f"the time {created}, which is to come")
    if not isinstance(value, dict):
        raise ValueError("a value that is no JSON object")
    answer = cast("dict[str, Any]", value)
    check(kind, answer)
    text = dump(key, answer)
    return key, kind, text, float(created), day, checksum(text)


@contextmanager
def _packed(out: Path) -> Generator[IO[bytes]]:
    """A file to write to that takes the place of `out` at the end, and leaves nothing behind if that is not reached."""
    try:
        with replaced(out) as raw:
            if out.suffix == ".gz":
                with gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0) as file:
                    yield cast("IO[bytes]", file)
            else:
                yield raw
    except OSError as error:
        raise UserError(
            str(out), f"no way to write there ({error.strerror or error})", "a file that can be written"
        ) from None
