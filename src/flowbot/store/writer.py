"""The one thread that writes: it owns the only write connection and commits what has gathered as one group."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path

from .faults import use_error
from .limits import keep_limits
from .reader import Use
from .rows import DAY, INSERT, REPLACE, ROW, checksum, today
from .transaction import transaction
from .worker import Answer, Worker, settle

# A row that another process pruned just after it was read is put back.
_USE = ROW + "UPDATE SET used = excluded.used WHERE used < excluded.used"
_KEEP_YOUNG = (
    "UPDATE responses SET used = ?2 WHERE rowid IN "
    "(SELECT rowid FROM responses WHERE used >= ?1 AND used < ?2 LIMIT 500)"
)

OWED = "owed."
"""How the names of settings begin that name keys which a database has not got yet."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Write:
    """One row to write; `committed` gets the text that stands then. One that is `owed` to a database is noted as such."""

    key: str
    kind: str
    text: str
    replace: bool
    committed: asyncio.Future[str]
    owed: bool = False


class Writer:
    """Commits writes in their order, and notes which rows are in use.

    Failure policy: a group is written as a whole or fails as a whole, with an `InfrastructureError` to each of its
    writes; a day of use or a limit that cannot be written is logged and left for the next time.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path = path
        self._connection = connection
        self._opened = self._day = today()
        self._worker: Worker[Write | list[Use]] = Worker("flowbot-store-writer", self._work)

    def submit(self, write: Write) -> None:
        """Queue one write."""
        self._worker.submit(write)

    def use(self, rows: list[Use]) -> None:
        """Note that these rows were used today; nobody waits for that."""
        self._worker.submit(rows)

    def close(self) -> None:
        """Commit what is queued, keep the file's limits and close it. Blocks; call it off the loop."""
        self._worker.stop()
        try:
            self._keep_young()
            keep_limits(self._connection)
        except sqlite3.Error as error:
            self._let_be(error)
        self._connection.close()

    def _work(self, group: list[Write | list[Use]]) -> None:
        writes = [each for each in group if isinstance(each, Write)]
        if writes:
            self._commit(writes)
        used = [row for each in group if isinstance(each, list) for row in each]
        try:
            if used:
                self._note(used)
            self._keep_young()
        except sqlite3.Error as error:
            self._let_be(error)

    def _commit(self, group: list[Write]) -> None:
        connection = self._connection
        answers: list[Answer] = []
        try:
            with transaction(connection):
                now = time.time()
                cursor = connection.cursor()
                for write in group:
                    answers.append((write.committed, _write(cursor, write, now)))
                    if write.owed:
                        owed = (OWED + write.key, str(int(write.replace)))
                        cursor.execute("INSERT OR REPLACE INTO settings (name, value) VALUES (?, ?)", owed)
        except Exception as error:
            failure = use_error(self._path, error) if isinstance(error, sqlite3.Error) else error
            answers = [(write.committed, failure) for write in group]
        settle(answers)

    def _note(self, used: list[Use]) -> None:
        day = today()
        with transaction(self._connection):
            self._connection.executemany(_USE, ((*row[:4], day, row[4]) for row in used))

    def _keep_young(self) -> None:
        """On a new day: what this process may have used since it opened the file counts as used today."""
        day = today()
        if day == self._day:
            return
        while self._connection.execute(_KEEP_YOUNG, (self._opened, day)).rowcount:
            pass
        self._day = day

    def _let_be(self, error: sqlite3.Error) -> None:
        _log.debug("%s", use_error(self._path, error))


def _write(cursor: sqlite3.Cursor, write: Write, now: float) -> str:
    row = (write.key, write.kind, write.text, now, int(now // DAY), checksum(write.text))
    if write.replace:
        cursor.execute(REPLACE, row)
        return write.text
    if cursor.execute(INSERT, row).rowcount:
        return write.text
    # Another process was first: its response stands, so that every replay sees the same one.
    return str(cursor.execute("SELECT value FROM responses WHERE key = ?", (write.key,)).fetchone()[0])
