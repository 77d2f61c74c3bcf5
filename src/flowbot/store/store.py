"""Responses by key: one SQLite file per user, read from memory first and written by one thread in groups."""

from __future__ import annotations

import asyncio
import json
import os
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from flowbot.fields import InfrastructureError, UserError

if TYPE_CHECKING:
    import sqlite3

    from .writer import Writer

Kind = Literal["lm", "tool", "code", "metric", "probe"]
MEMORY_BYTES = 64_000_000
"""Text of responses kept in memory, least recently used out first."""
_BUSY_SECONDS = 30.0


def default_cache_dir() -> Path:
    """The user's cache folder for FlowBot; FLOWBOT_CACHE_DIR names another. Nothing is created."""
    named = os.environ.get("FLOWBOT_CACHE_DIR")
    if named:
        return Path(named).expanduser()
    import platformdirs

    return Path(platformdirs.user_cache_dir("flowbot", appauthor=False))


class Store:
    """Stored responses. A key's first response stands for ever: a later `put` gives the first one back.

    Failure policy: `open` raises `UserError` for a file that cannot serve; `get` and `put` raise
    `InfrastructureError(kind="disk")`. What `put` has returned survives a kill of the process.
    """

    def __init__(self, path: Path | None, reader: sqlite3.Connection | None, writer: Writer | None) -> None:
        """Use `Store.open` or `Store.memory`."""
        self.path = path
        self._reader = reader
        self._writer = writer
        self._executor: ThreadPoolExecutor | None = None
        self._memory: OrderedDict[str, str] = OrderedDict()
        self._kinds: dict[str, str] = {}
        self._bytes = 0
        self._closed = False

    @staticmethod
    def memory() -> Store:
        """A store without a file, gone with the process."""
        return Store(None, None, None)

    @staticmethod
    def open(path: Path, *, read_only: bool = False) -> Store:
        """Open the file, creating it and its folder unless `read_only`.

        Raises:
            UserError: if it is not there (`read_only`), cannot be written, or is not a store; the text names the file.
        """
        import sqlite3

        from .faults import open_error
        from .migrations import ForeignFileError, NewerStoreError
        from .writer import Writer

        if read_only and not path.exists():
            raise UserError(f"store {path}", "no such file", "an existing store")
        opened: list[sqlite3.Connection] = []
        try:
            if not read_only:
                path.parent.mkdir(parents=True, exist_ok=True)
                opened.append(_open_writer(path))
            opened.append(_open_reader(path, alone=read_only))
        except (sqlite3.Error, OSError, NewerStoreError, ForeignFileError) as error:
            for connection in opened:
                connection.close()
            raise open_error(path, error) from None
        return Store(path, opened[-1], None if read_only else Writer(path, opened[0]))

    def peek(self, key: str) -> dict[str, Any] | None:
        """The value, if it is in memory. Does not wait."""
        text = self._memory.get(key)
        if text is None:
            return None
        self._memory.move_to_end(key)
        return json.loads(text)

    async def get(self, key: str) -> dict[str, Any] | None:
        """The value, or None.

        Raises:
            InfrastructureError: if the file cannot be read.
        """
        value = self.peek(key)
        if value is not None or self._reader is None:
            return value
        text = await self._read(_select_value, key)
        if text is None:
            return None
        self._remember(key, text)
        return json.loads(text)

    async def put(self, key: str, value: dict[str, Any], *, kind: Kind = "lm", replace: bool = False) -> dict[str, Any]:
        """Store a JSON object; returns after the commit.

        Args:
            key: the whole request's hash.
            value: JSON values only.
            kind: what it is a response of; part of no decision.
            replace: True overwrites; otherwise the first value stands.

        Returns:
            the value that now stands under the key.

        Raises:
            ValueError: for NaN, infinity or a value that JSON cannot hold.
            InfrastructureError: if it could not be written; nothing is stored then.
        """
        text = _dump(key, value)
        if self.path is None:
            standing = text if replace else self._memory.get(key, text)
            self._kinds[key] = kind
        else:
            standing = await self._write(key, kind, text, replace)
        self._remember(key, standing)
        return value if standing is text else json.loads(standing)

    async def count(self, kind: Kind | None = None) -> int:
        """How many responses there are, of one kind or in all."""
        if self._reader is None:
            return sum(kind is None or each == kind for each in self._kinds.values())
        return cast("int", await self._read(_count, kind))

    async def items(self, kind: Kind) -> dict[str, dict[str, Any]]:
        """All values of a kind by key, in the order of the keys. For few: probes, listings."""
        if self._reader is None:
            keys = sorted(key for key, each in self._kinds.items() if each == kind)
            return {key: json.loads(self._memory[key]) for key in keys}
        rows = cast("list[tuple[str, str]]", await self._read(_select_kind, kind))
        return {key: json.loads(text) for key, text in rows}

    async def close(self) -> None:
        """Commit what is queued and close the file. May be called twice."""
        if self._closed:
            return
        self._closed = True
        # The reader first: the last connection to close folds the write-ahead log into the file, if it may write.
        if self._executor is not None:
            self._executor.shutdown(wait=True)
        if self._reader is not None:
            self._reader.close()
        if self._writer is not None:
            await asyncio.to_thread(self._writer.close)

    async def _write(self, key: str, kind: str, text: str, replace: bool) -> str:
        from .writer import Write

        if self._writer is None or self._closed:
            state = "closed" if self._closed else "open for reading only"
            raise InfrastructureError(f"store {self.path}: it is {state}", kind="disk")
        loop = asyncio.get_running_loop()
        committed: asyncio.Future[str] = loop.create_future()

        def tell(standing: str | None, error: Exception | None) -> None:
            if committed.done():
                return
            if error is not None:
                committed.set_exception(error)
            else:
                committed.set_result(standing or "")

        def done(standing: str | None, error: Exception | None) -> None:
            # A loop that has ended meanwhile has nobody left to tell; the row is committed all the same.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(tell, standing, error)

        self._writer.submit(Write(key, kind, text, replace, done))
        return await committed

    async def _read(self, query: Any, argument: Any) -> Any:
        import sqlite3

        from .faults import use_error

        if self._closed:
            raise InfrastructureError(f"store {self.path}: it is closed", kind="disk")
        if self._executor is None:
            self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="flowbot-store-reader")
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, query, self._reader, argument)
        except sqlite3.Error as error:
            raise use_error(self.path or Path(), error) from None

    def _remember(self, key: str, text: str) -> None:
        old = self._memory.pop(key, "")
        self._memory[key] = text
        self._bytes += len(text) - len(old)
        while self.path is not None and self._bytes > MEMORY_BYTES and len(self._memory) > 1:
            self._bytes -= len(self._memory.popitem(last=False)[1])


