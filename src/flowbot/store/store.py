"""Responses by key: one SQLite file per user, read from memory first, read and written by a thread each, in groups."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from flowbot.fields import InfrastructureError, UserError
from flowbot.fields.paths import home_path

from .rows import PLACE, Kind, dump, load

if TYPE_CHECKING:
    import sqlite3

    from .reader import Reader
    from .writer import Writer

MEMORY_BYTES = 4_000_000
"""Responses kept in memory, what it takes to keep them included, least recently used out first."""
_KEPT_BYTES = 300
"""What keeping a response takes beside its text: key, text object and place in the table."""

_log = logging.getLogger(__name__)


def default_cache_dir() -> Path:
    """The user's cache folder for FlowBot; FLOWBOT_CACHE_DIR names another. Nothing is created.

    Raises:
        UserError: if that begins at a home folder which is not known.
    """
    named = os.environ.get("FLOWBOT_CACHE_DIR")
    if named:
        return home_path(named, "FLOWBOT_CACHE_DIR")
    import platformdirs

    return Path(platformdirs.user_cache_dir("flowbot", appauthor=False))


class Store:
    """Stored responses. A key's first response stands for ever: a later `put` gives the first one back. Only a value of kind
    `tries` gives way to a later one.

    Failure policy: `open` raises `UserError` for a file that cannot serve; `get` and `put` raise
    `InfrastructureError(kind="disk")`. What `put` has returned survives a kill of the process.
    """

    def __init__(self, path: Path | None, reader: Reader | None, writer: Writer | None) -> None:
        """Use `Store.open` or `Store.memory`."""
        self.path = path
        self._reader = reader
        self._writer = writer
        self._memory: OrderedDict[str, str] = OrderedDict()
        self._kinds: dict[str, str] = {}
        self._bytes = 0
        self._closed = False
        self._process = os.getpid()

    @staticmethod
    def memory() -> Store:
        """A store without a file, gone with the process."""
        return Store(None, None, None)

    @staticmethod
    def open(path: Path, *, read_only: bool = False) -> Store:
        """Open the file, creating it and its folder unless `read_only`.

        Raises:
            UserError: if it is not there (`read_only`), cannot be written, or is not a store; the text names the file.
            InfrastructureError: if another process keeps it locked.
        """
        from .faults import opening
        from .files import open_reader, open_writer
        from .reader import Reader
        from .writer import Writer

        if read_only and not path.exists():
            raise UserError(f"store {path}", "no such file", "an existing store")
        write: sqlite3.Connection | None = None
        try:
            with opening(path):
                write = None if read_only else open_writer(path)
                read, version = open_reader(path, alone=read_only)
        except BaseException:
            if write is not None:
                write.close()
            raise
        _log.debug("store %s opened", path, extra={"event": "store.opened", "path": str(path)})
        writer = None if write is None else Writer(path, write)
        return Store(path, Reader(path, read, version, None if writer is None else writer.use), writer)

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
            InfrastructureError: if the file cannot be read, or what stands there is damaged.
        """
        value = self.peek(key)
        if value is not None or self._reader is None:
            return value
        if self._closed:
            self._refuse("closed")
        text = await self._reader.get(key)
        if text is None:
            return None
        value = self._value(key, text)
        if not text.startswith(PLACE):  # another process may have the response by the next time
            self._remember(key, text)
        return value

    async def claim(self, key: str) -> dict[str, Any] | None:
        """As `get`, by who sends the call where there is no response: of several coordinators on one database one gets None."""
        return await self.get(key)

    def unclaim(self, key: str) -> None:
        """The call is not sent by who claimed it, for now. Nothing happens where it was not."""

    async def owe(self, key: str, value: dict[str, Any], *, kind: Kind = "lm", replace: bool = False) -> None:
        """Store a value that a database shall get, as soon as it is there again."""
        await self._write(key, kind, dump(key, value), replace, owed=True)

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
        text = dump(key, value)
        if self.path is None:
            first = replace or self._kinds.get(key) == "tries"
            standing = text if first else self._memory.get(key, text)
            if standing is text:
                self._kinds[key] = kind
        else:
            standing = await self._write(key, kind, text, replace)
        value = value if standing is text else self._value(key, standing)
        if self.path is None or not standing.startswith(PLACE):
            self._remember(key, standing)
        return value

    async def items(self, kind: Kind) -> dict[str, dict[str, Any]]:
        """All values of a kind by key, in the order of the keys. For few: probes, listings."""
        if self._reader is None:
            keys = sorted(key for key, each in self._kinds.items() if each == kind)
            return {key: json.loads(self._memory[key]) for key in keys}
        if self._closed:
            self._refuse("closed")
        rows = await self._reader.ask(lambda connection: _items(connection, kind))
        return {key: self._value(key, text) for key, text in rows}

    def damaged(self, key: str) -> InfrastructureError:
        """The error for a value that cannot be what was stored under `key`, as whoever stored it can tell."""
        from .faults import damaged_error

        return damaged_error(self.path or Path("in memory"), key)

    def _value(self, key: str, text: str) -> dict[str, Any]:
        try:
            return load(text)
        except ValueError:
            raise self.damaged(key) from None

    async def close(self) -> None:
        """Commit what is queued, keep the file's limits and close it. May be called twice.

        In a process that was forked from the one that opened it nothing is touched: it is the other's.
        """
        if not self._closed:
            self._closed = True
            if self._reader is not None and self._process == os.getpid():
                await asyncio.to_thread(self._close)

    def _close(self) -> None:
        # The reader first: the last connection to close folds the write-ahead log into the file, if it may write.
        if self._reader is not None:
            self._reader.close()
        if self._writer is not None:
            self._writer.close()

    async def _write(self, key: str, kind: str, text: str, replace: bool, *, owed: bool = False) -> str:
        from .writer import Write

        if self._closed:
            self._refuse("closed")
        if self._writer is None:
            self._refuse("open for reading only")
        committed: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._writer.submit(Write(key, kind, text, replace, committed, owed))
        return await committed

    def _refuse(self, state: str) -> NoReturn:
        raise InfrastructureError(f"store {self.path}: it is {state}", kind="disk")

    def _remember(self, key: str, text: str) -> None:
        old = self._memory.pop(key, None)
        self._memory[key] = text
        self._bytes += _KEPT_BYTES + len(text)
        if old is not None:
            self._bytes -= _KEPT_BYTES + len(old)
        while self.path is not None and self._bytes > MEMORY_BYTES and len(self._memory) > 1:
            self._bytes -= _KEPT_BYTES + len(self._memory.popitem(last=False)[1])


def _items(connection: sqlite3.Connection, kind: str) -> list[tuple[str, str]]:
    return connection.execute("SELECT key, value FROM responses WHERE kind = ? ORDER BY key", (kind,)).fetchall()
