"""What the tests of the store share: looking into a file, ageing it, damaging it."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from flowbot.store import Kind, Store
from flowbot.store.migrations import MIGRATIONS
from flowbot.store.rows import DAY


def fill(path: Path, values: Mapping[str, dict[str, Any]], *, kind: Kind = "lm") -> None:
    async def put() -> None:
        store = Store.open(path)
        await asyncio.gather(*(store.put(key, value, kind=kind) for key, value in values.items()))
        await store.close()

    asyncio.run(put())


def numbered(numbers: Iterable[int], *, size: int = 0) -> dict[str, dict[str, Any]]:
    """`{"k0": {"n": 0}, …}`, each with `size` characters more."""
    return {f"k{n}": {"n": n, "text": "x" * size} for n in numbers}


def sql(path: Path, statement: str, *bounds: object) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        return connection.execute(statement, bounds).fetchall()


def keys(path: Path) -> set[str]:
    return {key for (key,) in sql(path, "SELECT key FROM responses")}


def age(path: Path, days: int, *, where: str = "1") -> None:
    """As if these rows had been stored and last used so many days earlier."""
    sql(path, f"UPDATE responses SET used = used - {days}, created = created - {days * DAY} WHERE {where}")


def first_version(path: Path, values: Iterable[tuple[str, str, str, float]]) -> None:
    """A file as the first version of the schema had it: key, kind, value, created."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        MIGRATIONS[0](connection)
        connection.execute("PRAGMA user_version = 1")
        connection.executemany("INSERT INTO responses (key, kind, value, created) VALUES (?, ?, ?, ?)", values)


def damage(path: Path, old: bytes, new: bytes) -> None:
    """Change bytes of the closed file itself."""
    data = path.read_bytes()
    assert data.count(old) == 1
    assert len(old) == len(new)
    path.write_bytes(data.replace(old, new))


def damage_page(path: Path, around: bytes) -> None:
    """Blank the page of the closed file that holds these bytes."""
    data = path.read_bytes()
    start = data.index(around) // 4096 * 4096
    path.write_bytes(data[:start] + bytes(4096) + data[start + 4096 :])


def is_sound(path: Path) -> bool:
    return sql(path, "PRAGMA integrity_check") == [("ok",)]