def _open_writer(path: Path) -> sqlite3.Connection:
    import sqlite3

    from .migrations import migrate

    connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        # A committed response survives a kill; only a power cut may lose the last of them, never the file.
        connection.execute("PRAGMA synchronous = NORMAL")
        migrate(connection)
        # A file system without room or rights shows only when something is written.
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")
    except BaseException:
        connection.close()
        raise
    return connection


def _open_reader(path: Path, *, alone: bool) -> sqlite3.Connection:
    import sqlite3

    def attempt(mode: str) -> sqlite3.Connection:
        uri = f"{path.resolve().as_uri()}?{mode}"
        connection = sqlite3.connect(uri, uri=True, timeout=_BUSY_SECONDS, check_same_thread=False)
        try:
            connection.execute("SELECT key FROM responses LIMIT 1").fetchall()
        except BaseException:
            connection.close()
            raise
        return connection

    try:
        return attempt("mode=ro")
    except sqlite3.OperationalError:
        if not alone:
            raise
        # In a folder that cannot be written WAL's side files cannot be made; nobody else can write then either.
        return attempt("mode=ro&immutable=1")


def _select_value(connection: sqlite3.Connection, key: str) -> str | None:
    row = connection.execute("SELECT value FROM responses WHERE key = ?", (key,)).fetchone()
    return None if row is None else str(row[0])


def _select_kind(connection: sqlite3.Connection, kind: str) -> list[tuple[str, str]]:
    return connection.execute("SELECT key, value FROM responses WHERE kind = ? ORDER BY key", (kind,)).fetchall()


def _count(connection: sqlite3.Connection, kind: str | None) -> int:
    if kind is None:
        return int(connection.execute("SELECT count(*) FROM responses").fetchone()[0])
    return int(connection.execute("SELECT count(*) FROM responses WHERE kind = ?", (kind,)).fetchone()[0])


def _dump(key: str, value: dict[str, Any]) -> str:
    try:
        # ASCII only: a model's reply may hold half a surrogate pair, which UTF-8 cannot.
        return json.dumps(value, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(f"store: the value of {key[:12]} is not JSON ({error})") from None
