"""The one thread that reads: all keys that were asked for meanwhile are looked up and answered together."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from .faults import damaged_error, use_error
from .rows import checksum, today
from .worker import Answer, Worker, settle

Result = TypeVar("Result")
Use = tuple[str, str, str, float, int]
"""A row that was read for the first time on a day: key, kind, value, created, CRC."""
_Query = Callable[[sqlite3.Connection], Any]
_Job = tuple["str | _Query", "asyncio.Future[Any]"]

_SELECT = (
    "SELECT r.key, r.kind, r.value, r.created, {crc}, {used} "
    "FROM json_each(?) AS wanted CROSS JOIN responses AS r ON r.key = wanted.value"
)


class Reader:
    """Answers from a connection of its own, which is closed with it.

    Failure policy: a key whose row is damaged fails alone, with an `InfrastructureError` that names the file; what a
    query raises besides SQLite's own errors reaches its waiter as it is.

    Args:
        path: the file, for error texts.
        connection: open for reading; `version` says which columns it has.
        version: of the file's schema.
        used: told the rows whose day of use is not today; called on this thread. None where nothing may be written.
    """

    def __init__(
        self, path: Path, connection: sqlite3.Connection, version: int, used: Callable[[list[Use]], None] | None
    ) -> None:
        self._path = path
        self._connection = connection
        there = version >= 2
        self._select = _SELECT.format(crc="r.crc" if there else "NULL", used="r.used" if there else "NULL")
        self._used = used if there else None
        self._worker: Worker[_Job] = Worker("flowbot-store-reader", self._work)

    def get(self, key: str) -> asyncio.Future[str | None]:
        """The stored text, or None."""
        future: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        self._worker.submit((key, future))
        return future

    def ask(self, query: Callable[[sqlite3.Connection], Result]) -> asyncio.Future[Result]:
        """What `query` returns for the connection; it is called on this thread."""
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._worker.submit((query, future))
        return future

    def close(self) -> None:
        """Answer what is queued and close the connection. Blocks; call it off the loop."""
        self._worker.stop()
        self._connection.close()

    def _work(self, group: list[_Job]) -> None:
        keys = list(dict.fromkeys(what for what, _ in group if isinstance(what, str)))
        found = self._texts(keys)
        answers: list[Answer] = []
        for what, future in group:
            answers.append((future, found.get(what) if isinstance(what, str) else self._answer(what)))
        settle(answers)

    def _answer(self, query: _Query) -> object:
        try:
            return query(self._connection)
        except sqlite3.Error as error:
            return use_error(self._path, error)
        except Exception as error:
            return error

    def _texts(self, keys: list[str]) -> dict[str, object]:
        """The text, or the error, of each key that is there."""
        if not keys:
            return {}
        try:
            rows = self._connection.execute(self._select, (json.dumps(keys),)).fetchall()
        except sqlite3.Error as error:
            if len(keys) > 1:  # which of them it is shows one by one
                return {key: text for each in keys for key, text in self._texts([each]).items()}
            # Bytes that are no text are the one error of Python's own, without a code of SQLite's.
            damaged = getattr(error, "sqlite_errorcode", None) in (None, sqlite3.SQLITE_TOOBIG)
            return {keys[0]: damaged_error(self._path, keys[0]) if damaged else use_error(self._path, error)}
        found: dict[str, object] = {}
        fresh: list[Use] = []
        day = today()
        for key, kind, text, created, crc, used in rows:
            actual = checksum(text) if isinstance(text, str) else None  # a file of others may hold anything
            if actual is None or (crc is not None and crc != actual):
                found[key] = damaged_error(self._path, key)
                continue
            found[key] = text
            if isinstance(used, int) and used < day:
                fresh.append((key, kind, text, created, actual))
        if fresh and self._used is not None:
            self._used(fresh)
        return found
