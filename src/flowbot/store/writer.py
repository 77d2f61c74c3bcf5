"""The one thread that writes: it owns the only write connection and commits what has gathered as one group."""

from __future__ import annotations

import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .faults import use_error

MAX_GROUP = 1000
_INSERT = "INSERT INTO responses (key, kind, value, created) VALUES (?, ?, ?, ?) ON CONFLICT (key) DO NOTHING"
_REPLACE = _INSERT.removesuffix("NOTHING") + "UPDATE SET value = excluded.value, created = excluded.created"


@dataclass(frozen=True, slots=True)
class Write:
    """One row to write. `done(text that now stands, None)` or `done(None, error)` is called on the writer's thread."""

    key: str
    kind: str
    text: str
    replace: bool
    done: Callable[[str | None, Exception | None], None]


class Writer:
    """Takes writes from any thread, in order.

    What arrives while a group is being committed forms the next group, so that nothing waits for a timer: under load
    groups grow, and alone a write is committed at once.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path = path
        self._connection = connection
        self._queue: queue.SimpleQueue[Write | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def submit(self, write: Write) -> None:
        """Queue one write."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="flowbot-store-writer", daemon=True)
            self._thread.start()
        self._queue.put(write)

    def close(self) -> None:
        """Commit what is queued and stop. Blocks; call it off the loop."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
            self._thread = None
        self._connection.close()

    def _work(self) -> None:
        while True:
            first = self._queue.get()
            if first is None:
                return
            group, last = [first], False
            while len(group) < MAX_GROUP:
                try:
                    following = self._queue.get_nowait()
                except queue.Empty:
                    break
                if following is None:
                    last = True
                    break
                group.append(following)
            self._commit(group)
            if last:
                return

    def _commit(self, group: list[Write]) -> None:
        connection = self._connection
        standing: list[str] = []
        try:
            connection.execute("BEGIN IMMEDIATE")
            for write in group:
                standing.append(self._write(write))
            connection.execute("COMMIT")
        except Exception as error:
            # A full disk rolls back by itself; a second ROLLBACK is then an error of no interest.
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            failure = use_error(self._path, error) if isinstance(error, sqlite3.Error) else error
            for write in group:
                write.done(None, failure)
            return
        for write, text in zip(group, standing, strict=True):
            write.done(text, None)

    def _write(self, write: Write) -> str:
        row = (write.key, write.kind, write.text, time.time())
        if write.replace:
            self._connection.execute(_REPLACE, row)
            return write.text
        if self._connection.execute(_INSERT, row).rowcount:
            return write.text
        # Another process was first: its response stands, so that every replay sees the same one.
        return str(self._connection.execute("SELECT value FROM responses WHERE key = ?", (write.key,)).fetchone()[0])
