"""Text to SQL: whether a query gives the rows that the reference gives, on the database itself (execution accuracy).

The rule of Spider's test-suite evaluation (Zhong et al. 2020) on one database: equal rows as often, in any order unless the reference
orders them, their columns in any order. The model's query is not trusted: it reads a copy in memory, or the file opened read-only, through
the bounds of the SQL tool.
"""

from __future__ import annotations

import re
import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from functools import lru_cache
from itertools import permutations
from pathlib import Path
from sys import getsizeof
from typing import Any

from flowbot.fields import Score, StepError
from flowbot.fields.files import read_bytes
from flowbot.fields.words import cut
from flowbot.runtime.toolbox.sql import select
from flowbot.task import Example
from flowbot.task.decode import MOST_DATA

SECONDS = 5.0
"""That a query may take."""
MOST_ROWS = 100_000
MOST_BYTES = 64_000_000
"""Of memory that the rows of a query may take."""
_MOST_PERMUTED = 7
"""Columns that may stand in any order; of more, they stand as the reference has them."""
_FENCED = re.compile(r"```(?:sql|sqlite)?\s*\n(.*?)```", re.DOTALL | re.IGNORECASE)
Rows = Sequence[tuple[Any, ...]]


@lru_cache(maxsize=32)
def dumped(file: Path) -> bytes:
    """The SQLite database of a `.sql` dump, which is run in memory.

    Raises:
        UserError: if the file cannot be read.
        sqlite3.Error: if it is no dump of SQLite's.
    """
    raw = read_bytes(file, limit=MOST_DATA)
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)  # nothing beyond the copy can be written
        connection.executescript(raw.decode("utf-8", "replace"))
        return connection.serialize()


def schema(file: Path) -> str:
    """The statements that make a database's tables.

    Raises:
        UserError: if the file cannot be read.
        sqlite3.Error: if it is no database.
    """
    with closing(_opened(file)) as connection:
        found = connection.execute(
            "SELECT sql FROM sqlite_schema WHERE type = 'table' AND sql IS NOT NULL ORDER BY rowid"
        )
        return ";\n".join(str(each) for (each,) in found)


def rows_of(file: Path, query: str) -> Rows:
    """The rows that a query gives, at most `MOST_ROWS`, in at most `MOST_BYTES`.

    Raises:
        StepError: if the query is wrong, does anything but read, takes too long, or gives more.
    """

    def take(names: Sequence[str], rows: Iterable[tuple[Any, ...]]) -> Rows:
        found: list[tuple[Any, ...]] = []
        size = 0
        for row in rows:
            found.append(row)
            size += getsizeof(row) + sum(map(getsizeof, row))
            if len(found) > MOST_ROWS or size > MOST_BYTES:
                raise StepError(f"the query gives more than {MOST_ROWS:,} rows or {MOST_BYTES:,} bytes")
        return found

    with closing(_opened(file)) as connection:
        return select(connection, query, take, SECONDS)


def executed(example: Example, outputs: Mapping[str, Any], *, folder: Path) -> Score:
    """1 if the query gives the rows that the reference gives, and 0 otherwise.

    Args:
        example: `extra` has `database`, a file in the folder, and `order_matters`.
        outputs: `query`.
        folder: of the databases.

    Raises:
        StepError: if the reference itself cannot be run.
    """
    file = folder / example.extra["database"]
    wanted = rows_of(file, example.expected["query"])
    given = str(outputs.get("query") or "")
    fenced = _FENCED.search(given)
    try:
        found = rows_of(file, (fenced[1] if fenced else given).strip())
    except StepError as error:
        return Score(0.0, f"query: it fails: {error}; the reference is {cut(example.expected['query'], 400)}")
    if equal_rows(found, wanted, ordered=example.extra["order_matters"]):
        return Score(1.0)
    return Score(0.0, f"query: {_difference(found, wanted)}; the reference is {cut(example.expected['query'], 400)}")


def equal_rows(found: Rows, wanted: Rows, *, ordered: bool) -> bool:
    """Whether two results are the same: their rows as often, their columns in some order.

    Args:
        found: what the query gives.
        wanted: what the reference gives.
        ordered: whether rows stand in the same order.
    """
    if len(found) != len(wanted):
        return False
    if not wanted:
        return True
    width = len(wanted[0])
    if len(found[0]) != width:
        return False
    one, other = ([tuple(map(_value, row)) for row in rows] for rows in (found, wanted))
    whole = other if ordered else Counter(other)
    columns = [Counter(column) for column in zip(*other, strict=True)]
    alike = [Counter(column) for column in zip(*one, strict=True)]
    orders = permutations(range(width)) if width <= _MOST_PERMUTED else [tuple(range(width))]
    for order in orders:
        if any(alike[place] != column for place, column in zip(order, columns, strict=True)):
            continue
        turned = [tuple(row[place] for place in order) for row in one]
        if (turned if ordered else Counter(turned)) == whole:
            return True
    return False


def _value(value: Any) -> Any:
    """A value as it is compared: numbers without what computing with floats leaves, text that is no Unicode as text."""
    if isinstance(value, float):
        return float(f"{value:.10g}")
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _difference(found: Rows, wanted: Rows) -> str:
    if len(found) != len(wanted):
        return f"it gives {len(found):,} rows, expected {len(wanted):,}"
    if len(found[0]) != len(wanted[0]):
        return f"it gives {len(found[0])} columns, expected {len(wanted[0])}"
    return f"it gives other rows: first {cut(repr(found[0]), 150)}, expected {cut(repr(wanted[0]), 150)}"


def _opened(file: Path) -> sqlite3.Connection:
    dump = file.suffix == ".sql"
    place = ":memory:" if dump else f"{file.resolve().as_uri()}?mode=ro&immutable=1"
    connection = sqlite3.connect(place, uri=not dump, isolation_level=None)
    try:
        if dump:
            connection.deserialize(dumped(file))
        connection.text_factory = _decoded
        connection.execute("PRAGMA query_only = ON")
    except BaseException:
        connection.close()
        raise
    return connection


def _decoded(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")
