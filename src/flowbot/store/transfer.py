"""Carrying responses from one store to another as JSON lines: `{"key", "kind", "created", "value"}`, one a line."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

from flowbot.fields import UserError
from flowbot.fields.files import lines, replaced
from flowbot.fields.files import opened as opened_file
from flowbot.fields.secrets import hide

from .files import opened
from .rows import DAY, INSERT, check_row, checksum, dump, load, today
from .transaction import transaction
from .verify import Check, Row, scan

MAX_LINE = 64_000_000
"""Bytes of the longest line that is taken."""
_CHUNK = 500
_EXPORT = "what `flowbot cache export` writes"
Written = tuple[str, str, str, float, int, int]
"""Key, kind, text, when it was stored, the day of its use, and the checksum."""


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
    with opened(path, write=False) as connection:
        return write_rows(out, scan(connection, kind))


def write_rows(out: Path, rows: Iterable[Row]) -> Exported:
    """Write rows to a file; as `export_responses`."""
    entries, damaged = 0, list[str]()
    try:
        with replaced(out) as raw, _packed(out, raw) as file:
            for row in rows:
                if row.why:
                    damaged.append(row.key)
                    continue
                line = {"key": row.key, "kind": row.kind, "created": row.created, "value": row.value}
                file.write(json.dumps(hide(line), separators=(",", ":")).encode() + b"\n")
                entries += 1
    except OSError as error:
        found = f"no way to write there ({error.strerror or error})"
        raise UserError(str(out), found, "a file that can be written") from None
    return Exported(entries, tuple(damaged))


def import_responses(path: Path, source: Path, *, check: Check) -> Imported:
    """Add the responses of a file, plain or gzip, to the store; it is made if it is missing.

    Every line is checked before anything is written; then they are read once more and added in small transactions, so that
    after a kill or a full disk the same import goes on. What is added counts as used today.

    Args:
        path: the store.
        source: what `export_responses` wrote.
        check: what else a value must satisfy.

    Raises:
        UserError: naming the line that is wrong, or if a file cannot be read or opened.
        InfrastructureError: if the store fails while it is written.
    """
    entries = sum(1 for _ in read_rows(source, check))
    new = 0
    with opened(path, write=True) as connection:
        for chunk in chunks(read_rows(source, check)):
            with transaction(connection):
                new += connection.executemany(INSERT, chunk).rowcount
    return Imported(entries, new)


def chunks(rows: Iterator[Written]) -> Iterator[list[Written]]:
    """A few at a time."""
    while chunk := list(islice(rows, _CHUNK)):
        yield chunk


def read_rows(source: Path, check: Check) -> Iterator[Written]:
    """The rows that the lines of a file stand for."""
    day = today()
    try:
        with opened_file(source) as raw:
            file = gzip.GzipFile(fileobj=raw) if raw.peek(2)[:2] == b"\x1f\x8b" else raw
            for number, line in enumerate(lines(cast("BinaryIO", file), str(source), most=MAX_LINE), start=1):
                try:
                    if line.strip():
                        yield _row(line, day, check)
                except ValueError as error:
                    raise UserError(f"{source}:{number}", str(error), _EXPORT) from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UserError(str(source), f"a damaged gzip file ({error})", _EXPORT) from None
    except OSError as error:
        found = f"no way to read it ({error.strerror or error})"
        raise UserError(str(source), found, "a file that can be read") from None


def _row(line: bytes, day: int, check: Check) -> Written:
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


def _packed(out: Path, raw: BinaryIO) -> AbstractContextManager[IO[bytes]]:
    """What is written to it is packed if the file's name says so."""
    if out.suffix != ".gz":
        return nullcontext(raw)
    return cast("AbstractContextManager[IO[bytes]]", gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0))
