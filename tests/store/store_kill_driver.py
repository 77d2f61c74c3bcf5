"""Uses a store and kills itself just before the n-th SQL statement that begins with a given text.

Arguments: the store's path, what to do (open, put, replace, prune, limit, import, close), the text, n. Lines on standard
output say what was confirmed before.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

PATH, ACTION, FATAL, LEFT = Path(sys.argv[1]), sys.argv[2], sys.argv[3], [int(sys.argv[4])]


def step(statement: str) -> None:
    if statement.startswith(FATAL):
        LEFT[0] -= 1
        if LEFT[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)


class Cursor(sqlite3.Cursor):
    def execute(self, statement: str, *bounds: Any) -> sqlite3.Cursor:
        step(statement)
        return super().execute(statement, *bounds)

    def executemany(self, statement: str, rows: Iterable[Any]) -> sqlite3.Cursor:
        step(statement)
        return super().executemany(statement, rows)


class Connection(sqlite3.Connection):
    def cursor(self, factory: Any = Cursor) -> Any:
        return super().cursor(factory)

    def execute(self, *given: Any) -> sqlite3.Cursor:
        return self.cursor().execute(*given)

    def executemany(self, *given: Any) -> sqlite3.Cursor:
        return self.cursor().executemany(*given)


connect = sqlite3.connect
sqlite3.connect = lambda *given, **named: connect(*given, factory=Connection, **named)  # type: ignore[assignment]

from flowbot.store import Store  # noqa: E402
from flowbot.store.limits import Limits, prune, set_limits  # noqa: E402
from flowbot.store.transfer import import_responses  # noqa: E402


async def use() -> None:
    store = Store.open(PATH)
    if ACTION == "close":
        await store.get("k0")
    for start in range(0, 1000, 20) if ACTION in ("put", "replace") else ():
        replace = ACTION == "replace"
        keys = [f"new{n}" for n in range(start, start + 20)]
        await asyncio.gather(*(store.put(key, {"by": "driver"}, replace=replace) for key in keys))
        for key in keys:
            sys.stdout.write(f"{key}\n")
        sys.stdout.flush()
    await store.close()


if ACTION == "prune":
    prune(PATH, older_than=86_400)
elif ACTION == "limit":
    set_limits(PATH, Limits(size=100_000))
elif ACTION == "import":
    import_responses(PATH, PATH.with_name("import.jsonl"), check=lambda kind, value: None)
else:
    asyncio.run(use())
